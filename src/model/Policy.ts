/**
 * How calls to a service are made resilient, as the request plane is given it: decoded, complete,
 * every time in milliseconds. What each field means to whoever sets it, every default and every rule
 * are in schema/PolicySchema.ts and nowhere else.
 */
import type { GrpcCondition } from "./GrpcStatus.ts"

/** What limits a part is shorter than what limits the whole, but for a default that was not set. */
export interface TimeoutPolicy {
  /** One attempt, until there is a connection to the program. What holds is `connectWithin`. */
  readonly connect: number
  /** All attempts together, waits included; undefined: no limit. Not for tunnels. */
  readonly request?: number | undefined
  /** One attempt, until its response head; undefined: no limit. Not for tunnels. */
  readonly perTry?: number | undefined
  /** Neither direction moved a byte. */
  readonly idle: number
  /** The same for tunnels. */
  readonly tcpIdle: number
}

const never = Number.POSITIVE_INFINITY

/**
 * `connect` as it is kept to. An attempt that has not connected may be made again whatever it asks
 * for, and one that ran into `perTry` or `request` may not; so where the default is not shorter than
 * these, it is half of the shorter one.
 */
export const connectWithin = ({
  connect,
  perTry = never,
  request = never
}: TimeoutPolicy): number => {
  const whole = Math.min(perTry, request)
  return connect < whole ? connect : whole / 2
}

export type RetryCondition =
  /** Nothing was sent: safe for every method. */
  | "connect_failure"
  /** Broken off before any response byte. */
  | "reset"
  /** Status 500–599. */
  | "5xx"
  /** Status 502, 503, 504. */
  | "gateway_error"
  /** The per-try timeout. */
  | "timeout"
  /** Status 429. */
  | "rate_limited"
  /** A call of gRPC would be told this status, by its program or by the mesh. */
  | GrpcCondition

/** Decoded lists say something. */
type NonEmpty<A> = readonly [A, ...ReadonlyArray<A>]

/** A wait that starts at `base` and doubles to `max`. */
export interface WaitRange {
  readonly base: number
  readonly max: number
}

/** At most ratio × requests + minPerSecond × window retries in every window that ends with one. */
export interface RetryBudgetPolicy {
  readonly ratio: number
  readonly minPerSecond: number
  readonly window: number
}

export interface RetryPolicy {
  /** Further attempts after the first. */
  readonly attempts: number
  readonly on: NonEmpty<RetryCondition>
  /** Methods that may be sent twice; `*` is every method. */
  readonly methods: NonEmpty<Uppercase<string>>
  readonly budget: RetryBudgetPolicy
  /** Full jitter: random(0, min(max, base·2^attempt)). */
  readonly backoff: WaitRange
  /** Bytes of request body kept so that it can be sent again. */
  readonly bodyLimit: number
}

/** Circuit breaker per endpoint. */
export interface BreakerPolicy {
  readonly consecutiveFailures: number
  /** How long it is open, ± half of it at random. */
  readonly open: WaitRange
  /** How long one probe is waited for before the next request is another. */
  readonly probe: number
}

/** Outlier ejection among a service's endpoints. */
export interface EjectionPolicy {
  readonly consecutive5xx: number
  /** Ejected for base × times ejected, at most `max`. */
  readonly base: number
  readonly max: number
  /** Of the endpoints, above 0 and up to 100; one may always be ejected. */
  readonly maxPercent: number
  /** Between two looks at success rates. */
  readonly interval: number
  /** Below the median, both: deviations … */
  readonly successRateDeviations: number
  /** … and percentage points. */
  readonly successRateMargin: number
  /** What has to be there for rates to be compared: endpoints with at least `minRequests` each. */
  readonly minEndpoints: number
  readonly minRequests: number
}

export type BalancePolicy =
  /** Power of two choices on peak-EWMA latency × in flight. */
  | {
      readonly kind: "p2c_ewma"
      /** Assumed latency while an endpoint's first answer is awaited. */
      readonly initial: number
      /** Time constant with which latencies and failures are forgotten. */
      readonly decay: number
    }
  | { readonly kind: "round_robin" }
  /** Two choices, fewer in flight wins. */
  | { readonly kind: "least_request" }

export interface Policy {
  readonly timeout: TimeoutPolicy
  readonly retry: "off" | RetryPolicy
  readonly breaker: "off" | BreakerPolicy
  readonly ejection: "off" | EjectionPolicy
  readonly balance: BalancePolicy
}
