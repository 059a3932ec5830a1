/**
 * What stands between a call and an endpoint, outermost first. A policy is compiled into this
 * once; a part that is not configured is undefined and its step does not exist on the request
 * path. OutboundExchange walks the steps in this order.
 */
import { connectWithin, type Policy } from "../../model/Policy.ts"
import { Breaker } from "../policy/Breaker.ts"
import { OutlierEjection } from "../policy/OutlierEjection.ts"
import { makeBalancer } from "./Balancer.ts"
import type { Balancer } from "./Candidate.ts"
import { RetryStep } from "./RetryStep.ts"

export interface Stack {
  // Telemetry comes first and is always there: it sees the caller's side of the call, so one
  // request that took three attempts is one observation, with the retries as its events.

  // (Fault injection stands here: outside retry, so that an injected fault reaches the caller it is
  // meant for and is held against no endpoint. Then rate limit: what is refused costs neither retry
  // budget nor endpoint.)

  /**
   * Total timeout: outside retry, so that attempts and back-off together keep the promise made to
   * the caller. Milliseconds.
   */
  readonly totalTimeout: number | undefined

  // (Mirror stands here: a call is copied once, not once per attempt.)

  /** Retry, with its budget: outside the balancer, so that each attempt is balanced anew. */
  readonly retry: RetryStep | undefined

  // (Hedge stands here: a hedge is another attempt at the same try.)

  /** Per-try timeout: inside retry, so that running into it can be retried. Milliseconds. */
  readonly perTryTimeout: number | undefined

  /** Picks an endpoint among those the steps below leave (Selection). */
  readonly balancer: Balancer

  // Per endpoint, from here on. (Bulkhead stands here.)

  /** Makes an endpoint's circuit breaker: it lets one that fails recover, and probes it. */
  readonly breaker: (() => Breaker) | undefined

  /** Outlier ejection, one per service: it compares the endpoints with each other. */
  readonly ejection: OutlierEjection | undefined

  // Endpoint metrics come last, so that they count what was really sent.

  /** How long an attempt may take to get a connection to the endpoint's program. Milliseconds. */
  readonly connectTimeout: number

  /** Idle limits, of an exchange and of a tunnel. Not a step: they watch all of the above. */
  readonly idleTimeout: number
  readonly tunnelIdleTimeout: number
}

/** Both values are decoded by the same Schema, so their keys come in the same order. */
export const sameValue = (a: unknown, b: unknown): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

/**
 * Compiles a policy. Parts that did not change since `previous` keep their state: a reload that
 * changes a timeout forgets neither budget nor ejections.
 */
export const compileStack = (
  policy: Policy,
  random: () => number,
  previous?: { readonly policy: Policy; readonly stack: Stack }
): Stack => {
  const kept = (part: keyof Policy): Stack | undefined =>
    previous !== undefined && sameValue(previous.policy[part], policy[part])
      ? previous.stack
      : undefined
  const { breaker, ejection, retry, timeout } = policy
  return {
    totalTimeout: timeout.request,
    retry:
      retry === "off" || retry.attempts === 0
        ? undefined
        : (kept("retry")?.retry ?? new RetryStep(retry)),
    perTryTimeout: timeout.perTry,
    balancer: kept("balance")?.balancer ?? makeBalancer(policy.balance, random),
    breaker: breaker === "off" ? undefined : () => new Breaker(breaker),
    ejection:
      ejection === "off"
        ? undefined
        : (kept("ejection")?.ejection ?? new OutlierEjection(ejection)),
    connectTimeout: connectWithin(timeout),
    idleTimeout: timeout.idle,
    tunnelIdleTimeout: timeout.tcpIdle
  }
}
