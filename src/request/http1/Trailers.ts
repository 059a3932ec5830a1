/**
 * Trailer fields (RFC 9110 §6.5): carried through to the other side, but for those that may not be
 * trailers. Some recipients merge trailers into the head and must not thereby get another length,
 * host or client address. Such a field is dropped and its message goes on (RFC 9112 §7.1.2): the
 * body that stands before it has long been delivered.
 */
import type { Fields } from "../../model/Exchange.ts"
import { plainName } from "../../model/FoldedText.ts"
import { readFieldBlock } from "./FieldBlock.ts"
import { Http1Error } from "./Http1Error.ts"
import type { Http1Limits } from "./Limits.ts"
import { isMeshName, type Sender } from "./Sender.ts"

const forbidden = new Set([
  // how the message ends and how long the connection lives
  "connection",
  "content-length",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  // where it goes and who sent it
  "authorization",
  "cookie",
  "expect",
  "forwarded",
  "host",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "set-cookie",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  // how its content is read
  "content-encoding",
  "content-range",
  "content-type"
])

/**
 * Why a field may not be a trailer, as a label: its name, `skein-*`, or `connection-option` for one
 * that the head's Connection lists (RFC 9110 §7.6.1; `listed`). Undefined when it may.
 */
export const forbiddenTrailer = (
  name: string,
  sender: Sender,
  listed: ReadonlyArray<string> | undefined
): string | undefined => {
  // Of what the mesh says of itself and of calls nothing is said behind a body.
  if (sender !== "node" && isMeshName(name)) return "skein-*"
  const plain = plainName(name)
  if (forbidden.has(plain)) return plain
  return listed?.includes(name.toLowerCase()) === true ? "connection-option" : undefined
}

/**
 * `text` is a trailer section with its empty line (or up to a bare LF, see BlockCollector). What
 * `keeps` says no to is dropped; what cannot be read is an error.
 */
export const readTrailers = (
  text: string,
  limits: Http1Limits,
  sender: Sender,
  keeps: (name: string) => boolean
): Fields => {
  const block = readFieldBlock(text, 0, limits, sender, keeps)
  if (block.end !== text.length) {
    throw new Http1Error("unexpected_bytes", "bytes follow the empty line of the trailers")
  }
  return block.fields
}

/** Trailer lines and the empty line. Throws nothing: `trailers` are trusted like a head's fields. */
export const encodeTrailers = (trailers: Fields): string => {
  let text = ""
  for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`
  return `${text}\r\n`
}
