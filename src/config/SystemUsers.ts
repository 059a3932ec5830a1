/** Users and groups of this host by name, as its files list them; numbers mean themselves. */
import { readFileSync } from "node:fs"
import { reasonOf } from "../model/Reason.ts"

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

interface Listening {
  readonly outbound: {
    readonly listeners: ReadonlyArray<{
      readonly uid?: string | number | undefined
      readonly owner?: string | undefined
    }>
  }
  readonly programs: ReadonlyArray<{ readonly owner?: string | undefined }>
  readonly upstreams: ReadonlyArray<{ readonly uid?: string | number | undefined }>
}

/**
 * Who is named by a config and not known to this host. No mistake of the config: it may have been written for
 * another host. There no listener of it would open.
 */
export const unknownUsers = (
  { outbound, programs, upstreams }: Listening,
  passwd?: string,
  groups?: string
): ReadonlyArray<string> => {
  const uid = (place: string, user: string | number | undefined) =>
    user === undefined ? [] : told(`${place}.uid`, () => userId(user, passwd))
  return [
    ...outbound.listeners.flatMap((one, index) => [
      ...uid(`outbound.listeners[${index}]`, one.uid),
      ...told(`outbound.listeners[${index}].owner`, () => ownerIds(one.owner, passwd, groups))
    ]),
    ...programs.flatMap((one, index) =>
      told(`programs[${index}].owner`, () => ownerIds(one.owner, passwd, groups))
    ),
    ...upstreams.flatMap((one, index) => uid(`upstreams[${index}]`, one.uid))
  ]
}

const told = (place: string, look: () => unknown): ReadonlyArray<string> => {
  try {
    look()
    return []
  } catch (cause) {
    return [`${place}: ${reasonOf(cause)}`]
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
