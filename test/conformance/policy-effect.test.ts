/**
 * The proxy and `applyPolicy` run the same policy: whatever one endpoint does, call after call, both
 * make the same attempts at the same times and give the caller the same end.
 */
import { Clock, Data, Effect, Exit, Fiber, Random, TestClock, TestContext } from "effect"
import fc from "fast-check"
import { expect, it } from "vitest"
import * as PolicyEffect from "../../src/api/PolicyEffect.ts"
import { classifyStatus, type Verdict, verdicts } from "../../src/request/policy/Classifier.ts"
import { makePolicy, type PolicyInput } from "../../src/schema/PolicySchema.ts"
import { endpointView, Fixture, microtasks } from "../../src/testing/OutboundFixture.ts"
import type { SentCall } from "../../src/testing/OutboundRecorders.ts"

/** What the endpoint does with one attempt, `after` ms; `wait`: Retry-After, in ms. */
interface Status {
  readonly kind: "status"
  readonly after: number
  readonly status: number
  readonly wait?: number | undefined
}
interface Broken {
  /** `own`: the request's own fault. */
  readonly kind: "refuse" | "break" | "own"
  readonly after: number
}
type Answer = Status | Broken | { readonly kind: "hang" }

/** When each attempt was made (ms), and how each call ended. */
interface Story {
  readonly attempts: Array<number>
  readonly ends: Array<string>
}

/** Each call begins at a full tenth of a second, half a second after the one before ended. */
const nextStart = (end: number): number => Math.ceil((end + 500) / 100) * 100

const calls = 8
/** All chance is this: back-offs of 10, 20, 40 ms fit the proxy's clock, and circuits open for 1 s. */
const half = 0.5

const answersOf = (script: ReadonlyArray<Answer>): (() => Answer) => {
  let next = 0
  return () => script[next++] ?? { kind: "status", after: 10, status: 200 }
}

const act = (sent: SentCall, answer: Status | Broken): void => {
  if (sent.cancelled !== undefined) return
  if (answer.kind === "status") {
    const { status, wait } = answer
    sent.respond(status, "", wait === undefined ? [] : ["Retry-After", `${wait / 1_000}`])
  } else if (answer.kind === "refuse") sent.fault("upstream_connect", false)
  else if (answer.kind === "own") sent.fault("bad_request", false)
  else sent.fault("upstream_reset", true)
}

const throughProxy = async (policy: PolicyInput, script: ReadonlyArray<Answer>): Promise<Story> => {
  const mesh = new Fixture(policy, [endpointView("a")], { random: () => half })
  const { ticker } = mesh
  const answer = answersOf(script)
  const story: Story = { attempts: [], ends: [] }
  const due: Array<{ readonly at: number; readonly act: () => void }> = []
  for (let call = 0; call < calls; call++) {
    const { receiver } = mesh.request("GET")
    await microtasks()
    while (!receiver.done) {
      if (ticker.now() > 600_000) throw new Error("a call does not end")
      while (story.attempts.length < mesh.sent.length) {
        const sent = mesh.last
        story.attempts.push(ticker.now())
        const what = answer()
        if (what.kind === "hang") continue
        due.push({ at: ticker.now() + what.after, act: () => act(sent, what) })
      }
      ticker.advance(10)
      for (const { at, act } of due) if (at === ticker.now()) act()
    }
    const { code, message } = receiver.fault ?? {}
    const end = /timeout\.\w+/.exec(message ?? "")?.[0] ?? code ?? `${receiver.head?.status}`
    story.ends.push(end)
    ticker.advance(nextStart(ticker.now()) - ticker.now())
  }
  return story
}

class Failed extends Data.Error<{ readonly answer: Answer }> {}

const broken = {
  refuse: { code: "upstream_connect", verdict: verdicts.connectFailure },
  break: { code: "upstream_reset", verdict: verdicts.reset },
  own: { code: "bad_request", verdict: verdicts.refused },
  hang: { code: "upstream_timeout", verdict: verdicts.timeout }
} as const

const meaning = ({ answer }: Failed): Verdict =>
  answer.kind === "status" ? classifyStatus(answer.status) : broken[answer.kind].verdict

const endOf = (exit: Exit.Exit<unknown, Failed | PolicyEffect.PolicyFailure>): string =>
  Exit.match(exit, {
    onSuccess: () => "200",
    onFailure: (cause) => {
      if (cause._tag !== "Fail") throw new Error(String(cause))
      const { error } = cause
      if (error instanceof PolicyEffect.PolicyTimeout) return `timeout.${error.limit}`
      if (error instanceof PolicyEffect.BreakerOpen) return "no_healthy_endpoint"
      const { answer } = error
      return answer.kind === "status" ? `${answer.status}` : broken[answer.kind].code
    }
  })

const throughEffect = (policy: PolicyInput, script: ReadonlyArray<Answer>): Promise<Story> => {
  const guarded = PolicyEffect.apply(makePolicy(policy), {
    name: "payments",
    idempotent: true,
    classify: meaning,
    retryAfter: ({ answer }) => (answer.kind === "status" ? answer.wait : undefined)
  })
  const answer = answersOf(script)
  const story: Story = { attempts: [], ends: [] }
  const attempt = Effect.gen(function* () {
    story.attempts.push(yield* Clock.currentTimeMillis)
    const what = answer()
    if (what.kind === "hang") return yield* Effect.never
    yield* Effect.sleep(what.after)
    if (what.kind !== "status" || what.status >= 400)
      yield* Effect.fail(new Failed({ answer: what }))
  })
  const program = Effect.gen(function* () {
    for (let call = 0; call < calls; call++) {
      story.ends.push(endOf(yield* Effect.exit(guarded(attempt))))
      const now = yield* Clock.currentTimeMillis
      yield* Effect.sleep(nextStart(now) - now)
    }
  })
  return Effect.gen(function* () {
    const fiber = yield* Effect.fork(program)
    yield* TestClock.adjust("10 minutes")
    yield* Fiber.join(fiber)
    return story
  }).pipe(
    Effect.withRandom(Random.fixed([half])),
    Effect.provide(TestContext.TestContext),
    Effect.runPromise
  )
}

const after = fc.constantFrom(10, 30)
const script = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("status" as const), after, status: fc.constantFrom(200, 404) }),
    fc.record({
      kind: fc.constant("status" as const),
      after,
      status: fc.constantFrom(429, 500, 503),
      wait: fc.constantFrom(undefined, undefined, 1_000, 2_000, 6_000)
    }),
    fc.record({
      kind: fc.constantFrom("refuse" as const, "break" as const, "own" as const),
      after
    }),
    fc.constant({ kind: "hang" as const })
  ),
  { maxLength: 20 }
)
const policy: fc.Arbitrary<PolicyInput> = fc.record({
  // Not on the clock's grid, so that nothing happens in the very moment it ends.
  timeout: fc.constantFrom(
    { request: "1005ms", perTry: "300ms" },
    { request: "3005ms", perTry: "300ms" },
    { perTry: "300ms" },
    { request: "205ms" }
  ),
  retry: fc.oneof(
    fc.constant("off" as const),
    fc.record({
      attempts: fc.integer({ min: 1, max: 4 }),
      on: fc.constantFrom(
        ["reset"] as const,
        ["5xx", "reset"] as const,
        ["gateway_error", "rate_limited"] as const
      ),
      budget: fc.constantFrom({}, { ratio: 0, minPerSecond: 0.3 }, { ratio: 0.5, minPerSecond: 0 }),
      backoff: fc.constant({ base: "20ms", max: "80ms" } as const)
    })
  ),
  breaker: fc.constantFrom("off" as const, { consecutiveFailures: 1 }, {
    consecutiveFailures: 3,
    open: { base: "2s", max: "4s" }
  } as const),
  ejection: fc.constant("off" as const)
})
/** Time-outs can be retried where there is one of an attempt. */
const withTimeouts = (input: PolicyInput): PolicyInput => {
  const { retry, timeout } = input
  if (retry === "off" || retry?.on === undefined || timeout?.perTry === undefined) return input
  return { ...input, retry: { ...retry, on: [...retry.on, "timeout"] } }
}

it("the proxy and applyPolicy tell the same story", async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(policy.map(withTimeouts), script, async (policy, script) => {
      const proxy = await throughProxy(policy, script)
      expect(await throughEffect(policy, script)).toEqual(proxy)
      for (const end of proxy.ends) seen.add(end)
    }),
    { numRuns: 60, seed: 7 }
  )
  // Of everything that can happen something did.
  expect([...seen].toSorted()).toEqual([
    ...["200", "404", "429", "500", "503", "bad_request", "no_healthy_endpoint"],
    ...["timeout.perTry", "timeout.request", "upstream_connect", "upstream_reset"]
  ])
}, 60_000)

it.each<readonly [what: string, answer: Answer]>([
  ["fails", { kind: "status", after: 10, status: 503 }],
  ["is busy", { kind: "status", after: 10, status: 429, wait: 1_000 }],
  ["is not there", { kind: "refuse", after: 10 }],
  ["refuses the request", { kind: "own", after: 10 }],
  ["hangs", { kind: "hang" }]
])("also of an endpoint that always %s, to the end of the budget", async (_, answer) => {
  const budgets = [{}, { ratio: 0, minPerSecond: 0.4 }, { ratio: 0.5, minPerSecond: 0 }] as const
  for (const budget of budgets) {
    for (const breaker of ["off", { consecutiveFailures: 4 }] as const) {
      const policy: PolicyInput = {
        timeout: { perTry: "300ms" },
        retry: {
          attempts: 2,
          on: ["5xx", "timeout", "rate_limited"],
          budget,
          backoff: { base: "20ms", max: "80ms" }
        },
        breaker,
        ejection: "off"
      }
      const script = new Array<Answer>(3 * calls).fill(answer)
      expect(await throughEffect(policy, script)).toEqual(await throughProxy(policy, script))
    }
  }
})
