import { describe, expect, it } from "@effect/vitest"
import { Data, Deferred, Effect, Exit, Fiber, TestClock } from "effect"
import { makePolicy, type PolicyInput } from "../model/Policy.ts"
import { verdicts } from "./Classifier.ts"
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
