/**
 * Trailer fields (RFC 9110 §6.5): carried through to the other side. Whoever merges trailers into
 * the head, as some recipients do, must not thereby get another length, host or client address,
 * so a trailer section with such a field is refused, not repaired.
 */
import { type Fields, noFields } from "../model/Exchange.ts"
import { blockText } from "./BlockCollector.ts"
import { readFieldBlock } from "./FieldBlock.ts"
import { Http1Error } from "./Http1Error.ts"
import { type Http1Limits, peerHttp1Limits } from "./Limits.ts"

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
  "proxy-authenticate",
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

/** `text` is a trailer section with its empty line (or up to a bare LF, see BlockCollector). */
export const readTrailers = (text: string, limits: Http1Limits): Fields => {
  const block = readFieldBlock(text, 0, limits, "node", refuseForbidden)
  if (block.end !== text.length) {
    throw new Http1Error("unexpected_bytes", "bytes follow the empty line of the trailers")
  }
  return block.fields
}

const refuseForbidden = (name: string): boolean => {
  const lower = name.toLowerCase()
  if (forbidden.has(lower)) {
    throw new Http1Error("forbidden_trailer", `${lower} cannot be a trailer field`)
  }
  return true
}

/** Trailer lines and the empty line. Throws nothing: `trailers` are trusted like a head's fields. */
export const encodeTrailers = (trailers: Fields): string => {
  let text = ""
  for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`
  return `${text}\r\n`
}

/** What `encodeTrailers` made, received from a peer. Throws Http1Error. */
export const decodeTrailers = (bytes: Buffer, limits: Http1Limits = peerHttp1Limits): Fields => {
  if (bytes.length === 2 && bytes[0] === 0x0d && bytes[1] === 0x0a) return noFields
  return readTrailers(blockText(bytes, limits), limits)
}
