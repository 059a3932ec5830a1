/** Users and groups of this host by name, as its files list them; numbers mean themselves. */
import { readFileSync } from "node:fs"

/** Throws an Error that says who is not known. */
export const userId = (user: string | number, passwd = "/etc/passwd"): number =>
  typeof user === "number" ? user : idOf("user", user, passwd)

export const groupId = (group: string, file = "/etc/group"): number => idOf("group", group, file)

/** `user`, `user:group` or `:group`. */
export const ownerIds = (
  owner: string | undefined,
  passwd?: string,
  groups?: string
): { readonly uid: number | undefined; readonly gid: number | undefined } => {
  const [user = "", group = ""] = (owner ?? "").split(":")
  return {
    uid: user === "" ? undefined : userId(user, passwd),
    gid: group === "" ? undefined : groupId(group, groups)
  }
}

/** In both files a line begins with name, password and number. */
const idOf = (what: string, name: string, file: string): number => {
  if (/^\d+$/.test(name)) return Number(name)
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [known, , id] = line.split(":")
    if (known === name && id !== undefined && /^\d+$/.test(id)) return Number(id)
  }
  throw new Error(`${file} has no ${what} ${name}; write its number where it comes from elsewhere`)
}
