/** Which rule a message breaks. Stable: they stand in logs, in metrics and in the answer's text. */
export type Http1Rule =
  // Start line
  | "bad_method"
  | "bad_target"
  | "bad_authority"
  | "bad_version"
  | "bad_status"
  | "bad_reason"
  | "unsupported_scheme"
  // Field lines
  | "bare_lf"
  | "bare_cr"
  | "obs_fold"
  | "space_before_name"
  | "space_before_colon"
  | "missing_colon"
  | "bad_field_name"
  | "bad_field_value"
  // What fields say
  | "missing_host"
  | "duplicate_host"
  | "bad_host"
  | "both_lengths"
  | "duplicate_content_length"
  | "bad_content_length"
  | "bad_transfer_encoding"
  | "transfer_encoding_in_http10"
  | "bad_connection"
  | "body_in_connect"
  | "bad_switch"
  // Bodies
  | "bad_chunk_size"
  | "bad_chunk_extension"
  | "bad_chunk_end"
  | "forbidden_trailer"
  // Limits
  | "head_bytes"
  | "field_count"
  | "chunk_extension_bytes"
  | "trailer_bytes"
  | "pipelined_bytes"
  // Connections
  | "incomplete"
  | "unexpected_bytes"

/** A message that is not unambiguous HTTP/1.1. The connection it came on cannot be used further. */
export class Http1Error extends Error {
  /** The mesh's fault code for it. */
  readonly code: "bad_request" | "head_too_large"
  readonly rule: Http1Rule

  constructor(rule: Http1Rule, message: string) {
    super(message)
    this.name = "Http1Error"
    this.rule = rule
    this.code =
      rule === "head_bytes" || rule === "field_count" || rule === "trailer_bytes"
        ? "head_too_large"
        : "bad_request"
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
