import { Either, Schema } from "effect"
import { describe, expect, it } from "vitest"
import type { PolicyError } from "./PolicyError.ts"
import { decodePolicy, defaultPolicy, makePolicy, Policy } from "./PolicySchema.ts"

/** What is said of it, a line for each mistake; nothing when it is right. */
const said = (input: unknown): ReadonlyArray<string> =>
  Either.match(decodePolicy(input), {
    onLeft: ({ message }) => message.split("\n"),
    onRight: () => []
  })

describe("Policy", () => {
  it("has the defaults that the reference systems have", () => {
    expect(defaultPolicy).toEqual({
      timeout: { connect: 1_000, idle: 300_000, tcpIdle: 3_600_000 },
      retry: {
        attempts: 2,
        on: ["connect_failure", "reset"],
        methods: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
        budget: { ratio: 0.2, minPerSecond: 10, window: 10_000 },
        backoff: { base: 25, max: 250 },
        bodyLimit: 65_536
      },
      breaker: { consecutiveFailures: 7, open: { base: 1_000, max: 60_000 }, probe: 1_000 },
      ejection: {
        consecutive5xx: 5,
        base: 30_000,
        max: 300_000,
        maxPercent: 10,
        successRateMargin: 5,
        interval: 10_000,
        successRateDeviations: 1.9,
        minEndpoints: 5,
        minRequests: 100
      },
      balance: { kind: "p2c_ewma", initial: 30, decay: 10_000 }
    })
  })

  it("takes what a person writes", () => {
    const policy = makePolicy({
      timeout: { request: "2s", perTry: "500ms" },
      retry: { attempts: 1, on: ["5xx"] },
      breaker: "off",
      balance: { kind: "round_robin" }
    })
    expect(policy.timeout).toMatchObject({ request: 2_000, perTry: 500, connect: 1_000 })
    expect(policy.breaker).toBe("off")
    expect(policy.balance).toEqual({ kind: "round_robin" })
  })

  it("is the same again when it was written out", () => {
    const policy = makePolicy({ timeout: { request: "1.1s" }, retry: "off" })
    expect(policy.timeout.request).toBe(1_100)
    for (const one of [policy, defaultPolicy]) {
      expect(decodePolicy(Schema.encodeSync(Policy)(one))).toEqual(Either.right(one))
    }
  })

  it("throws what a program can tell from other errors", () => {
    const thrown = ((): PolicyError => {
      try {
        // @ts-expect-error nothing is called retires
        makePolicy({ retires: {}, timeout: { request: "0s" } })
      } catch (error) {
        return error as PolicyError // checked below
      }
      throw new Error("it was taken")
    })()
    expect(thrown).toMatchObject({
      _tag: "PolicyError",
      code: "policy_invalid",
      problems: [{ path: ["retires"], suggestion: "retry" }, { path: ["timeout", "request"] }]
    })
    expect(thrown.message).toBe(
      "policy.retires: unknown key retires; did you mean retry?\n" +
        "policy.timeout.request: 0s is too short; the least is 1ms"
    )
  })

  it("the Schema alone refuses unknown keys too", () => {
    expect(Either.isLeft(Schema.decodeUnknownEither(Policy)({ retires: {} }))).toBe(true)
  })
})

/** `[["timeout", "connect"], "1s"]` for everything that is one value. */
const leaves = (value: unknown, at: ReadonlyArray<string> = []) =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? [[at, value] as const]
    : Object.entries(value).flatMap(
        ([key, inner]): ReadonlyArray<readonly [ReadonlyArray<string>, unknown]> =>
          leaves(inner, [...at, key])
      )
const written = { ...Schema.encodeSync(Policy)(defaultPolicy) }
const fields = [
  ...leaves(written),
  [["timeout", "request"], "2s"] as const,
  [["timeout", "perTry"], "2s"] as const
]
const put = ([key, ...rest]: ReadonlyArray<string>, value: unknown): unknown =>
  key === undefined ? value : { [key]: put(rest, value) }
/** A variant of balancing is told by its kind. */
const withField = (path: ReadonlyArray<string>, value: unknown): unknown =>
  path[0] === "balance"
    ? { balance: { kind: "p2c_ewma", [path[1] ?? ""]: value } }
    : put(path, value)

describe("every duration of a policy", () => {
  const durations = fields.filter(
    ([, value]) => typeof value === "string" && /^\d+m?s$/.test(value)
  )
  const wrong: ReadonlyArray<unknown> = [
    ...["0s", "0ms", "0.5ms", "-1s", "25d", `${"9".repeat(400)}d`, "Infinitys", "1e3ms", "5", ""],
    ...[" 1s", "1 s", "1S", 5, 0, Number.NaN, Number.POSITIVE_INFINITY, 5n, null, true, [], {}]
  ]
  it.each(durations.map(([path]) => [path.join("."), path] as const))("%s", (name, path) => {
    for (const value of wrong) {
      const [first = "it was taken", ...others] = said(withField(path, value))
      expect(first).toMatch(
        /^policy[\w.]*: .*(not a duration|too short|too long|is empty|longer than a century)/
      )
      expect(first).toContain(`policy.${name}: `)
      expect(others).toEqual([])
    }
  })
  it("there are some", () => expect(durations.length).toBeGreaterThanOrEqual(13))
})

describe("every number of a policy", () => {
  const numbers = fields.filter(([, value]) => typeof value === "number")
  const wrong: ReadonlyArray<unknown> = [
    ...[-1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e9, 5n],
    ...["5", "", null, true, [], {}]
  ]
  it.each(numbers.map(([path]) => [path.join("."), path] as const))("%s", (name, path) => {
    for (const value of wrong) {
      const [first = "it was taken", ...others] = said(withField(path, value))
      expect(first).toContain(`policy.${name}: `)
      expect(others).toEqual([])
    }
  })
  it("there are some", () => expect(numbers.length).toBeGreaterThanOrEqual(10))

  it.each<readonly [unknown, string]>([
    [{ retry: { attempts: 11 } }, "policy.retry.attempts: 11 is not a number between 0 and 10"],
    [{ retry: { attempts: 1.5 } }, "policy.retry.attempts: 1.5 is not an integer"],
    [{ retry: { attempts: Number.NaN } }, "policy.retry.attempts: NaN is not an integer"],
    [
      { retry: { budget: { ratio: Number.POSITIVE_INFINITY } } },
      "policy.retry.budget.ratio: Infinity is not a number between 0 and 10"
    ],
    [
      { breaker: { consecutiveFailures: 0 } },
      "policy.breaker.consecutiveFailures: 0 is not a number between 1 and 1000000"
    ],
    [
      { ejection: { maxPercent: 0 } },
      "policy.ejection.maxPercent: 0 would still let one endpoint be ejected, as one always may be; write ejection: off"
    ],
    [
      { ejection: { maxPercent: 101 } },
      "policy.ejection.maxPercent: 101 is not a number above 0, up to 100"
    ],
    [
      { retry: { budget: { window: "50ms" } } },
      "policy.retry.budget.window: 50ms is too short; the least is 100ms"
    ],
    [
      { retry: { budget: { window: "2h" } } },
      "policy.retry.budget.window: 2h is too long; the most is 1h"
    ],
    [
      { timeout: { request: 5n } },
      "policy.timeout.request: 5n is not a duration; write a number and ms, s, m, h or d, like 500ms or 2s"
    ]
  ])("%#", (input, message) => {
    expect(said(input)).toEqual([message])
  })
})

describe("what could never take effect is refused, with the place and the mend", () => {
  it.each<readonly [unknown, ...ReadonlyArray<string>]>([
    [
      { timeout: { request: "1s", perTry: "2s" } },
      "policy.timeout.perTry: 2s is not shorter than timeout.request (1s) and would never apply; shorten it, or leave it out"
    ],
    [
      { timeout: { request: "2s", perTry: "2s", connect: "3s", idle: "2500ms" } },
      "policy.timeout.connect: 3s is not shorter than timeout.request (2s) and would never apply; shorten it, or leave it out",
      "policy.timeout.perTry: 2s is not shorter than timeout.request (2s) and would never apply; shorten it, or leave it out",
      "policy.timeout.idle: 2500ms is not shorter than timeout.request (2s) and would never apply; shorten it, or leave it out"
    ],
    [
      { retry: { on: ["timeout"] } },
      'policy.retry.on: "timeout" never happens without timeout.perTry; set it, or leave "timeout" out'
    ],
    [
      { retry: { on: [] } },
      "policy.retry.on: names nothing, yet connect failures are retried all the same; write [connect_failure] for those alone, or retry: off"
    ],
    [{ retry: { on: "5xx" } }, 'policy.retry.on: "5xx" is not a list; write ["5xx"]'],
    [
      { retry: { on: ["5xx", "reset", "5xx"] } },
      'policy.retry.on[2]: "5xx" stands twice; once is enough'
    ],
    [
      { retry: { on: ["gateway_error", "5xx"] } },
      'policy.retry.on[0]: "gateway_error" says nothing beside "5xx", which is that and more; keep the one that is meant'
    ],
    [
      { retry: { on: ["5xx", "internal", "unavailable"], methods: ["POST"] } },
      'policy.retry.on[1]: "internal" says nothing beside "5xx", which is that and more; keep the one that is meant'
    ],
    [
      { retry: { on: ["reset", "unavailable"] } },
      'policy.retry.methods: "unavailable" is a status of gRPC, whose calls are POST, and methods does not have that; add POST, or * for all'
    ],
    [
      { retry: { on: ["UNAVAILABLE"], methods: ["*"] } },
      'policy.retry.on[0]: "UNAVAILABLE" is not one of connect_failure, reset, 5xx, gateway_error, timeout, rate_limited, cancelled, unknown, invalid_argument, deadline_exceeded, not_found, already_exists, permission_denied, resource_exhausted, failed_precondition, aborted, out_of_range, unimplemented, internal, unavailable, data_loss, unauthenticated; did you mean unavailable?'
    ],
    [
      { retry: { methods: [] } },
      "policy.retry.methods: names nothing, so only connect failures could be retried; for that write on: [connect_failure]"
    ],
    [
      { retry: { methods: ["*", "GET"] } },
      'policy.retry.methods[1]: "GET" says nothing beside "*", which is that and more; keep the one that is meant'
    ],
    [
      { retry: { methods: ["GET", "get", "G ET", ""] } },
      'policy.retry.methods[1]: "get" is not a method; write it in capitals, like POST, or * for all',
      'policy.retry.methods[2]: "G ET" is not a method; write it in capitals, like POST, or * for all',
      'policy.retry.methods[3]: "" is not a method; write it in capitals, like POST, or * for all'
    ],
    [
      { retry: { attempts: 0, on: ["5xx"], budget: { ratio: 1 } } },
      "policy.retry.attempts: 0 means that nothing is retried, so on, budget would never apply; allow an attempt, or write retry: off"
    ],
    [
      { retry: { budget: { ratio: 0, minPerSecond: 0 } } },
      "policy.retry.budget.minPerSecond: with ratio 0, 0 a second over 10s never makes one retry; raise it, or write retry: off"
    ],
    [
      { retry: { budget: { ratio: 0, minPerSecond: 0.09 } } },
      "policy.retry.budget.minPerSecond: with ratio 0, 0.09 a second over 10s never makes one retry; raise it, or write retry: off"
    ],
    [
      { retry: { backoff: { base: "1s" } } },
      "policy.retry.backoff.base: 1s is longer than max (250ms); shorten it, or raise max"
    ],
    [
      { breaker: { open: { base: "2s", max: "1s" } } },
      "policy.breaker.open.base: 2s is longer than max (1s); shorten it, or raise max"
    ],
    [
      { ejection: { max: "10s" } },
      "policy.ejection.base: 30s is longer than max (10s); shorten it, or raise max"
    ],
    [
      { balance: "round_robin" },
      'policy.balance: "round_robin" is not a mapping with kind: p2c_ewma, round_robin or least_request; write { kind: round_robin }'
    ],
    [
      { balance: { kind: "round_robin", decay: "1s" } },
      "policy.balance.decay: decay does not go with the rest; known here: kind"
    ],
    [
      // A rule about some fields is told beside what is wrong with others.
      { timeout: { request: "1s", perTry: "1s" }, retry: { methods: ["get"] }, balance: "none" },
      "policy.timeout.perTry: 1s is not shorter than timeout.request (1s) and would never apply; shorten it, or leave it out",
      'policy.retry.methods[0]: "get" is not a method; write it in capitals, like POST, or * for all',
      'policy.balance: "none" is not a mapping with kind: p2c_ewma, round_robin or least_request'
    ]
  ])("%j", (input, ...messages) => {
    expect(said(input)).toEqual(messages)
  })

  it.each<readonly [why: string, input: unknown]>([
    ["defaults beside a short request are out of play", { timeout: { request: "500ms" } }],
    ["timeout with its limit", { timeout: { perTry: "1s" }, retry: { on: ["timeout"] } }],
    ["no attempts, and nothing about them", { retry: { attempts: 0 } }],
    ["a small reserve that is one retry", { retry: { budget: { ratio: 0, minPerSecond: 0.1 } } }],
    ["a ratio alone", { retry: { budget: { ratio: 0.1, minPerSecond: 0 } } }],
    ["equal bounds", { retry: { backoff: { base: "1ms", max: "1ms" } } }],
    ["extension methods", { retry: { methods: ["M-SEARCH", "PURGE"] } }],
    ["every method", { retry: { methods: ["*"] } }],
    ["no body kept", { retry: { bodyLimit: 0 } }],
    ["a share of a percent, among thousands", { ejection: { maxPercent: 0.5 } }],
    ["fractions", { timeout: { request: "1.5m", perTry: "1.1s" } }]
  ])("but not: %s", (_, input) => {
    expect(said(input)).toEqual([])
  })
})
