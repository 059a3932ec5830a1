/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to, as
 * it stands in the `traceparent` and `tracestate` fields. Pure. Strict as the standard asks: a
 * traceparent that is malformed in any way counts as absent, and then so does tracestate.
 */
import type { Fields } from "../../model/Exchange.ts"

export interface TraceParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string
  /** 16 lower-case hex digits, not all zero: the span that made the request. */
  readonly spanId: string
  /** Bit 0: sampled. Bit 1: the trace id is random (level 2). The rest is reserved. */
  readonly flags: number
}

export interface TraceStateEntry {
  readonly key: string
  readonly value: string
}

export interface TraceContext {
  readonly parent: TraceParent
  /** Opaque to us, handed on as it came; empty when absent or not valid. */
  readonly state: string
}

export const sampledFlag = 0x01
const randomFlag = 0x02

const parentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const zeroTrace = "0".repeat(32)
const zeroSpan = "0".repeat(16)

/**
 * Undefined when not valid. A version above 00 is read as 00 as long as it begins like one
 * (§2.2.1.1); version ff is forbidden, and 00 has nothing after the flags.
 */
export const parseTraceparent = (text: string): TraceParent | undefined => {
  const match = parentPattern.exec(text)
  if (match === null) return undefined
  const [, version, traceId, spanId, flags, more] = match
  if (version === "ff" || (version === "00" && more !== undefined)) return undefined
  if (traceId === zeroTrace || spanId === zeroSpan) return undefined
  // The pattern matched, so the three groups are there.
  return { traceId: traceId!, spanId: spanId!, flags: Number.parseInt(flags!, 16) }
}

/** Always version 00: only the flags it defines are written. */
export const formatTraceparent = (parent: TraceParent): string => {
  const flags = parent.flags & (sampledFlag | randomFlag)
  return `00-${parent.traceId}-${parent.spanId}-0${flags}`
}

const maxEntries = 32
// §3.3.1.3.1: a plain key, or tenant@system.
const keyPattern =
  /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
// Printable ASCII without comma and equals sign, not ending with a space.
const valuePattern = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** Undefined when any member is not valid, a key appears twice, or there are more than 32. */
export const parseTracestate = (text: string): ReadonlyArray<TraceStateEntry> | undefined => {
  const entries: Array<TraceStateEntry> = []
  const seen = new Set<string>()
  for (const member of text.split(",")) {
    const trimmed = member.replace(/^[ \t]+|[ \t]+$/g, "")
    if (trimmed === "") continue // empty members are allowed (§3.3.1.2)
    const equals = trimmed.indexOf("=")
    const key = trimmed.slice(0, Math.max(0, equals))
    const value = trimmed.slice(equals + 1)
    if (!keyPattern.test(key) || !valuePattern.test(value) || seen.has(key)) return undefined
    if (entries.length === maxEntries) return undefined
    seen.add(key)
    entries.push({ key, value })
  }
  return entries
}

export const formatTracestate = (entries: ReadonlyArray<TraceStateEntry>): string =>
  entries.map(({ key, value }) => `${key}=${value}`).join(",")

const parentName = "traceparent"
const stateName = "tracestate"

const isNamed = (field: string, name: string): boolean =>
  field.length === name.length && field.toLowerCase() === name

/**
 * The context a request carries. More than one traceparent is as good as none; several
 * tracestate fields are one list (RFC 9110 §5.3).
 */
export const traceContextOf = (fields: Fields): TraceContext | undefined => {
  let parentText: string | undefined
  let state: string | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    if (isNamed(name, parentName)) {
      if (parentText !== undefined) return undefined
      parentText = fields[i + 1]!
    } else if (isNamed(name, stateName)) {
      state = state === undefined ? fields[i + 1]! : `${state},${fields[i + 1]!}`
    }
  }
  if (parentText === undefined) return undefined
  const parent = parseTraceparent(parentText)
  if (parent === undefined) return undefined
  const entries = state === undefined ? undefined : parseTracestate(state)
  return { parent, state: entries === undefined ? "" : formatTracestate(entries) }
}

/** The fields with this context instead of any they carried. */
export const withTraceContext = (fields: Fields, context: TraceContext): Fields => {
  const replaced: Array<string> = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    if (isNamed(name, parentName) || isNamed(name, stateName)) continue
    replaced.push(name, fields[i + 1]!)
  }
  replaced.push(parentName, formatTraceparent(context.parent))
  if (context.state !== "") replaced.push(stateName, context.state)
  return replaced
}
