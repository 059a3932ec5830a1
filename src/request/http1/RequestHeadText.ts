/** The head of a request from its text, by the rules of RFC 9112 §3 and §6 for an intermediary. */
import { noBody, type RequestHead, streamBody } from "../../model/Exchange.ts"
import { readAuthority } from "./Authority.ts"
import { blockText, headTooLong } from "./BlockCollector.ts"
import { type BlockSource, StrictBlocks } from "./BlockSource.ts"
import type { CallFields } from "./CallFields.ts"
import { isOriginTarget, isToken, targetEnd, tokenBytes } from "./Characters.ts"
import type { FieldBlock } from "./FieldBlock.ts"
import { bareCr, bareLf } from "./FieldSyntax.ts"
import { excerpt, Http1Error } from "./Http1Error.ts"
import { type Http1Limits, peerHttp1Limits } from "./Limits.ts"
import { relayedUpgrade } from "./Upgrade.ts"

export interface ParsedRequest {
  /** For CONNECT, `target` and `authority` are both the authority-form. */
  readonly head: RequestHead
  /** 0: HTTP/1.0. 1: any later HTTP/1.x, which is read as HTTP/1.1 (RFC 9110 §2.5). */
  readonly version: 0 | 1
  /** The client wants the connection to stay open after the response. */
  readonly keepAlive: boolean
  /** Names that Connection lists: taken out of the head, and to be taken out of trailers. */
  readonly listed: ReadonlyArray<string> | undefined
  /** What the client says of its call: taken out of the head. */
  readonly call: CallFields | undefined
}

const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const zero = 0x30
const nine = 0x39

/**
 * `text` is latin1 and ends with a LF: either that of the empty line, or, for a head that is
 * already known to be wrong, any other.
 */
export const readRequestHead = (
  text: string,
  blocks: BlockSource,
  limits: Http1Limits
): ParsedRequest => {
  let i = 0
  while (tokenBytes[text.charCodeAt(i)] === 1) i++
  if (i > limits.methodBytes) throw methodTooLong(text, limits)
  if (i === 0 || text.charCodeAt(i) !== SP) throw badMethod(text, i)
  const method = text.slice(0, i)
  if (method === "PRI") throw badPreface()
  const targetStart = ++i
  i = targetEnd(text, targetStart)
  if (i - targetStart > limits.targetBytes) throw targetTooLong(limits)
  if (i === targetStart || text.charCodeAt(i) !== SP) throw badTarget(text, targetStart, i)
  const target = text.slice(targetStart, i)
  const minor = text.charCodeAt(i + 8)
  if (!text.startsWith(" HTTP/1.", i) || !(minor >= zero && minor <= nine)) {
    throw badVersion(text, i + 1)
  }
  if (text.charCodeAt(i + 9) !== CR || text.charCodeAt(i + 10) !== LF) throw badVersion(text, i + 1)
  const version = minor === zero ? 0 : 1
  const block = blocks.blockAt(text, i + 11)
  return makeRequest(method, target, version, block)
}

const makeRequest = (
  method: string,
  target: string,
  version: 0 | 1,
  block: FieldBlock
): ParsedRequest => {
  let path = target
  let authority = hostOf(version, block)
  if (method === "CONNECT") {
    authority = connectAuthority(target)
    path = authority
    if (block.chunked || block.length !== -1) {
      // Some recipients take such bytes as content, some as the start of the tunnel.
      throw new Http1Error("body_in_connect", "a CONNECT request cannot have a body")
    }
  } else if (target.charCodeAt(0) !== 0x2f) {
    if (target === "*") {
      if (method !== "OPTIONS") throw new Http1Error("bad_target", "target * is for OPTIONS only")
    } else {
      const slash = absoluteAuthorityEnd(target)
      authority = absoluteAuthority(target, slash)
      path = target.slice(slash)
      if (path === "") path = method === "OPTIONS" ? "*" : "/"
      else if (path.charCodeAt(0) !== 0x2f) path = `/${path}`
      if (path !== "*" && !isOriginTarget(path)) throw badTarget(target, 0, target.length)
    }
  }
  const framing = requestFraming(version, block)
  const hasBody = framing.kind === "stream" || (framing.kind === "length" && framing.length > 0)
  return {
    head: {
      method,
      target: path,
      authority,
      fields: block.endToEnd,
      framing,
      upgrade: version === 1 && !hasBody ? requestedUpgrade(block) : undefined,
      // A 1.0 client does not mean it (RFC 9110 §10.1.1).
      expectsContinue: version === 1 && block.expectsContinue
    },
    version,
    keepAlive: !block.close && (version === 1 || block.keepAlive),
    listed: block.listed,
    call: block.call
  }
}

/** An empty Host is what a client sends for a target without authority (RFC 9112 §3.2). */
const hostOf = (version: 0 | 1, block: FieldBlock): string => {
  const { host } = block
  if (host === undefined) {
    if (version === 0) return ""
    throw new Http1Error("missing_host", "an HTTP/1.1 request has no Host field")
  }
  if (host === "") return ""
  const authority = readAuthority(host)
  if (authority !== undefined) return authority
  throw new Http1Error("bad_host", `host ${excerpt(host, 0)} is not a host or host:port${ports}`)
}

const connectAuthority = (target: string): string => {
  const authority = readAuthority(target, true)
  if (authority !== undefined) return authority
  const what = `CONNECT needs host:port, not ${excerpt(target, 0)}${ports}`
  throw new Http1Error("bad_target", what)
}

const absoluteAuthority = (target: string, end: number): string => {
  const authority = readAuthority(target.slice("http://".length, end))
  if (authority !== undefined) return authority
  const what = `target ${excerpt(target, 0)} has no plain host or host:port${ports}`
  throw new Http1Error("bad_authority", what)
}

const ports = " (ports are 1 to 65535)"

/** The offset in an absolute-form target at which path or query begin. */
const absoluteAuthorityEnd = (target: string): number => {
  const scheme = target.slice(0, "http://".length).toLowerCase()
  if (scheme !== "http://") {
    const separator = target.indexOf("://")
    throw separator > 0 && isToken(target.slice(0, separator))
      ? new Http1Error(
          "unsupported_scheme",
          `target ${excerpt(target, 0)}: only http:// is carried; use CONNECT for others`
        )
      : new Http1Error(
          "bad_target",
          `target ${excerpt(target, 0)} does not begin with "/" or "http://"`
        )
  }
  for (let i = scheme.length; i < target.length; i++) {
    const at = target.charCodeAt(i)
    if (at === 0x2f || at === 0x3f) return i
  }
  return target.length
}

const requestFraming = (version: 0 | 1, block: FieldBlock): RequestHead["framing"] => {
  if (block.chunked) {
    if (version === 0) {
      throw new Http1Error(
        "transfer_encoding_in_http10",
        "an HTTP/1.0 message has a Transfer-Encoding, which a part of its recipients ignore"
      )
    }
    if (block.length !== -1) {
      throw new Http1Error("both_lengths", "both Content-Length and Transfer-Encoding are there")
    }
    return streamBody
  }
  return block.length === -1 ? noBody : { kind: "length", length: block.length }
}

/** What the client asks to switch to. */
const requestedUpgrade = (block: FieldBlock): string | undefined =>
  block.upgradeListed && block.upgrade !== undefined ? relayedUpgrade(block.upgrade) : undefined

/**
 * A head is not over after as many bytes as it may have, which are `text`: what fills them decides
 * how that is answered (RFC 9112 §3).
 */
export const requestTooLong = (text: string, limits: Http1Limits): Http1Error => {
  let i = 0
  while (tokenBytes[text.charCodeAt(i)] === 1) i++
  if (i > limits.methodBytes) return methodTooLong(text, limits)
  if (text.charCodeAt(i) !== SP) return headTooLong(limits.headBytes)
  return targetEnd(text, i + 1) - (i + 1) > limits.targetBytes
    ? targetTooLong(limits)
    : headTooLong(limits.headBytes)
}

const methodTooLong = (text: string, limits: Http1Limits): Http1Error =>
  new Http1Error(
    "method_bytes",
    `method ${excerpt(text, 0, limits.methodBytes)} is longer than ${limits.methodBytes} characters`
  )

const targetTooLong = (limits: Http1Limits): Http1Error =>
  new Http1Error("target_bytes", `the target is longer than ${limits.targetBytes} characters`)

/** `text[at]` ended the method too early or is no byte of a method. */
/** Content type of the record a TLS client begins with (RFC 8446 §5.1). */
const tlsHandshake = 0x16

export const badMethod = (text: string, at: number): Http1Error => {
  const found = text.charCodeAt(at)
  if (found === LF) return bareLf()
  if (at > 0 && found === CR && text.charCodeAt(at + 1) !== LF) return bareCr()
  if (at === 0 && found === tlsHandshake) {
    return new Http1Error(
      "bad_method",
      "the connection begins with a TLS handshake, and this port speaks plain HTTP: call http://, not https://"
    )
  }
  return new Http1Error(
    "bad_method",
    `the request begins with ${excerpt(text, 0, at + 1)}, which is not an HTTP method`
  )
}

/** Reserved, so that a server of HTTP/1.1 alone fails (RFC 9113 §3.4, §11.6). */
const badPreface = (): Http1Error =>
  new Http1Error(
    "unsupported_version",
    "the request begins as HTTP/2 does, which has to be the whole beginning of a connection"
  )

const badTarget = (text: string, from: number, at: number): Http1Error => {
  const found = text.charCodeAt(at)
  if (found === LF) return bareLf()
  if (found === CR) {
    return text.charCodeAt(at + 1) === LF
      ? new Http1Error("bad_version", "the request line has no HTTP version")
      : bareCr()
  }
  return new Http1Error(
    "bad_target",
    `request target ${excerpt(text, from, at + 1)} is empty or has a character it may not have`
  )
}

const badVersion = (text: string, from: number): Http1Error => {
  const lf = text.indexOf("\n", from)
  const end = text.charCodeAt(lf - 1) === CR ? lf - 1 : lf
  const version = text.slice(from, end)
  if (end === lf && /^HTTP\/1\.\d$/.test(version)) return bareLf()
  return /^HTTP\/\d\.\d$/.test(version)
    ? new Http1Error("unsupported_version", `${version} is not spoken here, HTTP/1.1 is`)
    : new Http1Error(
        "bad_version",
        `${excerpt(version, 0)} is not HTTP/1.1 or HTTP/1.0, followed by the end of the line`
      )
}

/**
 * A request head that came from a peer as one block, with its empty line and nothing after it.
 * Throws Http1Error.
 */
export const decodeRequestHead = (
  bytes: Buffer,
  limits: Http1Limits = peerHttp1Limits,
  from = 0,
  blocks: BlockSource = new StrictBlocks(limits, "node")
): ParsedRequest => readRequestHead(blockText(bytes, limits, from), blocks, limits)
