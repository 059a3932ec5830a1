/**
 * What stands between a call and an endpoint, outermost first: reading the two lists below is reading
 * what happens. A policy is compiled into their steps once; a part that is not configured makes no
 * step and costs nothing. A call walks the first list (OutboundCall), an attempt the second (Attempt),
 * and neither knows a step by name: another policy is a file of its own and a line here.
 */
import { connectWithin, type Policy } from "../../model/Policy.ts"
import { makeBalancer } from "./Balancer.ts"
import { BreakerStep } from "./BreakerStep.ts"
import type { CallStep } from "./CallStep.ts"
import { CallSteps } from "./CallSteps.ts"
import type { Balancer } from "./Candidate.ts"
import { EjectionStep } from "./EjectionStep.ts"
import type { EndpointStep } from "./EndpointStep.ts"
import { RetryStep } from "./RetryStep.ts"
import { ScoreStep, scoreParameters } from "./ScoreStep.ts"
import type { StepService } from "./StepService.ts"
import { TotalTimeout } from "./TotalTimeout.ts"
import { TryTimeout } from "./TryTimeout.ts"

/** One step, as it is made of a policy. */
interface Line<Step> {
  /** What of the policy it is made of. While that stays as it is, so does the step, with all it knows. */
  readonly of: (policy: Policy) => unknown
  /** Undefined: the policy does not have it. */
  readonly make: (policy: Policy, service: StepService) => Step | undefined
}

export interface StackLines {
  readonly call: ReadonlyArray<Line<CallStep>>
  readonly endpoint: ReadonlyArray<Line<EndpointStep>>
}

export const stackLines: StackLines = {
  // ── Of the call ─────────────────────────────────────────────────────────────────────────────
  call: [
    // Telemetry comes first and is always there: it sees the caller's side of the call, so one
    // request that took three attempts is one observation, with the retries as its events.

    // (Fault injection stands here: outside retry, so that an injected fault reaches the caller it is
    // meant for and is held against no endpoint. Then rate limit: what is refused costs neither retry
    // budget nor endpoint.)

    /**
     * Total timeout: outside retry, so that attempts and back-off together keep the promise made to
     * the caller. There without one too, since a caller may have a deadline of its own.
     */
    {
      of: ({ timeout }) => timeout.request,
      make: ({ timeout }) => new TotalTimeout(timeout.request)
    },

    // (Mirror stands here: a call is copied once, not once per attempt.)

    /** Retry, with its budget: outside the balancer, so that each attempt is balanced anew. */
    {
      of: ({ retry }) => retry,
      make: ({ retry }, service) =>
        retry === "off" || retry.attempts === 0 ? undefined : new RetryStep(retry, service)
    },

    // (Hedge stands here: a hedge is another attempt at the same try.)

    /** Per-try timeout: inside retry, so that running into it can be retried. */
    {
      of: ({ timeout }) => timeout.perTry,
      make: ({ timeout: { perTry } }) => (perTry === undefined ? undefined : new TryTimeout(perTry))
    }
  ],

  // The balancer stands between: it picks among the endpoints that those below leave (Selection).

  // ── Of the endpoint ─────────────────────────────────────────────────────────────────────────
  endpoint: [
    /** Score: first, because what the steps below refuse is news for the balancer too. */
    { of: scoreParameters, make: (policy) => new ScoreStep(scoreParameters(policy)) },

    // (Bulkhead stands here: what finds no room in it says nothing of the circuit.)

    /** Circuit breaker: it lets an endpoint that fails recover, and probes it. */
    {
      of: ({ breaker }) => breaker,
      make: ({ breaker }, service) =>
        breaker === "off" ? undefined : new BreakerStep(breaker, service)
    },

    /** Outlier ejection, one per service: it compares the endpoints with each other. */
    {
      of: ({ ejection }) => ejection,
      make: ({ ejection }, service) =>
        ejection === "off" ? undefined : new EjectionStep(ejection, service)
    }

    // Endpoint metrics come last and are always there: they count what was really sent.
  ]
}

/** A policy, compiled for one service. */
export interface Stack {
  readonly calls: CallSteps
  readonly balancer: Balancer
  readonly endpoints: ReadonlyArray<EndpointStep>
  /** How long an attempt may take to get a connection to the endpoint's program. Milliseconds. */
  readonly connectTimeout: number
  /** Idle limits, of an exchange and of a tunnel. Not steps: they watch all of the above. */
  readonly idleTimeout: number
  readonly tunnelIdleTimeout: number
  /** What a later policy may keep of this one: at the index of their lines. */
  readonly policy: Policy
  readonly lines: StackLines
  readonly made: {
    readonly call: ReadonlyArray<CallStep | undefined>
    readonly endpoint: ReadonlyArray<EndpointStep | undefined>
  }
}

/** Both values are decoded by the same Schema, so their keys come in the same order. */
export const sameValue = (a: unknown, b: unknown): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

/**
 * Compiles a policy. Steps of parts that did not change since `previous`, which is of the same
 * service and lines, keep their state: a reload that changes a timeout forgets neither budget nor
 * ejections.
 */
export const compileStack = (
  policy: Policy,
  service: StepService,
  lines: StackLines,
  previous?: Stack
): Stack => {
  const same = (of: Line<unknown>["of"]): boolean =>
    previous !== undefined && sameValue(of(previous.policy), of(policy))
  const make = <Step>(
    all: ReadonlyArray<Line<Step>>,
    made: ReadonlyArray<Step | undefined> | undefined
  ): ReadonlyArray<Step | undefined> =>
    all.map((line, index) => (same(line.of) ? made?.[index] : line.make(policy, service)))
  const call = make(lines.call, previous?.made.call)
  const endpoint = make(lines.endpoint, previous?.made.endpoint)
  const { timeout } = policy
  return {
    calls: new CallSteps(
      call.filter((step) => step !== undefined),
      service
    ),
    balancer:
      previous !== undefined && same(({ balance }) => balance)
        ? previous.balancer
        : makeBalancer(policy.balance, service.random),
    endpoints: endpoint.filter((step) => step !== undefined),
    connectTimeout: connectWithin(timeout),
    idleTimeout: timeout.idle,
    tunnelIdleTimeout: timeout.tcpIdle,
    policy,
    lines,
    made: { call, endpoint }
  }
}
