/**
 * How calls to a service are made resilient: one typed value, the same whether it was written in
 * YAML (and decoded) or in TypeScript (and checked by the compiler). Every default is here and
 * nowhere else. Times are milliseconds once decoded; written as `2s`, `500ms`.
 */
import { Schema } from "effect"
import { Millis } from "./Duration.ts"

const ms = (text: string) => Schema.optionalWith(Millis, { default: () => decodeMillis(text) })
const decodeMillis = Schema.decodeSync(Millis)
const positive = Schema.Number.pipe(Schema.positive())
const count = Schema.Int.pipe(Schema.between(1, 1_000_000))
const withDefault = <A, I>(schema: Schema.Schema<A, I>, value: A) =>
  Schema.optionalWith(schema, { default: () => value })

/**
 * Timeouts. `request` covers retries and back-off too; absent means no limit. Neither it nor `perTry`
 * holds for tunnels: TCP, and what follows a 101.
 */
export const TimeoutPolicy = Schema.Struct({
  /**
   * One attempt: until there is a connection to the endpoint's program. It covers the wait for a
   * link to its node while one is being made and, at that node, the wait for a connection that is
   * free or new. An attempt at a link fails by itself after 5 s, also for who would wait longer.
   * Linkerd: 1 s.
   */
  connect: ms("1s"),
  /** From the request's head to the end of the response, all attempts together. */
  request: Schema.optional(Millis),
  /** One attempt: until its response head. */
  perTry: Schema.optional(Millis),
  /** Neither direction moved a byte. HTTP default as Envoy's stream idle timeout. */
  idle: ms("5m"),
  /** The same for tunnels. */
  tcpIdle: ms("1h")
}).annotations({ identifier: "TimeoutPolicy" })

export const RetryCondition = Schema.Literal(
  /** Nothing was sent: safe for every method. */
  "connect_failure",
  /** Broken off before any response byte. */
  "reset",
  /** Status 500–599. */
  "5xx",
  /** Status 502, 503, 504. */
  "gateway_error",
  /** The per-try timeout. */
  "timeout",
  /** Status 429. */
  "rate_limited"
)
export type RetryCondition = typeof RetryCondition.Type

const Method = Schema.String.pipe(
  Schema.pattern(/^([A-Z][A-Z-]*|\*)$/, {
    message: (issue) =>
      `${JSON.stringify(issue.actual)} is not a method; write it in capitals, like POST, or * for all`
  })
)

/**
 * At most ratio × requests + minPerSecond × window retries in every window that ends with one; and
 * of that only a part while retries do not help: (helped + 8) / (made + 8).
 */
export const RetryBudgetPolicy = Schema.Struct({
  /** Retries per request, over the window. Linkerd: 0.2. */
  ratio: withDefault(Schema.Number.pipe(Schema.between(0, 10)), 0.2),
  /**
   * Retries per second besides, so that few requests have retries at all. Not for calls that are
   * themselves retries of a program further up.
   */
  minPerSecond: withDefault(Schema.Number.pipe(Schema.between(0, 100_000)), 10),
  /** At least 100 ms. */
  window: Schema.optionalWith(
    Millis.pipe(
      Schema.filter((value) => value >= 100 || "a retry budget's window is at least 100ms")
    ),
    { default: () => 10_000 }
  )
}).annotations({ identifier: "RetryBudgetPolicy" })

/** A wait that starts at `base` and doubles to `max`. */
const range = (base: string, max: string) => {
  const Range = Schema.Struct({ base: ms(base), max: ms(max) }).pipe(
    Schema.filter(({ base, max }) => base <= max || "max must not be less than base")
  )
  return Schema.optionalWith(Range, {
    default: () => Range.make({ base: decodeMillis(base), max: decodeMillis(max) })
  })
}

/**
 * Retries. The budget is always on. `connect_failure` is retried whatever `on` and `methods` say;
 * everything else only for idempotent methods (RFC 9110 §9.2.2) unless `methods` says otherwise,
 * and never once a byte of a response has reached the caller.
 */
export const RetryPolicy = Schema.Struct({
  /** Further attempts after the first. */
  attempts: withDefault(Schema.Int.pipe(Schema.between(0, 10)), 2),
  on: withDefault(Schema.Array(RetryCondition), ["connect_failure", "reset"] as const),
  /** Methods that may be sent twice; `*` is every method. */
  methods: withDefault(Schema.Array(Method), ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]),
  budget: Schema.optionalWith(RetryBudgetPolicy, { default: () => RetryBudgetPolicy.make({}) }),
  /**
   * Full jitter: random(0, min(max, base·2^attempt)). Envoy: 25 ms, 250 ms. Ends on a grid of 10 ms,
   * so less than that makes no difference.
   */
  backoff: range("25ms", "250ms"),
  /** Bytes of request body kept so that it can be sent again; larger bodies are not retried. */
  bodyLimit: withDefault(Schema.Int.pipe(Schema.between(0, 16 * 1024 * 1024)), 64 * 1024)
}).annotations({ identifier: "RetryPolicy" })

/** Circuit breaker per endpoint: Linkerd's consecutive-failure accrual with one probe request. */
export const BreakerPolicy = Schema.Struct({
  consecutiveFailures: withDefault(count, 7),
  /** Open for `base`, doubling to `max` while probes fail; ± half of it at random. */
  open: range("1s", "60s"),
  /**
   * How long one probe is waited for. When it has neither succeeded nor failed by then (a long poll,
   * a slow upload), the next request is another probe.
   */
  probe: ms("1s")
}).annotations({ identifier: "BreakerPolicy" })

/**
 * Outlier ejection among a service's endpoints, as Envoy's. When it leaves fewer than half of them,
 * or fewer than half of those it leaves are well, all are used (panic).
 */
export const EjectionPolicy = Schema.Struct({
  consecutive5xx: withDefault(count, 5),
  /** Ejected for base × times ejected, at most `max`. */
  base: ms("30s"),
  max: ms("300s"),
  /** Never more of the endpoints than this share, but always at least one may be ejected. */
  maxPercent: withDefault(Schema.Number.pipe(Schema.between(0, 100)), 10),
  /** Success rate is judged once per interval. */
  interval: ms("10s"),
  /**
   * Ejects an endpoint whose success rate is this many deviations below the median: standard
   * deviations, estimated as 1.4826 × the median of all distances from the median, so that a few
   * bad endpoints do not hide each other.
   */
  successRateDeviations: withDefault(positive, 1.9),
  /**
   * … and at least this many percentage points below it. (And more than chance makes of that many
   * requests: 8 points at 100, 4 at 200.)
   */
  successRateMargin: withDefault(Schema.Number.pipe(Schema.between(0, 100)), 5),
  /** … with at least this many endpoints that had at least `minRequests` in the interval. */
  minEndpoints: withDefault(count, 5),
  minRequests: withDefault(count, 100)
}).annotations({ identifier: "EjectionPolicy" })

/**
 * An endpoint that fails more than the others gets less under the two that choose, in proportion to
 * the share of time in which it did; one failure in a hundred counts for nothing, and about one
 * request in two hundred goes to it whatever it did, so that it is found out when it is well.
 * With unequal weights all three split traffic by them, to within chance. The two that choose
 * leave an endpoint for one of another weight only when it is more than three times as dear.
 */
export const BalancePolicy = Schema.Union(
  /** Power of two choices on peak-EWMA latency × in flight (Finagle, Linkerd). */
  Schema.Struct({
    kind: Schema.Literal("p2c_ewma"),
    /** Assumed latency while an endpoint's first answer is awaited. */
    initial: ms("30ms"),
    /** Time constant with which latencies and failures are forgotten. */
    decay: ms("10s")
  }),
  Schema.Struct({ kind: Schema.Literal("round_robin") }),
  /** Two choices, fewer in flight wins (Envoy); between unequal weights, relative to weight. */
  Schema.Struct({ kind: Schema.Literal("least_request") })
).annotations({ identifier: "BalancePolicy" })
export type BalancePolicy = typeof BalancePolicy.Type

const offOr = <A, I>(schema: Schema.Schema<A, I>, make: () => A) =>
  Schema.optionalWith(Schema.Union(Schema.Literal("off"), schema), { default: make })

/** A whole policy. Every part has a default; `off` switches a part off. */
export const Policy = Schema.Struct({
  timeout: Schema.optionalWith(TimeoutPolicy, { default: () => TimeoutPolicy.make({}) }),
  retry: offOr(RetryPolicy, () => RetryPolicy.make({})),
  breaker: offOr(BreakerPolicy, () => BreakerPolicy.make({})),
  ejection: offOr(EjectionPolicy, () => EjectionPolicy.make({})),
  balance: Schema.optionalWith(BalancePolicy, {
    default: (): BalancePolicy => ({ kind: "p2c_ewma", initial: 30, decay: 10_000 })
  })
}).annotations({ identifier: "Policy" })
export type Policy = typeof Policy.Type
/** A policy as written: durations as text, anything may be left out. */
export type PolicyInput = typeof Policy.Encoded

export type TimeoutPolicy = typeof TimeoutPolicy.Type
export type RetryPolicy = typeof RetryPolicy.Type
export type RetryBudgetPolicy = typeof RetryBudgetPolicy.Type
export type BreakerPolicy = typeof BreakerPolicy.Type
export type EjectionPolicy = typeof EjectionPolicy.Type

/** A policy from what a person wrote; throws a ParseError on a wrong value. */
export const makePolicy: (input: PolicyInput) => Policy = Schema.decodeSync(Policy)

/** What holds for a service no policy names. */
export const defaultPolicy: Policy = makePolicy({})
