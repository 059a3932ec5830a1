/** What is counted of messages: each ends as one thing, whatever became of it on the way. */
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Schema, TestClock } from "effect"
import * as Actor from "./Actor.ts"
import * as ActorState from "./ActorState.ts"
import { Actors, layerLocal } from "./Actors.ts"
import { ActorStore, type ActorStoreShape } from "./store/ActorStore.ts"
import * as MemoryStore from "./store/MemoryStore.ts"
import { Fenced, StoreUnavailable } from "./store/StoreError.ts"

class Empty extends Schema.TaggedError<Empty>()("Empty", {}) {}

const Till = Actor.make("Till", [
  Rpc.make("Put", { payload: { amount: Schema.Int }, success: Schema.Int }),
  Rpc.make("Take", { success: Schema.Int, error: Empty }),
  Rpc.make("Wait", { payload: { millis: Schema.Int } }),
  Rpc.make("Dies")
])

const TillLive = Till.toLayer(
  Effect.gen(function* () {
    const state = yield* ActorState.make(Schema.Struct({ total: Schema.Int }), {
      initial: { total: 0 }
    })
    return {
      Put: ({ payload: { amount } }) =>
        Effect.map(
          state.update(({ total }) => ({ total: total + amount })),
          ({ total }) => total
        ),
      Take: () => new Empty(),
      Wait: ({ payload: { millis } }) => Effect.sleep(millis),
      Dies: () => Effect.die(new Error("a bug"))
    }
  }),
  { mailbox: 1 }
)

const withStore = (store: ActorStoreShape) =>
  TillLive.pipe(
    Layer.provideMerge(layerLocal),
    Layer.provide(Layer.succeed(ActorStore, store)),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )

const statsOf = Effect.map(Actors, ({ hosts }) => hosts.get("Till")!.stats)

describe("what is counted of a type's actors", () => {
  it.effect("has each message under what became of it", () =>
    Effect.gen(function* () {
      const stats = yield* statsOf
      const till = (yield* Till.client)("a")
      yield* till.Put({ amount: 5 })
      yield* till.Put({ amount: 5 })
      yield* Effect.exit(till.Take())
      expect(stats).toMatchObject({ ok: 2, failed: 1, died: 0, saves: 2 })

      // One is handled, one waits, and the third is too many.
      const first = yield* Effect.fork(till.Wait({ millis: 2_000 }))
      const second = yield* Effect.fork(till.Wait({ millis: 1 }))
      yield* Effect.yieldNow()
      yield* Effect.exit(till.Wait({ millis: 1 }))
      expect(stats).toMatchObject({ mailboxFull: 1, cancelled: 0 })
      yield* Fiber.interrupt(second)
      expect(stats.cancelled).toBe(1)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(first)
      expect(stats).toMatchObject({ ok: 3, crashes: 0, lastError: undefined })
      // From when it came to when it was answered, ms.
      expect(stats.latency.count).toBe(4)
      expect(stats.latency.sum).toBe(2_000)
      expect(stats.rate).toBeCloseTo(2)

      yield* Effect.exit(till.Dies())
      expect(stats).toMatchObject({ died: 1, crashes: 1 })
      const lastError = { text: "the actor Till/a has crashed: a bug", at: 2_000 }
      expect(stats.lastError).toEqual(lastError)
      const { hosts } = yield* Actors
      expect(hosts.get("Till")!.get("a")).toMatchObject({ lastError, handled: 5 })
    }).pipe(Effect.provide(withStore(MemoryStore.make())))
  )

  it.effect("tells saves that came to nothing from those that were fenced", () => {
    const store = MemoryStore.make()
    const failures = [
      new StoreUnavailable({ code: "store_unavailable", message: "away", unknown: false }),
      new Fenced({ code: "fenced", message: "another has it", epoch: 1, current: 2 })
    ]
    const failing: ActorStoreShape = {
      ...store,
      save: (save) => {
        const failure = failures.shift()
        return failure === undefined ? store.save(save) : Effect.fail(failure)
      }
    }
    return Effect.gen(function* () {
      const stats = yield* statsOf
      const till = (yield* Till.client)("a")
      for (let i = 0; i < 2; i++) {
        expect(Exit.isFailure(yield* Effect.exit(till.Put({ amount: 1 })))).toBe(true)
        yield* TestClock.adjust("1 second")
      }
      expect(yield* till.Put({ amount: 1 })).toBe(1)
      expect(stats).toMatchObject({ savesFailed: 1, fenced: 1, saves: 1, unavailable: 2, ok: 1 })
      expect(stats.lastError?.text).toBe("the actor Till/a has crashed: another has it")
    }).pipe(Effect.provide(withStore(failing)))
  })
})
