/** Actors that are sent messages by what they wait for themselves. */
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Schema, TestClock } from "effect"
import { MemoryMesh } from "../testing/MemoryMesh.ts"
import * as Actor from "./Actor.ts"
import * as ActorMesh from "./ActorMesh.ts"
import * as ActorState from "./ActorState.ts"
import { layerLocal } from "./Actors.ts"
import {
  type CallChain,
  cycleOf,
  formatChain,
  longerChain,
  maxDepth,
  readChain
} from "./CallChain.ts"
import * as MemoryStore from "./store/MemoryStore.ts"

const Party = Actor.make("Party", [
  // Asks the others on its way, one after the other, and is answered by the last one.
  Rpc.make("Ask", {
    payload: { way: Schema.Array(Schema.String) },
    success: Schema.Int,
    error: Schema.String
  }),
  Rpc.make("Count", { success: Schema.Int }).annotate(Actor.Reentrant, true),
  Rpc.make("Busy", { success: Schema.Int })
])

/** On its way a letter is an id that is asked, `!` one that is asked for its count, which lets itself in. */
const PartyLive = (options: Actor.ActorOptions = {}) =>
  Party.toLayer(
    Effect.gen(function* () {
      const state = yield* ActorState.make(Schema.Struct({ asked: Schema.Int }), {
        initial: { asked: 0 }
      })
      const parties = yield* Party.client
      const count = Effect.map(state.get, ({ asked }) => asked)
      return {
        Ask: ({ payload: { way } }) =>
          Effect.gen(function* () {
            yield* state.update(({ asked }) => ({ asked: asked + 1 }))
            const [next, ...rest] = way
            if (next === undefined) return yield* count
            if (next.startsWith("!")) return yield* parties(next.slice(1)).Count()
            return yield* parties(next).Ask({ way: rest })
          }).pipe(
            Effect.mapError((failure) => (typeof failure === "string" ? failure : failure.message))
          ),
        Count: () => count,
        Busy: () => Effect.zipRight(Effect.sleep("1 second"), count)
      }
    }),
    options
  )

const local = (options: Actor.ActorOptions = {}) =>
  PartyLive(options).pipe(
    Layer.provideMerge(layerLocal),
    Layer.provide(MemoryStore.layer),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )

const passing = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.zipRight(
    Effect.repeat(TestClock.adjust("100 millis"), { until: () => fiber.unsafePoll() !== null }),
    Fiber.join(fiber)
  )

const textOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.match(effect, { onSuccess: String, onFailure: String })

describe("actors that wait for themselves", () => {
  it.scoped("are let out by the deadline, which says who waits for whom", () =>
    Effect.gen(function* () {
      const party = yield* Party.client
      const asking = yield* Effect.fork(textOf(party("a").Ask({ way: ["b", "c", "a"] })))
      yield* TestClock.adjust("14 seconds")
      expect(asking.unsafePoll()).toBeNull()
      expect(yield* passing(asking)).toContain(
        "it waits for itself (Party/a → Party/b → Party/c → Party/a), and the message is not reentrant"
      )
      const own = { headers: { "skein-deadline": "300" } }
      const deadline = yield* Effect.fork(Effect.flip(party("a").Busy(undefined, own)))
      yield* TestClock.adjust("300 millis")
      // Who is only slow waits for nobody.
      expect((yield* Fiber.join(deadline)).message).toContain("has not answered in time. ")
    }).pipe(Effect.provide(local()))
  )

  it.scoped("handle at once what they may, and nothing else", () =>
    Effect.gen(function* () {
      const party = yield* Party.client
      expect(yield* party("a").Ask({ way: ["b", "!a"] })).toBe(1)
      // Of another chain it waits, like any.
      const busy = yield* Effect.fork(party("a").Busy())
      yield* Effect.yieldNow()
      const count = yield* Effect.fork(party("a").Count())
      yield* TestClock.adjust("900 millis")
      expect(count.unsafePoll()).toBeNull()
      yield* TestClock.adjust("100 millis")
      expect(yield* Fiber.join(busy)).toBe(1)
      expect(yield* Fiber.join(count)).toBe(1)
    }).pipe(Effect.provide(local()))
  )

  it.scoped("handle all of them, where their type says so, and not for ever", () =>
    Effect.gen(function* () {
      const party = yield* Party.client
      expect(yield* party("a").Ask({ way: ["b", "a", "b", "a"] })).toBe(3)
      const way = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? "d" : "c"))
      const text = yield* textOf(party("c").Ask({ way }))
      expect(text).toContain(`is called by ${maxDepth} messages that wait for each other`)
    }).pipe(Effect.provide(local({ reentrant: true })))
  )

  it.scoped("do so from host to host", () =>
    Effect.gen(function* () {
      const mesh = new MemoryMesh()
      const store = MemoryStore.layer
      const start = (name: string) =>
        Effect.gen(function* () {
          const program = PartyLive().pipe(
            Layer.provideMerge(ActorMesh.layer),
            Layer.provide(mesh.layer(name)),
            Layer.provide(store),
            Layer.provide(Logger.remove(Logger.defaultLogger))
          )
          return yield* Effect.provide(
            Party.client,
            yield* Layer.buildWithScope(program, yield* Effect.scope)
          )
        })
      const party = yield* start("a")
      yield* start("b")
      for (let n = 0; n < 8; n++) {
        const [one, other] = [`one-${n}`, `other-${n}`]
        expect(yield* party(one).Ask({ way: [other, `!${one}`] })).toBe(1)
        const cycle = yield* Effect.fork(textOf(party(one).Ask({ way: [other, one] })))
        expect(yield* passing(cycle)).toContain(`(Party/${one} → Party/${other} → Party/${one})`)
      }
      // They were on both of them, or this has shown nothing.
      expect(new Set(mesh.calls).size).toBeGreaterThan(1)
    })
  )
})

describe("a chain of messages", () => {
  const address = (id: string) => ({ entityType: "Party", entityId: id, shardId: 1 })
  const chain = (ids: ReadonlyArray<string>) =>
    ids.reduce<CallChain | undefined>(
      (before, id) => longerChain("c-1", before, address(id)),
      undefined
    )!

  it("goes from host to host in a field", () => {
    for (const ids of [["a"], ["a b", "ü→,", "a"], Array.from({ length: 40 }, (_, i) => `n${i}`)]) {
      const text = formatChain(chain(ids))
      expect(text).toMatch(/^[ -~]+$/)
      expect(readChain(text)).toEqual(chain(ids))
    }
    for (const text of [
      "",
      "c",
      "c 1",
      "c x a",
      "c 0 a",
      "c 1 a b",
      "c 9999 a",
      "c 1 %",
      "a/b 1 c"
    ])
      expect(readChain(text)).toBeUndefined()
  })

  it("has a cycle where an actor is in it that it is to come to", () => {
    expect(cycleOf(chain(["a", "b", "c"]), address("b"))).toBe("Party/b → Party/c → Party/b")
    expect(cycleOf(chain(["a", "b"]), address("c"))).toBeUndefined()
    expect(cycleOf(undefined, address("c"))).toBeUndefined()
  })
})
