/** The head of a response from its text (RFC 9112 §4 and §6.3). */
import { noBody, type ResponseHead, streamBody } from "../../model/Exchange.ts"
import { blockText } from "./BlockCollector.ts"
import { type BlockSource, StrictBlocks } from "./BlockSource.ts"
import { valueBytes } from "./Characters.ts"
import type { FieldBlock } from "./FieldBlock.ts"
import { bareCr, bareLf } from "./FieldSyntax.ts"
import { excerpt, Http1Error } from "./Http1Error.ts"
import { type Http1Limits, peerHttp1Limits } from "./Limits.ts"
import { relayedUpgrade, switchedProtocols } from "./Upgrade.ts"

export interface ParsedResponse {
  readonly head: ResponseHead
  /** As of ParsedRequest. */
  readonly version: 0 | 1
  /** The connection can carry another request once this response has ended. */
  readonly keepAlive: boolean
  /** Seconds after which the sender closes the connection if it is idle, when it says so. */
  readonly keepAliveTimeout: number | undefined
  /** What follows the head on the wire. */
  readonly body: ResponseBody
  /** As of ParsedRequest. */
  readonly listed: ReadonlyArray<string> | undefined
}

/** `none`: nothing follows, whatever `framing` says (HEAD, 1xx, 204, 304). */
export type ResponseBody = "none" | "length" | "chunked" | "until_close" | "tunnel"

const LF = 0x0a
const CR = 0x0d
const SP = 0x20

/** `method` is that of the request answered. For `text` see `readRequestHead`. */
export const readResponseHead = (
  text: string,
  method: string,
  blocks: BlockSource
): ParsedResponse => {
  const minor = text.charCodeAt(7) - 0x30
  if (!text.startsWith("HTTP/1.") || !(minor >= 0 && minor <= 9) || text.charCodeAt(8) !== SP) {
    throw badStatusLine(text)
  }
  const version = minor === 0 ? 0 : 1
  const hundreds = text.charCodeAt(9) - 0x30
  const tens = text.charCodeAt(10) - 0x30
  const ones = text.charCodeAt(11) - 0x30
  if (!(hundreds >= 1 && hundreds <= 9 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9)) {
    throw badStatusLine(text)
  }
  const status = hundreds * 100 + tens * 10 + ones
  let i = 12
  // The space may be missing when there is no reason: old programs do that, and it is unambiguous.
  if (text.charCodeAt(i) === SP) i++
  else if (text.charCodeAt(i) !== CR) throw badStatusLine(text)
  const reasonStart = i
  while (valueBytes[text.charCodeAt(i)] === 1) i++
  if (text.charCodeAt(i) !== CR || text.charCodeAt(i + 1) !== LF) throw badReason(text, i)
  const reason = text.slice(reasonStart, i)
  const block = blocks.blockAt(text, i + 2)
  return makeResponse(status, reason, version, method, block)
}

const makeResponse = (
  status: number,
  reason: string,
  version: 0 | 1,
  method: string,
  block: FieldBlock
): ParsedResponse => {
  if (block.chunked && version === 0) {
    throw new Http1Error(
      "transfer_encoding_in_http10",
      "an HTTP/1.0 response has a Transfer-Encoding, which a part of its recipients ignore"
    )
  }
  if (block.chunked && block.length !== -1) {
    throw new Http1Error("both_lengths", "both Content-Length and Transfer-Encoding are there")
  }
  const keepAlive = !block.close && (version === 1 || block.keepAlive)
  const upgrade =
    status === 101 ? switchedTo(version, block) : offeredUpgrade(status, version, block)
  const answer = (
    framing: ResponseHead["framing"],
    body: ResponseBody,
    reusable: boolean
  ): ParsedResponse => ({
    head: { status, reason, fields: block.endToEnd, framing, upgrade },
    version,
    keepAlive: reusable,
    keepAliveTimeout: block.keepAliveTimeout,
    body,
    listed: block.listed
  })
  // A tunnel has no lengths; those that are there mean nothing (RFC 9110 §9.3.6).
  if (status === 101 || (method === "CONNECT" && status >= 200 && status < 300)) {
    return answer(streamBody, "tunnel", false)
  }
  if (status < 200 || status === 204) {
    // Ends with its empty line whatever it says. If it says there is more, more may come: the
    // connection is not used again.
    return answer(noBody, "none", keepAlive && !block.chunked && block.length < 1)
  }
  const framing: ResponseHead["framing"] = block.chunked
    ? streamBody
    : block.length === -1
      ? noBody
      : { kind: "length", length: block.length }
  if (method === "HEAD" || status === 304) return answer(framing, "none", keepAlive)
  switch (framing.kind) {
    case "stream":
      return answer(framing, "chunked", keepAlive)
    case "length":
      return answer(framing, "length", keepAlive)
    case "none":
      return answer(streamBody, "until_close", false)
  }
}

/**
 * 426 is nothing without its Upgrade (RFC 9110 §15.5.22), so there it counts unlisted too; elsewhere
 * what Connection does not list has strayed here from another hop (§7.8). Not of 1xx.
 */
const offeredUpgrade = (status: number, version: 0 | 1, block: FieldBlock): string | undefined => {
  if (block.upgrade === undefined || version === 0 || status < 200) return undefined
  return block.upgradeListed || status === 426 ? relayedUpgrade(block.upgrade) : undefined
}

const switchedTo = (version: 0 | 1, block: FieldBlock): string => {
  if (version === 1 && block.upgradeListed && block.upgrade !== undefined) {
    const protocols = switchedProtocols(block.upgrade)
    if (protocols !== undefined) return protocols
  }
  throw new Http1Error(
    "bad_switch",
    "a 101 response does not name the protocol it switches to in Upgrade and Connection"
  )
}

export const badStatusLine = (text: string): Http1Error => {
  const lf = text.indexOf("\n")
  if (lf > 0 && text.charCodeAt(lf - 1) !== CR && /^HTTP\/1\.\d [1-9]\d\d$/.test(text.slice(0, lf)))
    return bareLf()
  const rule = /^HTTP\/1\.\d /.test(text) ? "bad_status" : "bad_version"
  return new Http1Error(
    rule,
    `the response begins with ${excerpt(text, 0, Math.max(1, lf))}, which is not a status line of HTTP/1.1`
  )
}

const badReason = (text: string, at: number): Http1Error => {
  const found = text.charCodeAt(at)
  if (found === LF) return bareLf()
  if (found === CR) return bareCr()
  return new Http1Error("bad_reason", `the reason phrase has control character ${found}`)
}

/**
 * A response head that came from a peer as one block, with its empty line and nothing after it.
 * `method` is that of the request answered. Throws Http1Error.
 */
export const decodeResponseHead = (
  bytes: Buffer,
  method: string,
  limits: Http1Limits = peerHttp1Limits,
  from = 0,
  blocks: BlockSource = new StrictBlocks(limits, "node")
): ParsedResponse => readResponseHead(blockText(bytes, limits, from), method, blocks)
