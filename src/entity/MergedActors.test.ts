import * as Headers from "@effect/platform/Headers"
/** Hosts with stores of their own: an actor that ran on two of them is one again afterwards. */
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Logger, Schema, Scope, TestClock } from "effect"
import { MemoryMesh } from "../testing/MemoryMesh.ts"
import * as Actor from "./Actor.ts"
import * as ActorMesh from "./ActorMesh.ts"
import * as ActorState from "./ActorState.ts"
import { Actors, layerLocal } from "./Actors.ts"
import { mergeRpc } from "./HandedState.ts"
import { ActorStore, type ActorStoreShape } from "./store/ActorStore.ts"
import * as MemoryStore from "./store/MemoryStore.ts"
import { StoreUnavailable } from "./store/StoreError.ts"

const Tally = Actor.make("Tally", [
  Rpc.make("Add", { payload: { by: Schema.Int }, success: Schema.Int }),
  Rpc.make("Get", { success: Schema.Int })
])

const Total = Schema.Struct({ total: Schema.Int })

class World {
  readonly mesh = new MemoryMesh()
  /** Saves of what was merged on that host that fail from now on. */
  readonly failing = new Map<string, number>()
  /** It is those of what is to be given that fail. */
  keeps = false
  /** It is those of messages. */
  plain = false
  /** Milliseconds that messages take. */
  delay = 0
  /** Of all hosts; undefined: each has its own. */
  shared: ActorStoreShape | undefined
  merges = true
  /** By host, also when it starts again. */
  readonly stores = new Map<string, ActorStoreShape>()

  #storeOf(name: string): ActorStoreShape {
    const store = this.shared ?? this.stores.get(name) ?? MemoryStore.make()
    this.stores.set(name, store)
    return {
      ...store,
      save: (save) =>
        Effect.suspend(() => {
          const left = this.failing.get(name) ?? 0
          const isHanded = save.keys?.put.some(({ key }) => key.startsWith("handed:")) === true
          const isMeant = this.plain
            ? !isHanded
            : isHanded && (save.state === undefined) === this.keeps
          if (left === 0 || !isMeant) return store.save(save)
          this.failing.set(name, left - 1)
          return new StoreUnavailable({
            ...{ code: "store_unavailable", message: "away", unknown: false }
          })
        })
    }
  }

  start(name: string, scope?: Scope.Scope) {
    return Effect.gen(this, function* () {
      const { merges } = this
      const delay = (): number => this.delay
      const live = Tally.toLayer(
        Effect.gen(function* () {
          const state = yield* ActorState.make(Total, {
            initial: { total: 0 },
            // What both have counted: wrong for what both have from before.
            merge: merges ? (mine, theirs) => ({ total: mine.total + theirs.total }) : undefined
          })
          return {
            Add: ({ payload: { by } }) =>
              Effect.map(
                Effect.delay(
                  state.update(({ total }) => ({ total: total + by })),
                  delay()
                ),
                ({ total }) => total
              ),
            Get: () => Effect.map(state.get, ({ total }) => total)
          }
        })
      )
      const program = Layer.provideMerge(live, ActorMesh.layer).pipe(
        Layer.provide(this.mesh.layer(name)),
        Layer.provide(Layer.succeed(ActorStore, this.#storeOf(name))),
        Layer.provide(Logger.remove(Logger.defaultLogger))
      )
      const context = yield* Layer.buildWithScope(program, scope ?? (yield* Effect.scope))
      return {
        tally: yield* Effect.provide(Tally.client, context),
        stats: () => Context.get(context, Actors).hosts.get("Tally")!.stats
      }
    })
  }

  /** Each of them takes the other for dead. */
  part(a: string, b: string): void {
    for (const [one, other] of [
      [a, b],
      [b, a]
    ] as const) {
      this.mesh.host(other).member = "dead"
      this.mesh.show(this.mesh.host(one))
      this.mesh.host(one).deaf = true
      this.mesh.host(other).member = "alive"
    }
  }

  heal(...names: ReadonlyArray<string>): void {
    for (const name of names) this.mesh.host(name).deaf = false
    this.mesh.tell()
  }
}

const ids = Array.from({ length: 24 }, (_, i) => `t-${i}`)

const passing = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* Effect.repeat(TestClock.adjust("50 millis"), {
      until: () => fiber.unsafePoll() !== null
    })
    return yield* Fiber.join(fiber)
  })

describe("an actor that has run on two hosts", () => {
  it.scoped("is merged when they see each other again, once", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      const b = yield* world.start("b")
      world.part("a", "b")
      for (const id of ids) {
        yield* passing(a.tally(id).Add({ by: 1 }))
        yield* passing(b.tally(id).Add({ by: 10 }))
      }
      world.heal("a", "b")
      yield* TestClock.adjust("5 seconds")
      for (const id of ids) {
        expect(yield* passing(a.tally(id).Get())).toBe(11)
        expect(yield* passing(b.tally(id).Get())).toBe(11)
      }
      expect(a.stats().given + b.stats().given).toBe(ids.length)
      expect(a.stats().given).toBeGreaterThan(3)
      expect(b.stats().given).toBeGreaterThan(3)
      expect(a.stats().notGiven + b.stats().notGiven).toBe(0)
    })
  )

  it.scoped("is merged though who has it crashes over it, and not twice", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      const b = yield* world.start("b")
      world.part("a", "b")
      for (const id of ids) {
        yield* passing(a.tally(id).Add({ by: 1 }))
        yield* passing(b.tally(id).Add({ by: 10 }))
      }
      world.failing.set("a", 3)
      world.failing.set("b", 3)
      world.heal("a", "b")
      yield* TestClock.adjust("30 seconds")
      expect(world.failing).toEqual(
        new Map([
          ["a", 0],
          ["b", 0]
        ])
      )
      for (const id of ids) expect(yield* passing(a.tally(id).Get())).toBe(11)
    })
  )

  it.scoped("is counted where it stays in the store of its last host", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      for (const id of ids) yield* passing(a.tally(id).Add({ by: 1 }))
      world.keeps = true
      world.failing.set("a", 2)
      yield* world.start("b")
      yield* TestClock.adjust("5 seconds")
      expect(world.failing.get("a")).toBe(0)
      expect(a.stats().notGiven).toBe(2)
      expect(a.stats().given).toBeGreaterThan(0)
    })
  )

  it.scoped("is counted where its last save fails while it leaves", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      for (const id of ids) yield* passing(a.tally(id).Add({ by: 1 }))
      world.delay = 100
      const late = yield* Effect.fork(
        Effect.forEach(ids, (id) => Effect.exit(a.tally(id).Add({ by: 1 })), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 millis")
      yield* world.start("b")
      world.plain = true
      world.failing.set("a", ids.length)
      yield* TestClock.adjust("5 seconds")
      expect((yield* Fiber.join(late)).every(Exit.isFailure)).toBe(true)
      const { given, notGiven } = a.stats()
      expect(given).toBe(0)
      expect(notGiven).toBeGreaterThan(3)
      expect(notGiven).toBeLessThan(ids.length)
    })
  )

  it.scoped("is not merged with itself, where both have one store", () =>
    Effect.gen(function* () {
      const world = new World()
      world.shared = MemoryStore.make()
      const scope = yield* Scope.make()
      const a = yield* world.start("a", scope)
      for (const id of ids) yield* passing(a.tally(id).Add({ by: 1 }))
      const b = yield* world.start("b")
      yield* TestClock.adjust("5 seconds")
      for (const id of ids) expect(yield* passing(b.tally(id).Add({ by: 1 }))).toBe(2)
      yield* passing(Scope.close(scope, Exit.void))
      for (const id of ids) expect(yield* passing(b.tally(id).Get())).toBe(2)
    })
  )

  it.scoped("takes its state along when its host ends, and back to one that comes", () =>
    Effect.gen(function* () {
      const world = new World()
      const scope = yield* Scope.make()
      const a = yield* world.start("a", scope)
      const b = yield* world.start("b")
      for (const id of ids) yield* passing(a.tally(id).Add({ by: 3 }))
      yield* passing(Scope.close(scope, Exit.void))
      for (const id of ids) expect(yield* passing(b.tally(id).Get())).toBe(3)
      expect(world.mesh.calls.filter((call) => call === "a>b").length).toBeGreaterThan(3)
      // What is in its store from before was given, and is not to be merged with what has come of it.
      for (const id of ids) yield* passing(b.tally(id).Add({ by: 1 }))
      const again = yield* world.start("a")
      yield* TestClock.adjust("5 seconds")
      for (const id of ids) expect(yield* passing(again.tally(id).Get())).toBe(4)
      expect(b.stats().given).toBeGreaterThan(3)
    })
  )

  it.scoped(
    "is as it was where its program has no merge, and that is counted where it has one",
    () =>
      Effect.gen(function* () {
        const world = new World()
        const a = yield* world.start("a")
        world.merges = false
        const b = yield* world.start("b")
        world.part("a", "b")
        for (const id of ids) {
          yield* passing(a.tally(id).Add({ by: 1 }))
          yield* passing(b.tally(id).Add({ by: 10 }))
        }
        world.heal("a", "b")
        yield* TestClock.adjust("20 seconds")
        const totals = new Set<number>()
        for (const id of ids) totals.add(yield* passing(a.tally(id).Get()))
        expect(totals).toEqual(new Set([1, 10]))
        expect(a.stats().given + b.stats().given).toBe(0)
        expect(a.stats().notGiven).toBeGreaterThan(3)
        expect(b.stats().notGiven).toBe(0)
      })
  )
})

/** One host, to which others give. */
const receiver = () => {
  const store = MemoryStore.make()
  const world = { lives: 0, failing: false }
  const Ledger = Actor.make("Ledger", [Rpc.make("Get", { success: Schema.Int }), Rpc.make("Hold")])
  const live = Ledger.toLayer(
    Effect.gen(function* () {
      world.lives++
      const state = yield* ActorState.make(Total, {
        initial: { total: 0 },
        merge: (mine, theirs) => {
          if (theirs.total < 0) throw new Error("no such total")
          return { total: mine.total + theirs.total }
        }
      })
      return { Get: () => Effect.map(state.get, ({ total }) => total), Hold: () => Effect.never }
    }),
    { concurrency: 4 }
  )
  const away = new StoreUnavailable({
    ...{ code: "store_unavailable", message: "away", unknown: false }
  })
  const layer = live.pipe(
    Layer.provideMerge(layerLocal),
    Layer.provide(
      Layer.succeed(ActorStore, {
        ...store,
        load: (actor) => Effect.suspend(() => (world.failing ? away : store.load(actor)))
      })
    ),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )
  const give = (key: string, total: number, schema = 1) =>
    Effect.flatMap(Actors, ({ hosts }) =>
      Effect.async<unknown>((resume) => {
        const bytes = new TextEncoder().encode(JSON.stringify({ total }))
        hosts.get("Ledger")?.deliver("a", {
          ...{ rpc: mergeRpc, payload: { key, schema, bytes }, headers: Headers.empty },
          ...{ caller: undefined, parent: undefined, key: undefined },
          replies: {
            part: () => Effect.void,
            exit: (exit) => resume(Effect.succeed(Exit.isSuccess(exit) ? exit.value : exit.cause)),
            refuse: (refusal) => resume(Effect.succeed(refusal))
          }
        })
      })
    )
  return { give, layer, Ledger, world }
}

describe("who is given a state", () => {
  it.scoped(
    "says that it was merged as often as it is asked, so that nobody keeps it as well",
    () => {
      const { give, layer, Ledger } = receiver()
      return Effect.gen(function* () {
        const twice = [give("handed:1", 3), give("handed:1", 3)]
        expect(yield* Effect.all(twice, { concurrency: 2 })).toEqual(["merged", "merged"])
        expect(yield* give("handed:1", 3)).toBe("merged")
        expect(yield* (yield* Ledger.client)("a").Get()).toBe(3)
      }).pipe(Effect.provide(layer))
    }
  )

  it.scoped("goes on when it cannot be merged, or its store not be asked", () => {
    const { give, layer, Ledger, world } = receiver()
    return Effect.gen(function* () {
      const one = (yield* Ledger.client)("a")
      const held = yield* Effect.fork(Effect.exit(one.Hold()))
      expect(yield* one.Get()).toBe(0)
      // Of a later release, and one that the program's merge throws at.
      expect(yield* give("handed:1", 3, 2)).toBe("refused")
      expect(yield* give("handed:2", -1)).toBe("refused")
      world.failing = true
      expect(yield* give("handed:3", 3)).toMatchObject({ code: "not_saved", sent: false })
      world.failing = false
      expect(yield* give("handed:3", 3)).toBe("merged")
      expect(yield* one.Get()).toBe(3)
      expect(held.unsafePoll()).toBeNull()
      expect(world.lives).toBe(1)
      yield* Fiber.interrupt(held)
    }).pipe(Effect.provide(layer))
  })
})
