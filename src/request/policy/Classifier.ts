/**
 * One verdict per attempt, shared by retry, breaker, ejection, balancer and metrics, so that they
 * never disagree about what happened.
 */
import type { Fault, FaultCode } from "../../model/Fault.ts"
import type { RetryCondition } from "../../model/Policy.ts"

export interface Verdict {
  /** Bounded: it is a metric label. */
  readonly name:
    | "success"
    | "rate_limited"
    | "server_error"
    | "gateway_error"
    | "connect_failure"
    | "reset"
    | "timeout"
    | "overflow"
    | "refused"
  /** What breaker and ejection count it as. */
  readonly success: boolean
  /** The work was done: only then does the time it took say how fast the endpoint is. */
  readonly served: boolean
  /** Another endpoint might have done better. Any of these in a policy makes it retryable; the first is its name as a retry reason. */
  readonly conditions: ReadonlyArray<RetryCondition>
}

const verdict = (
  name: Verdict["name"],
  success: boolean,
  served: boolean,
  ...conditions: ReadonlyArray<RetryCondition>
): Verdict => ({ name, success, served, conditions })

export const verdicts = {
  success: verdict("success", true, true),
  /** An answer, but not what was asked for: 404, say. The caller's doing, as a rule. */
  declined: verdict("success", true, false),
  /** The endpoint works and says "not so fast". */
  rateLimited: verdict("rate_limited", true, false, "rate_limited"),
  serverError: verdict("server_error", false, false, "5xx"),
  gatewayError: verdict("gateway_error", false, false, "gateway_error", "5xx"),
  connectFailure: verdict("connect_failure", false, false, "connect_failure"),
  reset: verdict("reset", false, false, "reset"),
  timeout: verdict("timeout", false, false, "timeout"),
  /**
   * A node on the way had no room, so the endpoint was not asked: another one may well serve. What
   * it is to breaker and ejection does not matter, since they are not told.
   */
  overflow: verdict("overflow", true, false, "connect_failure"),
  /** The request's own fault (malformed, forbidden): no other endpoint would answer otherwise. */
  refused: verdict("refused", true, false)
} as const

/** A caller that was given this has what it came for, as far as the endpoint is concerned. */
export const isWell = (verdict: Verdict): boolean =>
  verdict.conditions.length === 0 && verdict !== verdicts.refused

/** Without a word from the endpoint's node: what a broken link leaves behind. */
export const isBrokenOff = (verdict: Verdict): boolean =>
  verdict === verdicts.connectFailure || verdict === verdicts.reset || verdict === verdicts.timeout

/**
 * By status alone. 4xx is the caller's doing and so a success of the endpoint's; so are 501 and 505,
 * which say that this method or version is not served here, to whoever asks (RFC 9110 §15.6.2).
 */
export const classifyStatus = (status: number): Verdict => {
  if (status < 400) return verdicts.success
  if (status < 500) return status === 429 ? verdicts.rateLimited : verdicts.declined
  if (status === 501 || status === 505) return verdicts.declined
  return status >= 502 && status <= 504 ? verdicts.gatewayError : verdicts.serverError
}

/**
 * By `grpc-status` (https://grpc.io/docs/guides/status-codes/), as Linkerd does: these say that
 * the server failed; the rest is between caller and application.
 */
export const classifyGrpc = (code: string): Verdict => {
  switch (code) {
    case "4": // DEADLINE_EXCEEDED
      return verdicts.timeout
    case "8": // RESOURCE_EXHAUSTED
      return verdicts.rateLimited
    case "14": // UNAVAILABLE
      return verdicts.gatewayError
    case "2": // UNKNOWN
    case "13": // INTERNAL
    case "15": // DATA_LOSS
      return verdicts.serverError
    case "0":
      return verdicts.success
    default:
      return verdicts.declined
  }
}

const faultVerdicts: Readonly<Record<FaultCode, Verdict>> = {
  bad_request: verdicts.refused,
  head_too_large: verdicts.refused,
  target_too_long: verdicts.refused,
  not_implemented: verdicts.refused,
  version_not_supported: verdicts.refused,
  denied: verdicts.refused,
  rate_limited: verdicts.rateLimited,
  overflow: verdicts.overflow,
  // The three below come from the endpoint's node before anything reached the endpoint: our view
  // of it is behind, and another endpoint may well serve.
  route_not_found: verdicts.connectFailure,
  no_healthy_endpoint: verdicts.connectFailure,
  draining: verdicts.connectFailure,
  upstream_connect: verdicts.connectFailure,
  upstream_reset: verdicts.reset,
  upstream_timeout: verdicts.timeout,
  client_gone: verdicts.refused,
  client_timeout: verdicts.refused
}

/** By the fault that ended the attempt in place of a response. */
export const classifyFault = (fault: Fault): Verdict => {
  const found = faultVerdicts[fault.code]
  // Whatever broke or took too long, it was before the endpoint saw the request.
  if (!fault.sent && (found === verdicts.reset || found === verdicts.timeout)) {
    return verdicts.connectFailure
  }
  // The other way round: a "connect failure" that may have been seen is not safe to repeat.
  if (fault.sent && (found === verdicts.connectFailure || found === verdicts.overflow)) {
    return verdicts.reset
  }
  return found
}
