/**
 * Heads and chunk framing as text, to be written as latin1. The text is what RequestReader and
 * ResponseReader (and, between nodes, decodeRequestHead and decodeResponseHead) read back equal.
 *
 * Heads are trusted: those that our readers made are valid by construction. Whoever makes heads
 * from anything else checks them with `unsafePart` first.
 */
import type { Fields, RequestHead, ResponseHead } from "../../model/Exchange.ts"
import { readAuthority } from "./Authority.ts"
import { isFieldValue, isOriginTarget, isToken } from "./Characters.ts"
import { type FieldSection, fieldLines, hasField, sectionOf } from "./FieldSection.ts"
import { isReserved } from "./Sender.ts"
import { encodeTrailers } from "./Trailers.ts"

/**
 * Host first, then the head's fields, then what this hop says about framing and connection. A body
 * and an upgrade exclude each other, as when reading: `upgrade` gives way. `without`: the reader
 * knows the fields already. `more`: whole lines of what is said for this one hop.
 */
export const encodeRequestHead = (head: RequestHead, without?: FieldSection, more = ""): string => {
  const section = without ?? sectionOf(head.fields)
  let text = `${head.method} ${head.target} HTTP/1.1\r\nhost: ${head.authority}\r\n`
  // TE speaks to the next hop and has to say so (RFC 9110 §10.1.4).
  const te = section === undefined ? hasField(head.fields, "te") : section.te
  if (without === undefined) text += section === undefined ? fieldLines(head.fields) : section.text
  text += more
  let hasBody = false
  switch (head.framing.kind) {
    case "length":
      text += `content-length: ${head.framing.length}\r\n`
      hasBody = head.framing.length > 0
      break
    case "stream":
      text += "transfer-encoding: chunked\r\n"
      hasBody = true
      break
    case "none":
  }
  if (head.expectsContinue) text += "expect: 100-continue\r\n"
  if (head.upgrade !== undefined && !hasBody) {
    return `${text}connection: upgrade${te ? ", te" : ""}\r\nupgrade: ${head.upgrade}\r\n\r\n`
  }
  return te ? `${text}connection: te\r\n\r\n` : `${text}\r\n`
}

export interface ResponseOptions {
  /** Of the request that is answered. */
  readonly method: string
  /** Minor version of the request that is answered. */
  readonly version: 0 | 1
  /** The connection stays open afterwards, as far as it is up to the caller; see `mustClose`. */
  readonly keepAlive: boolean
  /**
   * An IMF-fixdate, written unless the head has a Date: an intermediary with a clock adds one
   * (RFC 9110 §6.6.1). The codec has no clock, so without this none is added.
   */
  readonly date?: string | undefined
  /** The reader knows the fields already. */
  readonly without?: FieldSection | undefined
}

/** How the response's body goes onto the wire after `encodeResponseHead`. */
export type BodyCoding =
  /** Nothing may be written. */
  | "none"
  /** Content as it is; its length was announced. */
  | "length"
  | "chunked"
  /** Content as it is; closing the connection ends it (HTTP/1.0 clients). */
  | "until_close"
  /** Bytes of a tunnel as they are, both ways. */
  | "tunnel"

export const responseBodyCoding = (
  head: ResponseHead,
  method: string,
  version: 0 | 1
): BodyCoding => {
  const status = head.status
  if (status === 101 || (method === "CONNECT" && status >= 200 && status < 300)) return "tunnel"
  if (method === "HEAD" || hasNoContent(status) || status === 304) return "none"
  if (head.framing.kind !== "stream") return "length"
  return version === 1 ? "chunked" : "until_close"
}

/** The connection cannot carry another request after this response, whatever the caller wants. */
export const mustClose = (coding: BodyCoding): boolean =>
  coding === "until_close" || coding === "tunnel"

const hasNoContent = (status: number): boolean => status < 200 || status === 204

/**
 * The head's fields, unless they are left out, then what this hop says about framing
 * and connection. The status line says HTTP/1.1 also to HTTP/1.0 clients (RFC 9110 §2.5): it is what the node speaks.
 * A client of 1.0 must not be sent 1xx at all; that is up to the caller.
 */
export const encodeResponseHead = (head: ResponseHead, options: ResponseOptions): string => {
  const { date, method, version, without } = options
  const section = without ?? sectionOf(head.fields)
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n`
  if (without === undefined) text += section === undefined ? fieldLines(head.fields) : section.text
  if (date !== undefined && !(section?.date ?? hasField(head.fields, "date"))) {
    text += `date: ${date}\r\n`
  }
  const coding = responseBodyCoding(head, method, version)
  if (head.status === 101) {
    return `${text}connection: upgrade\r\nupgrade: ${head.upgrade ?? ""}\r\n\r\n`
  }
  if (coding === "tunnel" || head.status < 200) return `${text}\r\n`
  if (head.status !== 204) {
    if (head.framing.kind === "length") text += `content-length: ${head.framing.length}\r\n`
    else if (head.framing.kind === "stream") {
      if (version === 1) text += "transfer-encoding: chunked\r\n"
    } else if (coding === "length") text += "content-length: 0\r\n"
  }
  const closes = !options.keepAlive || mustClose(coding)
  if (head.upgrade !== undefined) {
    const first = closes ? "close, " : version === 0 ? "keep-alive, " : ""
    return `${text}connection: ${first}upgrade\r\nupgrade: ${head.upgrade}\r\n\r\n`
  }
  if (closes) text += "connection: close\r\n"
  else if (version === 0) text += "connection: keep-alive\r\n"
  return `${text}\r\n`
}

/** Stands before a chunk's data. Not for a length of 0, which would end the body. */
export const chunkPrefix = (length: number): string => `${length.toString(16)}\r\n`

/** Stands after a chunk's data. */
export const chunkSuffix = "\r\n"

const lastChunkAlone = "0\r\n\r\n"

/** Ends a chunked body. */
export const lastChunk = (trailers: Fields): string =>
  trailers.length === 0 ? lastChunkAlone : `0\r\n${encodeTrailers(trailers)}`

/**
 * What in a head made elsewhere cannot be written as HTTP/1.1 without changing its meaning (a line
 * break in a value, a blank in a name…), in words; undefined when all is well.
 */
export const unsafePart = (head: RequestHead | ResponseHead): string | undefined => {
  const fields = head.fields
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    if (!isToken(name)) return `header name ${JSON.stringify(name)}`
    if (connectionFields.has(name.toLowerCase())) return `connection header ${name.toLowerCase()}`
    if (!isFieldValue(fields[i + 1]!)) return `the value of header ${name}`
  }
  if ("status" in head) {
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!.toLowerCase()
      if (name.charCodeAt(0) === 0x73 && isReserved(name, "program")) return `mesh header ${name}`
    }
    if (!Number.isInteger(head.status) || head.status < 100 || head.status > 999) {
      return `status ${head.status}`
    }
    return isFieldValue(head.reason) ? undefined : "the reason phrase"
  }
  if (!isToken(head.method)) return `method ${JSON.stringify(head.method)}`
  if (head.authority !== "" && readAuthority(head.authority) !== head.authority) {
    return `authority ${JSON.stringify(head.authority)}`
  }
  const target = head.target
  const targetIsRight =
    head.method === "CONNECT"
      ? readAuthority(target, true) === target
      : isOriginTarget(target) || (target === "*" && head.method === "OPTIONS")
  return targetIsRight ? undefined : `target ${JSON.stringify(target)}`
}

/** Said by `framing`, `authority` and `upgrade`; as a field each would contradict them. */
const connectionFields = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade"
])
