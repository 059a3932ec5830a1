/**
 * TRACE and OPTIONS whose Max-Forwards has come down to 0 here: this node does not pass them on but
 * answers as their final recipient (RFC 9110 §7.6.2), whatever they are addressed to. That is how
 * a client finds out who stands between it and a program; it is no fault.
 */
import type { RequestHead } from "../../model/Exchange.ts"

/** An answer of the mesh's own that is no fault. */
export interface OwnAnswer {
  readonly status: 200
  /** Besides `skein-node`, and what says how the body is delimited. */
  readonly fields: ReadonlyArray<string>
  /** Latin-1. */
  readonly body: string
}

/** What is relayed, which is whatever comes; these are the ones people know. */
const methods = "CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE"

/**
 * Fields of a request that are left out of what TRACE gives back (RFC 9110 §9.3.8): a script that
 * may not read the cookies of its page must not get them by asking for an echo.
 */
const sensitive = /auth|cookie|credential|key|passw|secret|session|signature|token/i

export const answerFinally = (head: RequestHead): OwnAnswer =>
  head.method === "TRACE"
    ? { status: 200, fields: ["content-type", "message/http"], body: asReceived(head) }
    : { status: 200, fields: ["allow", methods], body: "" }

/** The request as this node understood it, before anything was added for the next hop. */
const asReceived = ({ authority, fields, method, target }: RequestHead): string => {
  let text = `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\n`
  for (let i = 0; i < fields.length; i += 2) {
    if (!sensitive.test(fields[i]!)) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  }
  return `${text}\r\n`
}
