/**
 * How calls to a service are made resilient: one typed value, the same whether it was written in
 * YAML (and decoded) or in TypeScript (and checked by the compiler). Every default is here and
 * nowhere else, and so is every rule: what could never take effect is a mistake, not a wish.
 * Times are milliseconds once decoded; written as `2s`, `500ms`, from 1 ms to 24 days. What the
 * request plane gets is in model/Policy.ts, which loads no Schema.
 */
import { isDeepStrictEqual } from "node:util"
import { Either, Schema, Struct } from "effect"
import { type GrpcCondition, grpcStatusNames } from "../model/GrpcStatus.ts"
import type * as Model from "../model/Policy.ts"
import { type DurationText, formatMillis, timeLimit } from "./Duration.ts"
import { explain, quote } from "./ExplainIssue.ts"
import { PolicyError } from "./PolicyError.ts"

const Time = timeLimit()
const ms = (text: DurationText) => withEmpty(Time, text)
const integer = Schema.Number.pipe(Schema.int())
const positive = Schema.Number.pipe(Schema.positive(), Schema.lessThanOrEqualTo(1_000))
const count = integer.pipe(Schema.between(1, 1_000_000))
const withDefault = <A, I>(schema: Schema.Schema<A, I>, value: A) =>
  Schema.optionalWith(schema, { default: () => value })
/** May be left out; it then is what its Schema makes of `written`. */
const withEmpty = <A, I>(schema: Schema.Schema<A, I>, written: I) =>
  Schema.optionalWith(schema, { default: () => Schema.decodeSync(schema)(written) })

/** What a rule about more than one field finds; each names the place to change. */
type Issues = Array<Schema.FilterIssue>

const never = Number.POSITIVE_INFINITY

/** What each limit is a part of, and so has to be shorter than. */
const within = {
  connect: ["request", "perTry"],
  perTry: ["request"],
  idle: ["request"]
} as const satisfies Record<string, ReadonlyArray<string>>

/**
 * Timeouts. `request` covers retries and back-off too; absent means no limit. Neither it nor `perTry`
 * holds for tunnels: TCP, and what follows a 101. What limits a part must be shorter than what limits
 * the whole; a default that is not is nobody's wish, and gives way (`connectWithin`) or is out of play.
 */
export const TimeoutPolicy = Schema.Struct({
  /**
   * One attempt: until there is a connection to the endpoint's program. It covers the wait for a
   * link to its node while one is being made and, at that node, the wait for a connection that is
   * free or new. An attempt at a link fails by itself after 5 s, also for who would wait longer.
   * Linkerd: 1 s. Part of `perTry` and of `request`; where the default is not shorter than these,
   * half of the shorter one.
   */
  connect: ms("1s"),
  /** From the request's head to the end of the response, all attempts together. */
  request: Schema.optional(Time),
  /** One attempt: from when its request has been sent whole until its response head. */
  perTry: Schema.optional(Time),
  /** Neither direction moved a byte. HTTP default as Envoy's stream idle timeout. */
  idle: ms("5m"),
  /** The same for tunnels. */
  tcpIdle: ms("1h")
}).pipe(
  Schema.filter(
    (timeout): Issues =>
      Struct.keys(within).flatMap((part) => {
        const time = timeout[part] ?? 0
        const longest = within[part].find((whole) => time >= (timeout[whole] ?? never))
        if (longest === undefined || time === defaultPolicy.timeout[part]) return []
        const message = `${formatMillis(time)} is not shorter than timeout.${longest} (${formatMillis(timeout[longest] ?? 0)}) and would never apply; shorten it, or leave it out`
        return [{ path: [part], message }]
      }),
    { identifier: "TimeoutPolicy", jsonSchema: {} }
  )
)

/** Statuses of gRPC, in the order of their numbers. */
const grpcConditions = grpcStatusNames
  .filter((name) => name !== "OK")
  // What `toLowerCase` makes of a name is what Lowercase says, which its type does not.
  .map((name) => name.toLowerCase() as GrpcCondition)

export const RetryCondition = Schema.Literal(
  "connect_failure",
  "reset",
  "5xx",
  "gateway_error",
  "timeout",
  "rate_limited",
  ...grpcConditions
)

const isGrpc = (condition: string): boolean => grpcConditions.some((one) => one === condition)

/** Methods are case-sensitive (RFC 9110 §9.1): one in small letters would never be met. */
const Method = Schema.make<Uppercase<string>>(
  Schema.String.pipe(
    Schema.pattern(/^([A-Z][A-Z-]*|\*)$/, {
      description: "a method, like POST",
      message: ({ actual }) =>
        `${quote(actual)} is not a method; write it in capitals, like POST, or * for all`
    })
  ).ast
)

/**
 * A list in which something stands, and nothing twice. `empty`: why it cannot be empty; `broader`:
 * an entry that already means what another says.
 */
const distinct = <A extends string>(
  item: Schema.Schema<A>,
  empty: string,
  broader: (one: A) => A | undefined
) =>
  Schema.make<readonly [A, ...ReadonlyArray<A>]>(
    Schema.Array(item).pipe(
      Schema.filter(
        (list): Schema.FilterOutput | Issues =>
          list.length === 0
            ? empty
            : list.flatMap((one, index) => {
                if (list.indexOf(one) < index) {
                  return [{ path: [index], message: `${quote(one)} stands twice; once is enough` }]
                }
                const broad = broader(one)
                if (broad === undefined || !list.includes(broad)) return []
                const message = `${quote(one)} says nothing beside ${quote(broad)}, which is that and more; keep the one that is meant`
                return [{ path: [index], message }]
              }),
        { jsonSchema: { minItems: 1, uniqueItems: true } }
      )
    ).ast
  )

const broaderConditions = new Map<Model.RetryCondition, Model.RetryCondition>([
  ["gateway_error", "5xx"],
  ["unknown", "5xx"],
  ["internal", "5xx"],
  ["data_loss", "5xx"],
  ["deadline_exceeded", "timeout"],
  ["resource_exhausted", "rate_limited"]
])

const Conditions = distinct(
  RetryCondition,
  "names nothing, yet connect failures are retried all the same; write [connect_failure] for those alone, or retry: off",
  (condition) => broaderConditions.get(condition)
)
const Methods = distinct(
  Method,
  "names nothing, so only connect failures could be retried; for that write on: [connect_failure]",
  (method) => (method === "*" ? undefined : "*")
)

/**
 * At most ratio × requests + minPerSecond × window retries in every window that ends with one; and
 * of that only a part while retries do not help: (helped + 8) / (settled + 8), of those whose call is
 * over.
 */
export const RetryBudgetPolicy = Schema.Struct({
  /** Retries per request, over the window. Linkerd: 0.2. */
  ratio: withDefault(Schema.Number.pipe(Schema.between(0, 10)), 0.2),
  /**
   * Retries per second besides, so that few requests have retries at all. Not for calls that are
   * themselves retries of a program further up.
   */
  minPerSecond: withDefault(Schema.Number.pipe(Schema.between(0, 100_000)), 10),
  /** From 100 ms to an hour. */
  window: withEmpty(timeLimit("100ms", "1h"), "10s")
}).annotations({ identifier: "RetryBudgetPolicy" })

const baseWithinMax = ({ base, max }: { readonly base: number; readonly max: number }): Issues => {
  if (base <= max) return []
  const message = `${formatMillis(base)} is longer than max (${formatMillis(max)}); shorten it, or raise max`
  return [{ path: ["base"], message }]
}

/** A wait that starts at `base` and doubles to `max`. */
const range = (base: DurationText, max: DurationText) =>
  withEmpty(
    Schema.Struct({ base: ms(base), max: ms(max) }).pipe(
      Schema.filter(baseWithinMax, { jsonSchema: {} })
    ),
    {}
  )

const posts = new Set<string>(["POST", "*"])

/**
 * Retries. The budget is always on. `connect_failure` is retried whatever `on` and `methods` say;
 * everything else only for idempotent methods (RFC 9110 §9.2.2) unless `methods` says otherwise,
 * and never once a byte of a response has reached the caller.
 */
export const RetryPolicy = Schema.Struct({
  /** Further attempts after the first; 0 is `off`. */
  attempts: withDefault(integer.pipe(Schema.between(0, 10)), 2),
  on: withDefault(Conditions, ["connect_failure", "reset"]),
  /** Methods that may be sent twice; `*` is every method. */
  methods: withDefault(Methods, ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]),
  budget: Schema.optionalWith(RetryBudgetPolicy, { default: () => RetryBudgetPolicy.make({}) }),
  /**
   * Full jitter: random(0, min(max, base·2^attempt)). Envoy: 25 ms, 250 ms. Ends on a grid of 10 ms,
   * so less than that makes no difference.
   */
  backoff: range("25ms", "250ms"),
  /** Bytes of request body kept so that it can be sent again; larger bodies are not retried. */
  bodyLimit: withDefault(integer.pipe(Schema.between(0, 16 * 1024 * 1024)), 64 * 1024)
}).pipe(
  Schema.filter(
    (retry): Issues => {
      const { ratio, minPerSecond, window } = retry.budget
      const issues: Issues = []
      if (ratio === 0 && (minPerSecond * window) / 1_000 < 1) {
        const message = `with ratio 0, ${minPerSecond} a second over ${formatMillis(window)} never makes one retry; raise it, or write retry: off`
        issues.push({ path: ["budget", "minPerSecond"], message })
      }
      const status = retry.on.find(isGrpc)
      if (status !== undefined && !retry.methods.some((method) => posts.has(method))) {
        const message = `${quote(status)} is a status of gRPC, whose calls are POST, and methods does not have that; add POST, or * for all`
        issues.push({ path: ["methods"], message })
      }
      if (retry.attempts > 0 || defaultPolicy.retry === "off") return issues
      const { attempts: _, ...how } = defaultPolicy.retry
      const idle = Struct.keys(how).filter((name) => !isDeepStrictEqual(retry[name], how[name]))
      if (idle.length > 0) {
        const message = `0 means that nothing is retried, so ${idle.join(", ")} would never apply; allow an attempt, or write retry: off`
        issues.push({ path: ["attempts"], message })
      }
      return issues
    },
    { identifier: "RetryPolicy", jsonSchema: {} }
  )
)

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
  maxPercent: withDefault(
    Schema.Number.pipe(
      Schema.filter((percent) => percent > 0 && percent <= 100, {
        description: "a number above 0, up to 100",
        message: ({ actual }) =>
          actual === 0
            ? "0 would still let one endpoint be ejected, as one always may be; write ejection: off"
            : `${quote(actual)} is not a number above 0, up to 100`,
        jsonSchema: { exclusiveMinimum: 0, maximum: 100 }
      })
    ),
    10
  ),
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
}).pipe(Schema.filter(baseWithinMax, { identifier: "EjectionPolicy", jsonSchema: {} }))

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
).annotations({
  identifier: "BalancePolicy",
  description: "a mapping with kind: p2c_ewma, round_robin or least_request"
})

const offOr = <A, I>(schema: Schema.Schema<A, I>, written: I) =>
  withEmpty(Schema.Union(Schema.Literal("off"), schema), written)

/** A whole policy. Every part has a default; `off` switches a part off. Unknown keys are errors. */
export const Policy = Schema.Struct({
  timeout: withEmpty(TimeoutPolicy, {}),
  retry: offOr(RetryPolicy, {}),
  breaker: offOr(BreakerPolicy, {}),
  ejection: offOr(EjectionPolicy, {}),
  balance: withEmpty(BalancePolicy, { kind: "p2c_ewma" })
}).pipe(
  Schema.filter(
    ({ retry, timeout }): Issues => {
      if (retry === "off" || timeout.perTry !== undefined || !retry.on.includes("timeout"))
        return []
      const message =
        '"timeout" never happens without timeout.perTry; set it, or leave "timeout" out'
      return [{ path: ["retry", "on"], message }]
    },
    {
      identifier: "Policy",
      jsonSchema: {},
      parseOptions: { errors: "all", onExcessProperty: "error" }
    }
  )
)
export type Policy = Model.Policy

/** A policy as written: durations as text, anything may be left out. */
export interface PolicyInput extends Schema.Schema.Encoded<typeof Policy> {}

/** A policy from a value that the compiler has not seen: of JSON, of a database. */
export const decodePolicy = (input: unknown): Either.Either<Policy, PolicyError> =>
  Either.mapLeft(
    Schema.decodeUnknownEither(Policy)(input),
    ({ issue }) => new PolicyError({ code: "policy_invalid", problems: explain(issue) })
  )

/** A policy from what a person wrote. Throws a `PolicyError` that tells every mistake in it. */
export const makePolicy = (input: PolicyInput): Policy =>
  Either.getOrThrowWith(decodePolicy(input), (error) => error)

/** What holds for a service no policy names. */
export const defaultPolicy: Policy = makePolicy({})
