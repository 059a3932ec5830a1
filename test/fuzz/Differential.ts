/**
 * The judgement on one input: our reading beside llhttp's.
 *
 * 1. What llhttp refuses we refuse, but for what `Laxer.ts` lists.
 * 2. What both take we understand alike: heads, bodies, trailers, and so where each message ends.
 * 3. Where only we refuse, the messages before agree, and the rule is one of those below.
 */

import { registeredMethods } from "./Llhttp.ts"
import { requests, responses } from "./MessageGrammar.ts"
import { mutate } from "./Mutation.ts"
import type { Random } from "./Random.ts"
import type { Message, Reading } from "./Reading.ts"
import { requestsByLlhttp, requestsByUs } from "./RequestReading.ts"
import { responsesByLlhttp, responsesByUs } from "./ResponseReading.ts"

/** Where we are stricter than llhttp, and why. Being stricter by any other rule is a failure. */
export const stricterBy: Readonly<Record<string, string>> = {
  bad_target: "targets of other forms than RFC 9112 §3.2 names, for the methods it names them for",
  bad_authority: "userinfo and characters that no host name has: hosts are compared, not decoded",
  unsupported_scheme: "absolute-form is carried for http:// only",
  bad_version: "HTTP/0.9 without its name, and HTTP/2.0 in a response",
  unsupported_version: "HTTP/0.9 and HTTP/2.0, which llhttp takes in a request line",
  bad_reason: "control bytes in the reason phrase",
  bad_status: "status codes below 100",
  missing_host: "llhttp leaves Host to its caller (node:http refuses too)",
  duplicate_host: "as above",
  bad_host: "as above",
  duplicate_content_length: "also for equal values and where llhttp compares only framing",
  bad_content_length: "more than 2^53 - 1 bytes, 17 digits, tabs beside the number",
  both_lengths: "in responses llhttp lets Transfer-Encoding win",
  bad_transfer_encoding: "codings besides chunked, lists, tabs: no recipient agrees on them",
  unsupported_coding: "as above, where they are at least well said",
  transfer_encoding_in_http10: "a part of the recipients ignore it (RFC 9112 §6.1)",
  bad_connection: "connection options that are no names",
  body_in_connect: "content of CONNECT could pass for the tunnel's first bytes",
  bad_call_field: "deadlines and attempts of the mesh's own that are no numbers",
  bad_switch: "101 without the protocol that is switched to",
  bad_chunk_size: "more than 16 digits or 2^53 - 1 bytes",
  bad_chunk_extension: "extensions that are not name=value by the letter",
  obs_fold: "llhttp joins folded lines of a response",
  unexpected_bytes: "bytes after a response that nobody asked for",
  bare_lf: "a line of its own before a start line, and the end of HTTP/0.9's request line",
  bare_cr: "a second empty line, or half of one, before a start line",
  bad_method: "more than one empty line before a request",
  missing_colon: "in trailers"
}

export type Outcome = "alike" | "both_refuse" | "only_we_refuse" | "by_design"

export interface Judgement {
  readonly outcome: Outcome
  /** The rule, where only we refuse. */
  readonly rule: string | undefined
  /** What is wrong; undefined when all is well. */
  readonly violation: string | undefined
}

const outcome = (kind: Outcome, rule?: string): Judgement => ({
  outcome: kind,
  rule,
  violation: undefined
})
const violation = (what: string): Judgement => ({
  outcome: "by_design",
  rule: undefined,
  violation: what
})

const same = (a: Message, b: Message): boolean =>
  a.head === b.head && a.body === b.body && a.trailers === b.trailers && a.complete === b.complete

const show = (message: Message | undefined): string => JSON.stringify(message ?? null)

/** The first of the messages both have whole that differs. */
const disagreement = (ours: Reading, theirs: Reading): string | undefined => {
  const common = Math.min(ours.messages.length, theirs.messages.length)
  for (let i = 0; i < common; i++) {
    const a = ours.messages[i]!
    const b = theirs.messages[i]!
    if (!a.complete || !b.complete) {
      if (a.head !== b.head) return `message ${i}: we ${show(a)}, llhttp ${show(b)}`
    } else if (!same(a, b)) return `message ${i}: we ${show(a)}, llhttp ${show(b)}`
  }
  return undefined
}

/** `refusesLater`: our reading of the same bytes with the missing line ends. */
export const judge = (ours: Reading, theirs: Reading, refusesLater: () => boolean): Judgement => {
  const apart = disagreement(ours, theirs)
  if (apart !== undefined) return violation(apart)
  const wePass = ours.ended && ours.messages.length <= theirs.messages.length
  const theyPass = theirs.ended && theirs.messages.length <= ours.messages.length
  if (theirs.refused !== undefined && !wePass) {
    // We collect a head before we look at it, so we may still be waiting for its end.
    const weRefuse = ours.refused !== undefined && (ours.refused !== "incomplete" || refusesLater())
    return weRefuse
      ? outcome("both_refuse")
      : violation(`llhttp refuses (${theirs.refused}), we do not: ${show(ours.messages.at(-1))}`)
  }
  if (ours.refused !== undefined && ours.refused !== "incomplete" && !theyPass) {
    return ours.refused in stricterBy
      ? outcome("only_we_refuse", ours.refused)
      : violation(`only we refuse, by ${ours.refused}, which is not on the list`)
  }
  if (theyPass && !wePass) return outcome("by_design")
  if (ours.messages.length !== theirs.messages.length) {
    return violation(`we read ${ours.messages.length} messages, llhttp ${theirs.messages.length}`)
  }
  const last = ours.messages.at(-1)
  const theirLast = theirs.messages.at(-1)
  if (last !== undefined && theirLast !== undefined && !same(last, theirLast)) {
    return violation(`the unfinished message: we ${show(last)}, llhttp ${show(theirLast)}`)
  }
  if (ours.tunnel !== undefined && theirs.tunnel !== undefined && ours.tunnel !== theirs.tunnel) {
    return violation(
      `the tunnel begins: we ${JSON.stringify(ours.tunnel)}, llhttp ${JSON.stringify(theirs.tunnel)}`
    )
  }
  return outcome("alike")
}

/** Mostly whole; sometimes in two pieces, sometimes byte by byte. */
const piecesOf = (bytes: Buffer, cut: number): ReadonlyArray<Buffer> => {
  if (cut < 0) return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
  return cut === 0 || cut >= bytes.length ? [bytes] : [bytes.subarray(0, cut), bytes.subarray(cut)]
}

/** One kind of input: how to make one, and how to judge it. */
export interface Target {
  readonly name: string
  make(random: Random): Buffer
  judge(bytes: Buffer): Judgement
}

/** How the bytes are cut follows from them, so that bytes alone repeat a finding. */
const cutOf = (bytes: Buffer): number => {
  const sum = bytes.length * 31 + (bytes[bytes.length >> 1] ?? 0)
  return sum % 8 === 0 ? -1 : sum % 4 === 0 ? sum % Math.max(1, bytes.length) : 0
}

const lineEnds = Buffer.from("\r\n\r\n")

export const requestTarget: Target = {
  name: "requests",
  make: (random) => Buffer.from(mutate(random, requests(random)), "latin1"),
  judge: (bytes) => {
    let ours = requestsByUs(piecesOf(bytes, cutOf(bytes)))
    const theirs = requestsByLlhttp(bytes)
    if (theirs.refused === "HPE_INVALID_METHOD") {
      // llhttp refuses methods that are not registered; an intermediary may not.
      if (ours.refused === "incomplete") ours = requestsByUs([bytes, lineEnds])
      const method = ours.messages[theirs.messages.length]?.head.split(" ")[0]
      if (method !== undefined && !registeredMethods.has(method)) {
        const apart = disagreement(ours, theirs)
        return apart === undefined ? outcome("by_design") : violation(apart)
      }
    }
    return judge(ours, theirs, () => {
      const later = requestsByUs([bytes, lineEnds])
      return later.refused !== undefined && later.refused !== "incomplete"
    })
  }
}

const methods = ["GET", "GET", "POST", "HEAD", "CONNECT"]

const responseTarget = (method: string): Target => ({
  name: `responses to ${method}`,
  make: (random) => Buffer.from(mutate(random, responses(random)), "latin1"),
  judge: (bytes) => {
    const theirs = responsesByLlhttp(method, bytes)
    // Byte by byte where there may be several: what follows a response in the same read belongs to
    // no request, and is refused.
    const several = theirs.messages.length > 1 || theirs.refused !== undefined
    const ours = responsesByUs(method, piecesOf(bytes, several ? -1 : cutOf(bytes)))
    return judge(ours, theirs, () => {
      const later = responsesByUs(method, [...piecesOf(bytes, -1), lineEnds])
      return later.refused !== undefined && later.refused !== "incomplete"
    })
  }
})

export const responseTargets: ReadonlyArray<Target> = [...new Set(methods)].map(responseTarget)
