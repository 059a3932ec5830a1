import { expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { ActorStore, type ActorStoreShape } from "./ActorStore.ts"
import { type LeaseLoop, runLeases } from "./LeaseLoop.ts"
import type { LeaseNews } from "./LeaseStep.ts"
import * as MemoryStore from "./MemoryStore.ts"
import { StoreUnavailable } from "./StoreError.ts"

const shard = { type: "Cart", index: 0 }
const away = new StoreUnavailable({ code: "store_unavailable", message: "away", unknown: true })

/** A store that can be away, or not answer. */
class Switched {
  state: "away" | "here" | "silent" = "here"
  readonly statements: Array<string> = []
  readonly store: ActorStoreShape
  constructor() {
    const real = MemoryStore.make()
    const through = <A>(statement: string, effect: Effect.Effect<A, StoreUnavailable>) =>
      Effect.suspend((): Effect.Effect<A, StoreUnavailable> => {
        this.statements.push(statement)
        if (this.state === "here") return effect
        return this.state === "away" ? Effect.fail(away) : Effect.never
      })
    this.store = {
      ...real,
      acquire: (owner, shards, ttl) =>
        through(`acquire × ${shards.length}`, real.acquire(owner, shards, ttl)),
      renew: (leases, ttl) => through(`renew × ${leases.length}`, real.renew(leases, ttl)),
      release: (leases) => through(`release × ${leases.length}`, real.release(leases))
    }
  }
}

const begun = (switched: Switched, owner: string) =>
  Effect.gen(function* () {
    const said: Array<string> = []
    const troubles: Array<string> = []
    let loop: LeaseLoop | undefined
    const onNews = ({ kind, lease }: LeaseNews): void => {
      said.push(kind)
      // What runs under it is finished at once.
      if (kind === "leaving") loop?.letGo(lease)
    }
    loop = yield* runLeases({ owner, onNews, onTrouble: ({ message }) => troubles.push(message) })
    return { loop, said, troubles }
  }).pipe(Effect.provide(Layer.succeed(ActorStore, switched.store)))

it.scoped("holds what is wanted for as long as the store is there", () =>
  Effect.gen(function* () {
    const switched = new Switched()
    const { loop, said } = yield* begun(switched, "a")
    loop.want([shard])
    yield* TestClock.adjust("1 second")
    expect(said).toEqual(["granted"])
    yield* TestClock.adjust("1 minute")
    expect(loop.mayBegin(shard)).toEqual({ shard, owner: "a", epoch: 1 })
    expect(said).toEqual(["granted"])
    loop.want([])
    yield* TestClock.adjust("1 second")
    expect(said).toEqual(["granted", "leaving"])
    expect(yield* switched.store.leases("Cart")).toEqual([])
  })
)

it.scoped.each(["away", "silent"] as const)(
  "stops in time when the store is %s, and comes back by itself",
  (state) =>
    Effect.gen(function* () {
      const switched = new Switched()
      const { loop, said, troubles } = yield* begun(switched, "a")
      loop.want([shard])
      yield* TestClock.adjust("1 second")
      switched.state = state
      yield* TestClock.adjust("14 seconds")
      // The store would let another in at 15 s, and from then on.
      expect(said).toEqual(["granted", "quiet", "lost"])
      expect(loop.mayBegin(shard)).toBeUndefined()
      if (state === "away") expect(troubles).toContain("away")
      yield* TestClock.adjust("30 seconds")
      switched.state = "here"
      yield* TestClock.adjust("7 seconds")
      expect(said).toEqual(["granted", "quiet", "lost", "granted"])
      expect(loop.mayBegin(shard)?.epoch).toBe(2)
    })
)

it.scoped("asks for what is told in one turn in one statement of each kind", () =>
  Effect.gen(function* () {
    const switched = new Switched()
    const { loop } = yield* begun(switched, "a")
    const shards = Array.from({ length: 80 }, (_, index) => ({ type: "Cart", index }))
    for (const { index } of shards) loop.want(shards.slice(0, index + 1))
    yield* TestClock.adjust("1 second")
    expect(switched.statements).toEqual(["acquire × 80"])
    // Each goes by itself, and others come.
    const left = shards.slice(30)
    for (const { index } of shards.slice(0, 30)) loop.want(shards.slice(index + 1))
    loop.want([...left, { type: "Cart", index: 100 }])
    yield* TestClock.adjust("1 second")
    expect(switched.statements).toEqual(["acquire × 80", "acquire × 1", "release × 30"])
  })
)

it.scoped("says when the store has a lease back, and not before", () =>
  Effect.gen(function* () {
    const switched = new Switched()
    const { loop } = yield* begun(switched, "a")
    const told: Array<string> = []
    loop.whenBack(shard, () => told.push("it has none"))
    expect(told).toEqual(["it has none"])
    loop.want([shard])
    yield* TestClock.adjust("1 second")
    switched.state = "away"
    loop.want([])
    loop.whenBack(shard, () => told.push("it is back"))
    yield* TestClock.adjust("3 seconds")
    expect(told).toEqual(["it has none"])
    expect(yield* switched.store.leases("Cart")).toHaveLength(1)
    switched.state = "here"
    yield* TestClock.adjust("2 seconds")
    expect(told).toEqual(["it has none", "it is back"])
    expect(yield* switched.store.leases("Cart")).toEqual([])
  })
)

it.effect("lets go at its end, so that the next one need not wait", () =>
  Effect.gen(function* () {
    const switched = new Switched()
    const scope = yield* Scope.make()
    const first = yield* Scope.extend(begun(switched, "a"), scope)
    first.loop.want([shard])
    yield* TestClock.adjust("1 second")
    const second = yield* begun(switched, "b")
    second.loop.want([shard])
    yield* TestClock.adjust("1 second")
    expect(second.said).toEqual([])
    yield* Scope.close(scope, Exit.void)
    yield* TestClock.adjust("2 seconds")
    expect(second.said).toEqual(["granted"])
    expect(second.loop.mayBegin(shard)?.epoch).toBe(2)
  }).pipe(Effect.scoped)
)

it.effect("does not wait for a store that says nothing at its end", () =>
  Effect.gen(function* () {
    const switched = new Switched()
    const scope = yield* Scope.make()
    const { loop } = yield* Scope.extend(begun(switched, "a"), scope)
    loop.want([shard])
    yield* TestClock.adjust("1 second")
    switched.state = "silent"
    const ending = yield* Effect.fork(Scope.close(scope, Exit.void))
    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(ending)).toBeUndefined()
  })
)
