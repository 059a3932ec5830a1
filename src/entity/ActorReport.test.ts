/** What a program says of its actors when its node asks. */
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema, TestClock } from "effect"
import { actorLimits } from "../schema/ActorReportSchema.ts"
import { MemoryMesh } from "../testing/MemoryMesh.ts"
import * as Actor from "./Actor.ts"
import * as ActorMesh from "./ActorMesh.ts"
import * as ActorState from "./ActorState.ts"
import { ActorStore } from "./store/ActorStore.ts"
import * as MemoryStore from "./store/MemoryStore.ts"

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { success: Schema.Int }),
  Rpc.make("Slow", { payload: { millis: Schema.Int } })
])

const CounterLive = Counter.toLayer(
  Effect.gen(function* () {
    const state = yield* ActorState.make(Schema.Struct({ count: Schema.Int }), {
      initial: { count: 0 }
    })
    return {
      Add: () =>
        Effect.map(
          state.update(({ count }) => ({ count: count + 1 })),
          ({ count }) => count
        ),
      Slow: ({ payload: { millis } }) => Effect.sleep(millis)
    }
  })
)

const world = () => {
  const mesh = new MemoryMesh()
  const store = Layer.succeed(ActorStore, MemoryStore.make())
  const program = (name: string) =>
    CounterLive.pipe(
      Layer.provideMerge(ActorMesh.layer),
      Layer.provide(Layer.merge(mesh.layer(name), store))
    )
  const said = (name: string, question: { type?: string; id?: string } = {}) =>
    mesh.host(name).actors.answer(question)
  return { program, said }
}

const ids = Array.from({ length: 30 }, (_, i) => `c-${i}`)

describe("what a program says of its actors", () => {
  it.scoped("is of each type that it runs: numbers always, names where a type is asked for", () =>
    Effect.gen(function* () {
      const { program, said } = world()
      const counter = yield* Effect.provide(Counter.client, yield* Layer.build(program("a")))
      for (const [i, id] of ids.entries()) yield* Effect.replicateEffect(counter(id).Add(), i + 1)
      const [numbers] = said("a")
      expect(numbers).toMatchObject({
        ...{ type: "Counter", service: "actor-counter", guarantee: "eventual", activations: 30 },
        shards: { owned: 256, in: 0, out: 0 },
        messages: { ok: 465, failed: 0 },
        saves: { ok: 465 }
      })
      expect(numbers?.busiest).toBeUndefined()
      expect(said("a", { type: "Other" })).toEqual([])

      const busiest = said("a", { type: "Counter" })[0]?.busiest?.map(({ id }) => id)
      expect(busiest).toEqual(ids.toReversed().slice(0, actorLimits.busiest))
      // Whoever has messages that wait is busier than who has had many.
      const slow = yield* Effect.fork(counter("c-0").Slow({ millis: 1_000 }))
      const waits = yield* Effect.fork(counter("c-0").Slow({ millis: 1_000 }))
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      const [now] = said("a", { type: "Counter" })
      expect(now).toMatchObject({ waiting: 1, longest: 1 })
      expect(now?.busiest?.[0]).toMatchObject({ id: "c-0", waiting: 1, running: 1, handled: 1 })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(slow)
      yield* Fiber.join(waits)
    })
  )

  it.scoped("is of one actor where it would be, and how it is if it is in memory here", () =>
    Effect.gen(function* () {
      const { program, said } = world()
      const a = yield* Layer.build(program("a"))
      const counter = yield* Effect.provide(Counter.client, a)
      yield* Effect.replicateEffect(counter("c-1").Add(), 3)
      const [{ actor, busiest, key } = {}] = said("a", { type: "Counter", id: "c-1" })
      expect(actor).toMatchObject({
        owner: key,
        state: { id: "c-1", phase: "ready", handled: 3, version: 3, shard: actor?.shard }
      })
      expect(busiest).toBeUndefined()
      expect(said("a", { type: "Counter", id: "c-2" })[0]?.actor).toMatchObject({ state: null })
    })
  )

  it.scoped("counts the shards that move when a host comes", () =>
    Effect.gen(function* () {
      const { program, said } = world()
      yield* Layer.build(program("a"))
      yield* Layer.build(program("b"))
      const [a, b] = [said("a")[0]?.shards, said("b")[0]?.shards]
      expect(a?.out).toBe(b?.owned)
      expect(b?.owned).toBeGreaterThan(64)
      expect((a?.owned ?? 0) + (b?.owned ?? 0)).toBe(256)
    })
  )
})
