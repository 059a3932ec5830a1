/** What of a message cannot be taken, by which rule, and how a request with it is answered. */
import type { FaultCode } from "../../model/Fault.ts"

/**
 * Every rule, with the fault that answers a request which breaks it (a program's response that does
 * is `upstream_reset`). Stable: they stand in logs, in metrics and in the answer's text. docs/http.md
 * says why each is there.
 */
export const http1Rules = {
  // Start line
  bad_method: "bad_request",
  bad_target: "bad_request",
  bad_authority: "bad_request",
  bad_version: "bad_request",
  unsupported_version: "version_not_supported",
  bad_status: "bad_request",
  bad_reason: "bad_request",
  unsupported_scheme: "bad_request",
  // Field lines
  bare_lf: "bad_request",
  bare_cr: "bad_request",
  obs_fold: "bad_request",
  space_before_name: "bad_request",
  space_before_colon: "bad_request",
  missing_colon: "bad_request",
  bad_field_name: "bad_request",
  bad_field_value: "bad_request",
  // What fields say
  missing_host: "bad_request",
  duplicate_host: "bad_request",
  bad_host: "bad_request",
  both_lengths: "bad_request",
  duplicate_content_length: "bad_request",
  bad_content_length: "bad_request",
  bad_transfer_encoding: "bad_request",
  unsupported_coding: "not_implemented",
  transfer_encoding_in_http10: "bad_request",
  bad_connection: "bad_request",
  body_in_connect: "bad_request",
  bad_switch: "bad_request",
  bad_call_field: "bad_request",
  // Of HTTP/2 alone
  bad_pseudo_field: "bad_request",
  connection_field: "bad_request",
  bad_field: "bad_request",
  unsupported_protocol: "not_implemented",
  // Bodies
  bad_chunk_size: "bad_request",
  bad_chunk_extension: "bad_request",
  bad_chunk_end: "bad_request",
  // Limits
  method_bytes: "not_implemented",
  target_bytes: "target_too_long",
  head_bytes: "head_too_large",
  field_count: "head_too_large",
  chunk_extension_bytes: "bad_request",
  trailer_bytes: "head_too_large",
  interim_bytes: "bad_request",
  pipelined_bytes: "bad_request",
  // Connections
  incomplete: "bad_request",
  unexpected_bytes: "bad_request"
} as const satisfies Readonly<Record<string, FaultCode>>

export type Http1Rule = keyof typeof http1Rules

/** A message that is not unambiguous HTTP/1.1. The connection it came on cannot be used further. */
export class Http1Error extends Error {
  /** The mesh's fault code for it. */
  readonly code: (typeof http1Rules)[Http1Rule]
  readonly rule: Http1Rule

  constructor(rule: Http1Rule, message: string) {
    super(message)
    this.name = "Http1Error"
    this.rule = rule
    this.code = http1Rules[rule]
  }
}

/** At most 40 characters of what was received, safe to put in a message. */
export const excerpt = (text: string, from: number, to = text.length): string => {
  const end = Math.min(to, from + 40)
  const quoted = JSON.stringify(text.slice(from, end) + (end < to ? "..." : ""))
  // JSON leaves DEL and the C1 controls as they are, and terminals obey those.
  return quoted.replace(
    /[\x7f-\xff]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`
  )
}
