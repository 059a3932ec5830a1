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

/** `text`: a block. The same on every host and after every start. */
export const uniqueLocalOf = (text: string, name: string): string => {
  const [, prefix = ""] = block.exec(text) ?? []
  const groups = prefix.split(":")
  while (groups.length < 4) groups.push("0")
  const drawn = createHash("sha256").update(name).digest()
  for (let at = 0; at < 8; at += 2) groups.push(drawn.readUInt16BE(at).toString(16))
  return groups.join(":")
}
