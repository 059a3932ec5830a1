/**
 * A block of unique local addresses (RFC 4193), as `fd5c:6e1a:77::/64`: one for each service, by its name. Of 2^64 no
 * two names are drawn to one, so nobody has to settle whose it is, as in the blocks of loopback.
 */
import { createHash } from "node:crypto"

const block = /^(fd[0-9a-f]{2}(?::[0-9a-f]{1,4}){0,3})::\/64$/

/** What is wrong with a text; undefined: nothing. */
export const whyNoUniqueLocal = (text: string): string | undefined => {
  if (block.test(text)) return undefined
  return /^fd/i.test(text)
    ? "is not a /64 in small letters, like fd5c:6e1a:77::/64"
    : "is not of fd00::/8, so other hosts could be meant by it"
}

/** The block's half of an address, as four groups. */
const prefixOf = (text: string): ReadonlyArray<string> => {
  const [, prefix = ""] = block.exec(text) ?? []
  const groups = prefix.split(":").map((group) => Number.parseInt(group, 16).toString(16))
  while (groups.length < 4) groups.push("0")
  return groups
}

/** `text`: a block. The same on every host and after every start. */
export const uniqueLocalOf = (text: string, name: string): string => {
  const groups = [...prefixOf(text)]
  const drawn = createHash("sha256").update(name).digest()
  for (let at = 0; at < 8; at += 2) groups.push(drawn.readUInt16BE(at).toString(16))
  return groups.join(":")
}

/** Whether it is of the block. `address` as `uniqueLocalOf` writes them. */
export const isUniqueLocal = (text: string, address: string): boolean =>
  address.startsWith(`${prefixOf(text).join(":")}:`)
