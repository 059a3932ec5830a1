import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Data, Deferred, Effect, Exit, Fiber, TestClock } from "effect"
import { expectTypeOf } from "vitest"
import { type Verdict, verdicts } from "../request/policy/Classifier.ts"
import { makePolicy, type PolicyInput } from "../schema/PolicySchema.ts"
import * as PolicyEffect from "./PolicyEffect.ts"

class LedgerDown extends Data.TaggedError("LedgerDown")<{ readonly call: number }> {}

const guard = (policy: PolicyInput, idempotent = true) =>
  PolicyEffect.apply<LedgerDown>(makePolicy(policy), { name: "ledger", idempotent })

/** Fails the first `failures` times it is run. */
const flaky = (failures: number) => {
  const state = { calls: 0 }
  const effect = Effect.suspend(() =>
    ++state.calls <= failures
      ? Effect.fail(new LedgerDown({ call: state.calls }))
      : Effect.succeed("balance")
  )
  return { state, effect }
}

/** Runs it to the end with all the time in the world. */
const settle = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.await(fiber)
  })

describe("PolicyEffect", () => {
  it.effect("does nothing to an effect that succeeds", () =>
    Effect.gen(function* () {
      expect(yield* guard({})(Effect.succeed(1))).toBe(1)
    })
  )

  it.effect("retries with back-off until it succeeds", () =>
    Effect.gen(function* () {
      const { effect, state } = flaky(2)
      const guarded = guard({ retry: { attempts: 2, on: ["reset"] } })
      expect(yield* settle(guarded(effect))).toEqual(Exit.succeed("balance"))
      expect(state.calls).toBe(3)
    })
  )

  it.effect("fails with the last error when the attempts are used up", () =>
    Effect.gen(function* () {
      const { effect } = flaky(9)
      const guarded = guard({ retry: { attempts: 2, on: ["reset"] } })
      expect(yield* settle(guarded(effect))).toEqual(Exit.fail(new LedgerDown({ call: 3 })))
    })
  )

  it.effect("does not repeat what is not idempotent", () =>
    Effect.gen(function* () {
      const { effect, state } = flaky(9)
      yield* settle(guard({ retry: { on: ["reset"] } }, false)(effect))
      expect(state.calls).toBe(1)
    })
  )

  it.effect("repeats even that when it says nothing was sent", () =>
    Effect.gen(function* () {
      const { effect, state } = flaky(1)
      const guarded = PolicyEffect.apply<LedgerDown>(makePolicy({}), {
        name: "ledger",
        classify: () => verdicts.connectFailure
      })
      expect(yield* settle(guarded(effect))).toEqual(Exit.succeed("balance"))
      expect(state.calls).toBe(2)
    })
  )

  it.effect("shares one budget among all its effects", () =>
    Effect.gen(function* () {
      let calls = 0
      const failing = Effect.suspend(() => Effect.fail(new LedgerDown({ call: ++calls })))
      const guarded = guard({
        breaker: "off",
        retry: { attempts: 1, on: ["reset"], budget: { ratio: 0.1, minPerSecond: 0 } }
      })
      for (let i = 0; i < 100; i++) yield* Effect.exit(Effect.forkDaemon(guarded(failing)))
      yield* TestClock.adjust("5 seconds")
      expect(calls).toBe(110)
    })
  )

  it.effect("limits one attempt, and retries that", () =>
    Effect.gen(function* () {
      let calls = 0
      const slow = Effect.suspend(() => Effect.delay(Effect.succeed(++calls), "400 millis"))
      const guarded = guard({
        timeout: { perTry: "300ms" },
        retry: { attempts: 1, on: ["timeout"] }
      })
      const exit = yield* settle(guarded(slow))
      expect(exit).toEqual(
        Exit.fail(
          new PolicyEffect.PolicyTimeout({ target: "ledger", limit: "perTry", millis: 300 })
        )
      )
    })
  )

  it.effect("limits all attempts together", () =>
    Effect.gen(function* () {
      const guarded = guard({
        timeout: { request: "1s", perTry: "300ms" },
        retry: { attempts: 10, on: ["timeout"], backoff: { base: "1ms", max: "1ms" } }
      })
      const fiber = yield* Effect.fork(guarded(Effect.never))
      yield* TestClock.adjust("999 millis")
      expect(yield* Fiber.poll(fiber)).toMatchObject({ _tag: "None" })
      // The pauses are fractions: with them the parts add up to 1,000 only almost, now and then.
      yield* TestClock.adjust("1001 micros")
      const exit = yield* Fiber.await(fiber)
      expect(exit).toEqual(
        Exit.fail(
          new PolicyEffect.PolicyTimeout({ target: "ledger", limit: "request", millis: 1_000 })
        )
      )
    })
  )

  it.effect("opens the circuit, probes once, closes it", () =>
    Effect.gen(function* () {
      const { effect, state } = flaky(3)
      const guarded = guard({ retry: "off", breaker: { consecutiveFailures: 3 } })
      for (let i = 0; i < 3; i++) yield* Effect.exit(guarded(effect))
      const refused = yield* Effect.flip(guarded(effect))
      expect(refused).toBeInstanceOf(PolicyEffect.BreakerOpen)
      expect(refused.message).toMatch(/^ledger failed too often in a row; not called for another/)
      expect(state.calls).toBe(3)

      yield* TestClock.adjust("1500 millis")
      const gate = yield* Deferred.make<void>()
      const probe = yield* Effect.fork(guarded(Effect.zipRight(Deferred.await(gate), effect)))
      yield* Effect.yieldNow()
      const second = yield* Effect.flip(guarded(effect))
      expect(second).toMatchObject({ _tag: "BreakerOpen", retryAfter: 1_000 })
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(probe)).toBe("balance")
      expect(yield* guarded(effect)).toBe("balance")
    })
  )

  it.effect("an interrupted probe leaves the circuit to the next one", () =>
    Effect.gen(function* () {
      const { effect } = flaky(1)
      const guarded = guard({ retry: "off", breaker: { consecutiveFailures: 1 } })
      yield* Effect.exit(guarded(effect))
      yield* TestClock.adjust("1500 millis")
      const probe = yield* Effect.fork(guarded(Effect.never))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(probe)
      expect(yield* guarded(effect)).toBe("balance")
    })
  )
})

describe("what the request plane does too", () => {
  const once: PolicyInput = { retry: "off", breaker: { consecutiveFailures: 1 } }
  /** Its circuit opens with the first failure, and may be probed 1.5 s later. */
  const afterOpening = TestClock.adjust("1500 millis")

  it.effect("a circuit that opens within a call leaves the caller the target's own error", () =>
    Effect.gen(function* () {
      const { effect, state } = flaky(9)
      const guarded = guard({
        retry: { attempts: 5, on: ["reset"] },
        breaker: { consecutiveFailures: 2 }
      })
      expect(yield* settle(guarded(effect))).toEqual(Exit.fail(new LedgerDown({ call: 2 })))
      expect(state.calls).toBe(2)
    })
  )

  it.effect("so does one that others open during back-off", () =>
    Effect.gen(function* () {
      const guarded = guard({
        retry: { attempts: 1, on: ["reset"], backoff: { base: "200ms", max: "200ms" } },
        breaker: { consecutiveFailures: 3 }
      })
      const { effect, state } = flaky(9)
      const fibers = [yield* Effect.fork(guarded(effect)), yield* Effect.fork(guarded(effect))]
      yield* Effect.yieldNow()
      yield* Effect.exit(guarded(effect))
      yield* TestClock.adjust("1 second")
      expect(yield* Effect.flip(Fiber.join(fibers[0]!))).toEqual(new LedgerDown({ call: 1 }))
      expect(yield* Effect.flip(Fiber.join(fibers[1]!))).toEqual(new LedgerDown({ call: 2 }))
      expect(state.calls).toBe(3)
    })
  )

  it.effect("counts the retry of a caller that gave up as no help, as the proxy does", () =>
    Effect.gen(function* () {
      let calls = 0
      const backoff = { base: "1ms", max: "1ms" } as const
      const guarded = guard({ retry: { attempts: 1, on: ["reset"], backoff }, breaker: "off" })
      for (let n = 0; n < 200; n++) {
        let failed = false
        const hanging = Effect.suspend(() => {
          calls++
          if (failed) return Effect.never
          failed = true
          return Effect.fail(new LedgerDown({ call: calls }))
        })
        const fiber = yield* Effect.fork(Effect.timeout(guarded(hanging), "30 millis"))
        yield* TestClock.adjust("50 millis")
        yield* Fiber.await(fiber)
      }
      // 20 % of 200 calls and ten a second would be 140. As none helps it is √(8 · 140).
      expect(calls - 200).toBeGreaterThan(20)
      expect(calls - 200).toBeLessThan(1.5 * Math.sqrt(8 * 140))
    })
  )

  it.effect("a retry that the circuit forbids costs the budget nothing", () =>
    Effect.gen(function* () {
      let verdict: Verdict = verdicts.serverError
      let calls = 0
      const guarded = PolicyEffect.apply<LedgerDown>(
        makePolicy({
          retry: {
            attempts: 1,
            on: ["5xx", "rate_limited"],
            budget: { ratio: 0, minPerSecond: 0.1 }
          },
          breaker: { consecutiveFailures: 1 }
        }),
        { name: "ledger", idempotent: true, classify: () => verdict }
      )
      const failing = Effect.suspend(() => Effect.fail(new LedgerDown({ call: ++calls })))
      yield* settle(guarded(failing))
      expect(calls).toBe(1)
      // Well, but busy: the one retry of the window is still there.
      verdict = verdicts.rateLimited
      yield* settle(guarded(failing))
      expect(calls).toBe(3)
    })
  )

  describe("a failure that says how long to wait", () => {
    const asking = (wait: number | undefined, policy: PolicyInput = {}) =>
      PolicyEffect.apply<LedgerDown>(
        makePolicy({ retry: { attempts: 1, on: ["rate_limited"] }, ...policy }),
        {
          name: "ledger",
          idempotent: true,
          classify: () => verdicts.rateLimited,
          retryAfter: () => wait
        }
      )

    it.effect("is waited for", () =>
      Effect.gen(function* () {
        const { effect, state } = flaky(1)
        const fiber = yield* Effect.fork(asking(2_000)(effect))
        yield* TestClock.adjust("1999 millis")
        expect(state.calls).toBe(1)
        yield* TestClock.adjust("1 millis")
        expect(yield* Fiber.join(fiber)).toBe("balance")
      })
    )

    it.effect("does not shorten the back-off", () =>
      Effect.gen(function* () {
        const { effect, state } = flaky(1)
        const backoff = { base: "10s", max: "10s" } as const
        const guarded = asking(1, { retry: { on: ["rate_limited"], backoff } })
        const fiber = yield* Effect.fork(guarded(effect))
        yield* TestClock.adjust("1 millis")
        expect(state.calls).toBe(1)
        yield* TestClock.adjust("10 seconds")
        expect(yield* Fiber.join(fiber)).toBe("balance")
      })
    )

    it.effect.each([
      { why: "more than 5 s", wait: 5_001, policy: {} },
      { why: "all that is left of the time", wait: 900, policy: { timeout: { request: "900ms" } } }
    ] as const)("and asks for $why: nothing follows", ({ wait, policy }) =>
      Effect.gen(function* () {
        const { effect, state } = flaky(1)
        expect(yield* Effect.exit(asking(wait, policy)(effect))).toEqual(
          Exit.fail(new LedgerDown({ call: 1 }))
        )
        expect(state.calls).toBe(1)
      })
    )
  })

  it.effect("both limits count against the target", () =>
    Effect.gen(function* () {
      for (const timeout of [{ perTry: "1s" }, { request: "1s" }] as const) {
        const guarded = guard({ ...once, timeout })
        const fiber = yield* Effect.fork(guarded(Effect.never))
        yield* TestClock.adjust("1 second")
        expect(yield* Effect.flip(Fiber.join(fiber))).toBeInstanceOf(PolicyEffect.PolicyTimeout)
        expect(yield* Effect.flip(guarded(Effect.succeed(1)))).toBeInstanceOf(
          PolicyEffect.BreakerOpen
        )
      }
    })
  )

  it.effect("the total limit, not the shorter of one attempt, ends the last attempt in time", () =>
    Effect.gen(function* () {
      const guarded = guard({
        timeout: { request: "1s", perTry: "800ms" },
        retry: { attempts: 1, on: ["timeout"], backoff: { base: "1ms", max: "1ms" } }
      })
      expect(yield* settle(guarded(Effect.never))).toEqual(
        Exit.fail(
          new PolicyEffect.PolicyTimeout({ target: "ledger", limit: "request", millis: 1_000 })
        )
      )
    })
  )

  it.effect("a caller that leaves is no failure of the target's", () =>
    Effect.gen(function* () {
      const guarded = guard(once)
      const fiber = yield* Effect.fork(guarded(Effect.never))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      expect(yield* guarded(Effect.succeed(1))).toBe(1)
    })
  )

  it.effect("what is the caller's own fault is none either, and not repeated", () =>
    Effect.gen(function* () {
      const guarded = PolicyEffect.apply<LedgerDown>(
        makePolicy({ breaker: { consecutiveFailures: 1 } }),
        { name: "ledger", idempotent: true, classify: () => verdicts.refused }
      )
      const { effect, state } = flaky(1)
      yield* Effect.exit(guarded(effect))
      expect(state.calls).toBe(1)
      expect(yield* guarded(effect)).toBe("balance")
    })
  )

  it.effect("steps of the wall clock move nothing", () =>
    Effect.gen(function* () {
      // What TestClock cannot: a wall clock of its own, set back by a day in the middle.
      const clock = yield* Effect.clock
      const set = { back: 0 }
      const stepping: Clock.Clock = {
        ...clock,
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        sleep: (duration) => clock.sleep(duration),
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() - set.back,
        currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now - set.back),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeNanos: clock.currentTimeNanos
      }
      const guarded = guard(once)
      const { effect } = flaky(1)
      yield* Effect.exit(Effect.withClock(guarded(effect), stepping))
      set.back = 86_400_000
      yield* afterOpening
      expect(yield* Effect.withClock(guarded(effect), stepping)).toBe("balance")
    })
  )
})

describe("what only an Effect can do", () => {
  const once: PolicyInput = { retry: { on: ["5xx"] }, breaker: { consecutiveFailures: 1 } }

  it.effect("a defect counts against the target, is not repeated, and stays a defect", () =>
    Effect.gen(function* () {
      let calls = 0
      const guarded = guard(once)
      const exit = yield* Effect.exit(guarded(Effect.suspend(() => Effect.die(++calls))))
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      expect(calls).toBe(1)
      expect(yield* Effect.flip(guarded(Effect.succeed(1)))).toBeInstanceOf(
        PolicyEffect.BreakerOpen
      )
    })
  )

  it.effect("an effect that interrupts itself says nothing about the target", () =>
    Effect.gen(function* () {
      const guarded = guard(once)
      const exit = yield* settle(guarded(Effect.interrupt))
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(yield* guarded(Effect.succeed(1))).toBe(1)
    })
  )

  it.effect("a classify that throws is a defect, and no probe is left behind", () =>
    Effect.gen(function* () {
      const guarded = PolicyEffect.apply<LedgerDown>(
        makePolicy({ retry: "off", breaker: { consecutiveFailures: 1 } }),
        {
          name: "ledger",
          classify: () => {
            throw new Error("a bug")
          }
        }
      )
      const { effect } = flaky(2)
      for (let i = 0; i < 2; i++) {
        const exit = yield* Effect.exit(guarded(effect))
        expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
        yield* TestClock.adjust("3 seconds")
      }
      expect(yield* guarded(effect)).toBe("balance")
    })
  )

  it.effect("asks what a failure means once", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const guarded = PolicyEffect.apply(makePolicy({ retry: { attempts: 1, on: ["reset"] } }), {
        name: "ledger",
        idempotent: true,
        classify: ({ call }: LedgerDown) => {
          asked.push(call)
          return verdicts.reset
        }
      })
      yield* settle(guarded(flaky(9).effect))
      expect(asked).toEqual([1, 2])
    })
  )

  it.effect("keeps all that is known of a failure it passes on", () =>
    Effect.gen(function* () {
      const cause = Cause.sequential(
        Cause.fail(new LedgerDown({ call: 1 })),
        Cause.die("and then the finalizer broke")
      )
      const exit = yield* Effect.exit(guard({ retry: "off" })(Effect.failCause(cause)))
      expect(exit).toEqual(Exit.failCause(cause))
    })
  )

  it.effect("a policy around another: its time-out is one, its open circuit was not sent", () =>
    Effect.gen(function* () {
      const inner = guard({ retry: "off", breaker: { consecutiveFailures: 1 } })
      const outer = PolicyEffect.apply(
        makePolicy({ breaker: { consecutiveFailures: 1 }, retry: { attempts: 1 } }),
        { name: "books" }
      )
      yield* Effect.exit(inner(flaky(9).effect))
      const { effect, state } = flaky(0)
      const fiber = yield* Effect.fork(outer(inner(effect)))
      yield* Effect.yieldNow()
      expect(state.calls).toBe(0)
      // The outer circuit is open by then: what the inner one said is what the caller gets.
      expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({
        _tag: "BreakerOpen",
        target: "ledger"
      })
    })
  )

  it.effect("an open circuit within is waited for, as it says", () =>
    Effect.gen(function* () {
      const inner = guard({ retry: "off", breaker: { consecutiveFailures: 1 } })
      const outer = PolicyEffect.apply(makePolicy({}), { name: "books" })
      yield* Effect.exit(inner(flaky(9).effect))
      const fiber = yield* Effect.fork(outer(inner(Effect.succeed("balance"))))
      yield* TestClock.adjust("1500 millis")
      expect(yield* Fiber.join(fiber)).toBe("balance")
    })
  )

  it("keeps the types of what it guards", () => {
    const byDefault = PolicyEffect.apply(makePolicy({}), { name: "ledger" })
    const classified = PolicyEffect.apply(makePolicy({}), {
      name: "ledger",
      classify: (_: LedgerDown) => verdicts.reset
    })
    const read = Effect.fail(new LedgerDown({ call: 1 })).pipe(Effect.as(1))
    type Guarded = Effect.Effect<number, LedgerDown | PolicyEffect.PolicyFailure>
    expectTypeOf(byDefault(read)).toEqualTypeOf<Guarded>()
    expectTypeOf(classified(read)).toEqualTypeOf<Guarded>()
    // @ts-expect-error classify says nothing of strings
    expect(classified(Effect.fail("other"))).toBeDefined()
  })
})
