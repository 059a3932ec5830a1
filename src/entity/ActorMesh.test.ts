import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Context,
  type Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Schema,
  Scope,
  Stream,
  TestClock
} from "effect"
import { CalledBy } from "../api/CalledBy.ts"
import { MemoryMesh } from "../testing/MemoryMesh.ts"
import * as Actor from "./Actor.ts"
import { addressOf, CurrentAddress } from "./ActorAddress.ts"
import * as ActorMesh from "./ActorMesh.ts"
import * as ActorState from "./ActorState.ts"
import { Actors } from "./Actors.ts"
import { wave } from "./Departures.ts"
import { ActorStore, type ActorStoreShape } from "./store/ActorStore.ts"
import { defaultLeaseTimes } from "./store/LeaseStep.ts"
import * as MemoryStore from "./store/MemoryStore.ts"
import { StoreUnavailable } from "./store/StoreError.ts"

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { by: Schema.Int }) {}

const CounterState = Schema.Struct({
  count: Schema.optionalWith(Schema.Int, { default: () => 0 })
})

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { payload: { by: Schema.Int }, success: Schema.Int, error: TooMuch }),
  Rpc.make("Slow", { payload: { millis: Schema.Int }, success: Schema.Int }),
  Rpc.make("Numbers", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("Host", { success: Schema.String }),
  Rpc.make("Who", { success: Schema.String }),
  Rpc.make("Dies")
])

/** One mesh, one store, and what happened to actors where. */
class World {
  readonly mesh = new MemoryMesh()
  readonly events: Array<string> = []
  readonly store = MemoryStore.make()
  /** Hosts that do not reach it, and those for which it takes so many milliseconds. */
  readonly cut = new Set<string>()
  readonly slow = new Map<string, number>()
  /** Statements about leases, and the shards that were asked for in vain. */
  readonly leased: Array<string> = []
  readonly refused: Array<number> = []
  readonly options: Actor.ActorOptions
  readonly type: typeof Counter
  /** Milliseconds that actors take to end, and the shards in which some do so now. */
  farewell = 0
  readonly ending = new Map<number, number>()
  /** What all programs have logged. */
  readonly logged: Array<string> = []
  mostEnding = 0

  constructor(options: Actor.ActorOptions = {}, placed: Actor.PlacedBy = "mesh") {
    this.options = options
    this.type = Counter.annotate(Actor.Placed, placed)
  }

  #ends(shard: number) {
    const { ending } = this
    const more = (by: number) =>
      Effect.sync(() => {
        const now = (ending.get(shard) ?? 0) + by
        if (now > 0) ending.set(shard, now)
        else ending.delete(shard)
        this.mostEnding = Math.max(this.mostEnding, ending.size)
      })
    return more(1).pipe(Effect.zipRight(Effect.sleep(this.farewell)), Effect.zipRight(more(-1)))
  }

  /** The store, as that host reaches it. */
  #storeOf(name: string): ActorStoreShape {
    const { cut, slow, store } = this
    const reached = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | StoreUnavailable> =>
      Effect.suspend(
        (): Effect.Effect<A, E | StoreUnavailable> =>
          cut.has(name)
            ? Effect.fail(
                new StoreUnavailable({
                  code: "store_unavailable",
                  message: "cut off",
                  unknown: false
                })
              )
            : Effect.delay(effect, slow.get(name) ?? 0)
      )
    const statement = (kind: string, shards: number) =>
      Effect.sync(() => void this.leased.push(`${name}: ${kind} × ${shards}`))
    return {
      load: (actor) => reached(store.load(actor)),
      save: (save) => reached(store.save(save)),
      acquire: (owner, shards, ttl) =>
        reached(store.acquire(owner, shards, ttl)).pipe(
          Effect.tap(() => statement("acquire", shards.length)),
          Effect.tap((got) => {
            const indexes = new Set(got.map(({ shard }) => shard.index))
            const others = shards.filter(({ index }) => !indexes.has(index))
            this.refused.push(...others.map(({ index }) => index))
          })
        ),
      renew: (...args) => reached(store.renew(...args)),
      release: (leases) =>
        Effect.zipLeft(reached(store.release(leases)), statement("release", leases.length)),
      leases: (type) => reached(store.leases(type)),
      reminders: (...args) => reached(store.reminders(...args)),
      sweep: (limit) => reached(store.sweep(limit))
    }
  }

  /** A program on a host of its own; `runs`: it runs counters. */
  program(name: string, runs: boolean) {
    const { events } = this
    const live = this.type.toLayer(
      Effect.gen(this, function* () {
        const { entityId, shardId } = yield* CurrentAddress
        events.push(`${name} begins ${entityId}`)
        yield* Effect.addFinalizer(() => (this.farewell > 0 ? this.#ends(shardId) : Effect.void))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => void events.push(`${name} ends ${entityId}`))
        )
        const state = yield* ActorState.make(CounterState)
        const add = (by: number) =>
          Effect.map(
            state.update(({ count }) => ({ count: count + by })),
            ({ count }) => count
          )
        return {
          Add: ({ payload: { by } }) => (by > 10 ? new TooMuch({ by: by - 10 }) : add(by)),
          Slow: ({ payload: { millis } }) => Effect.zipRight(Effect.sleep(millis), add(1)),
          Numbers: ({ payload: { to } }) => Stream.range(1, to),
          Host: () => Effect.succeed(name),
          Who: () => Effect.map(CalledBy, (caller) => caller?.name ?? "nobody"),
          Dies: () => Effect.die(new Error("a bug"))
        }
      }),
      this.options
    )
    const actors = ActorMesh.layer.pipe(
      Layer.provide(this.mesh.layer(name)),
      Layer.provide(Layer.succeed(ActorStore, this.#storeOf(name)))
    )
    return (runs ? Layer.provideMerge(live, actors) : actors).pipe(
      Layer.provide(
        Logger.replace(
          Logger.defaultLogger,
          Logger.make(({ message }) => void this.logged.push(String(message)))
        )
      )
    )
  }

  /** It runs until the scope closes. */
  start(name: string, { runs = true, scope }: { runs?: boolean; scope?: Scope.Scope } = {}) {
    return Effect.gen(this, function* () {
      const context = yield* Layer.buildWithScope(
        this.program(name, runs),
        scope ?? (yield* Effect.scope)
      )
      return {
        counter: yield* Effect.provide(this.type.client, context),
        size: () => Context.get(context, Actors).hosts.get("Counter")?.size ?? 0,
        lost: () => Context.get(context, Actors).hosts.get("Counter")?.stats.lost ?? 0
      }
    })
  }
}

const guarantees = ["eventual", "leased"] as const

const ids = Array.from({ length: 40 }, (_, i) => `c-${i}`)

/** Lets time pass until it is done. */
const passing = <A, E>(
  fiber: Fiber.RuntimeFiber<A, E>,
  step: Duration.DurationInput = "20 millis"
) =>
  Effect.zipRight(
    Effect.repeat(TestClock.adjust(step), { until: () => fiber.unsafePoll() !== null }),
    Fiber.join(fiber)
  )

describe("actors in a mesh", () => {
  it.scoped("live on the host that placement gives them, wherever they are called from", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      const b = yield* world.start("b")
      const c = yield* world.start("c", { runs: false })
      const seen = new Map<string, Set<string>>()
      for (const from of [a, b, c]) {
        for (const id of ids) {
          const host = yield* from.counter(id).Host()
          seen.set(id, (seen.get(id) ?? new Set()).add(host))
        }
      }
      expect([...seen.values()].every(({ size }) => size === 1)).toBe(true)
      expect(a.size() + b.size()).toBe(ids.length)
      expect(a.size()).toBeGreaterThan(8)
      expect(b.size()).toBeGreaterThan(8)
      yield* a.counter("x").Add({ by: 2 })
      yield* b.counter("x").Add({ by: 3 })
      expect(yield* c.counter("x").Add({ by: 0 })).toBe(5)
    })
  )

  it.scoped(
    "live on the caller's host where they are placed so, and near it where it runs none",
    () =>
      Effect.gen(function* () {
        const world = new World({}, "local")
        for (const [name, zone] of [
          ["a", "eu"],
          ["b", "us"],
          ["c", "us"],
          ["d", "eu"]
        ] as const) {
          world.mesh.host(name).zone = zone
        }
        const scope = yield* Scope.make()
        const a = yield* world.start("a", { scope })
        const b = yield* world.start("b")
        const c = yield* world.start("c", { runs: false })
        const d = yield* world.start("d", { runs: false })
        const hostsFrom = (from: typeof a) =>
          Effect.map(
            Effect.forEach(ids, (id) => from.counter(id).Host()),
            (all) => new Set(all)
          )
        expect(yield* hostsFrom(a)).toEqual(new Set(["a"]))
        expect(yield* hostsFrom(b)).toEqual(new Set(["b"]))
        expect(yield* hostsFrom(c)).toEqual(new Set(["b"]))
        expect(yield* hostsFrom(d)).toEqual(new Set(["a"]))
        // The state is one for all: who saves over what another has saved begins anew from it.
        expect(yield* b.counter("c-0").Add({ by: 1 })).toBe(1)
        expect(yield* Effect.flip(a.counter("c-0").Add({ by: 1 }))).toMatchObject({
          code: "not_saved"
        })
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* passing(closing)
        expect(yield* hostsFrom(d)).toEqual(new Set(["b"]))
      })
  )

  it.scoped(
    "are taken over in their zone without asking hosts of others, which run other ones",
    () =>
      Effect.gen(function* () {
        const world = new World({}, "zone")
        for (const [name, zone] of [
          ["a", "eu"],
          ["b", "eu"],
          ["c", "us"]
        ] as const) {
          world.mesh.host(name).zone = zone
        }
        yield* world.start("a")
        const b = yield* world.start("b")
        const c = yield* world.start("c")
        const all = (from: typeof b) =>
          Effect.forEach(ids, (id) => from.counter(id).Host(), { concurrency: "unbounded" })
        expect(new Set(yield* all(b))).toEqual(new Set(["a", "b"]))
        expect(new Set(yield* all(c))).toEqual(new Set(["c"]))
        world.mesh.lose("a")
        world.mesh.host("a").member = "dead"
        world.mesh.tell()
        const answers = yield* Effect.fork(all(b))
        for (let i = 0; i < 50; i++) yield* TestClock.adjust("20 millis")
        expect(answers.unsafePoll()).toEqual(Exit.succeed(ids.map(() => "b")))
      })
  )

  it.scoped("live once in each zone where they are placed so", () =>
    Effect.gen(function* () {
      const world = new World({}, "zone")
      for (const [name, zone] of [
        ["a", "eu"],
        ["b", "us"],
        ["c", "eu"],
        ["d", "asia"]
      ] as const) {
        world.mesh.host(name).zone = zone
      }
      const a = yield* world.start("a")
      const b = yield* world.start("b")
      const c = yield* world.start("c")
      const d = yield* world.start("d", { runs: false })
      const hostsFrom = (from: typeof a) => Effect.forEach(ids, (id) => from.counter(id).Host())
      const europe = yield* hostsFrom(a)
      expect(new Set(europe)).toEqual(new Set(["a", "c"]))
      expect(yield* hostsFrom(c)).toEqual(europe)
      expect(new Set(yield* hostsFrom(b))).toEqual(new Set(["b"]))
      expect(a.size() + c.size()).toBe(ids.length)
      // A zone without hosts of its own has an actor in some other.
      const asking = yield* Effect.fork(hostsFrom(d))
      expect(new Set(yield* passing(asking))).toEqual(new Set(["a", "b", "c"]))
      expect(a.size() + b.size() + c.size()).toBe(2 * ids.length)
    })
  )

  it.scoped("are not leased where each host may run the same one", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(new World({ guarantee: "leased" }, "local").start("a"))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain(
        "Counter is placed by local"
      )
    })
  )

  it.scoped("answer over the mesh as they do at home", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      const { counter } = yield* world.start("c", { runs: false })
      const one = counter("one")
      expect(yield* Effect.flip(one.Add({ by: 12 }))).toEqual(new TooMuch({ by: 2 }))
      const numbers = yield* Stream.runCollect(one.Numbers({ to: 1_000 }))
      expect(Chunk.toReadonlyArray(numbers)).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1))
      expect(yield* one.Who()).toBe("c")
      const key = { headers: { "idempotency-key": "k" } }
      expect(yield* one.Who(undefined, key)).toBe("c")
      // The key is c's: another caller has its own answer under it.
      expect(yield* a.counter("one").Who(undefined, key)).toBe("a")
      const exit = yield* Effect.exit(one.Dies())
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      yield* one.Add({ by: 1 }, { discard: true })
      yield* TestClock.adjust("1 second")
      expect(yield* one.Add({ by: 1 })).toBe(2)
    })
  )

  it.scoped("carry out a key once, whoever sends it, where they say that it is the message's", () =>
    Effect.gen(function* () {
      const world = new World({ keys: "message" })
      const a = yield* world.start("a")
      const c = yield* world.start("c", { runs: false })
      const key = { headers: { "idempotency-key": "order-7" } }
      for (const from of [c, a, c]) expect(yield* from.counter("x").Add({ by: 2 }, key)).toBe(2)
      expect(yield* a.counter("x").Add({ by: 2 })).toBe(4)
    })
  )

  it.scoped("are asked where they are, though the caller has heard of no change", () =>
    Effect.gen(function* () {
      const world = new World()
      yield* world.start("a")
      const c = yield* world.start("c", { runs: false })
      yield* c.counter("c-0").Add({ by: 1 })
      world.mesh.host("c").deaf = true
      yield* world.start("b")
      const asking = yield* Effect.fork(
        Effect.forEach(ids, (id) => c.counter(id).Host(), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      // For those that are b's, a says so; c does not know b, and asks again until it does.
      expect(asking.unsafePoll()).toBeNull()
      world.mesh.host("c").deaf = false
      world.mesh.tell()
      const hosts = yield* passing(asking)
      expect(new Set(hosts)).toEqual(new Set(["a", "b"]))
    })
  )

  it.scoped.each(guarantees)(
    "move to a host that comes while they are called, and no call fails (%s)",
    (guarantee) =>
      Effect.gen(function* () {
        const world = new World({ guarantee })
        const a = yield* world.start("a")
        const c = yield* world.start("c", { runs: false })
        yield* Effect.forEach(ids, (id) => c.counter(id).Add({ by: 1 }))
        const load = yield* Effect.fork(
          Effect.forEach(
            ids,
            (id) => Effect.replicateEffect(c.counter(id).Slow({ millis: 20 }), 10),
            {
              concurrency: "unbounded"
            }
          )
        )
        yield* TestClock.adjust("50 millis")
        const b = yield* world.start("b")
        const answers = yield* passing(load)
        // Every one of them was carried out, once, one after the other.
        for (const counts of answers) expect(counts).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
        expect(b.size()).toBeGreaterThan(8)
        expect(a.size() + b.size()).toBe(ids.length)
        for (const id of ids) {
          const mine = world.events.filter((event) => event.endsWith(` ${id}`))
          if (mine.length > 1)
            expect(mine).toEqual([`a begins ${id}`, `a ends ${id}`, `b begins ${id}`])
        }
      })
  )

  it.scoped.each(guarantees)(
    "move from a host that ends while they are called, and no call fails (%s)",
    (guarantee) =>
      Effect.gen(function* () {
        const world = new World({ guarantee })
        const scope = yield* Scope.make()
        yield* world.start("a", { scope })
        const b = yield* world.start("b")
        const c = yield* world.start("c", { runs: false })
        const load = yield* Effect.fork(
          Effect.forEach(
            ids,
            (id) => Effect.replicateEffect(c.counter(id).Slow({ millis: 20 }), 10),
            {
              concurrency: "unbounded"
            }
          )
        )
        yield* TestClock.adjust("50 millis")
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        const answers = yield* passing(load)
        yield* passing(closing)
        for (const counts of answers) expect(counts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        expect(b.size()).toBe(ids.length)
      })
  )

  it.scoped("run by their leases on a host that has no link yet to where they were", () =>
    Effect.gen(function* () {
      const world = new World({ guarantee: "leased" })
      yield* world.start("a")
      const c = yield* world.start("c", { runs: false })
      const all = Effect.forEach(ids, (id) => c.counter(id).Host(), { concurrency: "unbounded" })
      expect(new Set(yield* passing(yield* Effect.fork(all)))).toEqual(new Set(["a"]))
      world.mesh.unlinked.add("b>a")
      yield* world.start("b")
      const answers = yield* Effect.fork(all)
      for (let i = 0; i < 150; i++) yield* TestClock.adjust("20 millis")
      const exit = answers.unsafePoll()
      expect(exit?._tag === "Success" && new Set(exit.value)).toEqual(new Set(["a", "b"]))
    })
  )

  it.scoped.each(guarantees)(
    "are where they were for as long as that host has not heard of the next (%s)",
    (guarantee) =>
      Effect.gen(function* () {
        const world = new World({ guarantee })
        yield* world.start("a")
        const c = yield* world.start("c", { runs: false })
        const all = Effect.forEach(ids, (id) => c.counter(id).Host(), { concurrency: "unbounded" })
        yield* passing(yield* Effect.fork(all))
        world.mesh.host("a").deaf = true
        yield* world.start("b")
        const answers = yield* Effect.fork(all)
        for (let i = 0; i < 50; i++) yield* TestClock.adjust("20 millis")
        const exit = answers.unsafePoll()
        expect(exit?._tag === "Success" && new Set(exit.value)).toEqual(new Set(["a"]))
        world.mesh.host("a").deaf = false
        world.mesh.tell()
        expect(new Set(yield* passing(yield* Effect.fork(all)))).toEqual(new Set(["a", "b"]))
      })
  )

  it.scoped.each(guarantees)(
    "answer at once where two hosts take them for their own, and at one of them (%s)",
    (guarantee) =>
      Effect.gen(function* () {
        const world = new World({ guarantee })
        const a = yield* world.start("a")
        yield* world.start("b")
        const c = yield* world.start("c", { runs: false })
        const says = (healthy: boolean) => {
          world.mesh.host("b").offered[0]!.health = { healthy, reason: "as the test says" }
          world.mesh.tell()
        }
        // All are a's, and when b is well again a has not heard of it.
        says(false)
        world.mesh.host("a").deaf = true
        says(true)
        const hosts = ({ counter }: typeof a) =>
          Effect.forEach(ids, (id) => counter(id).Host(), { concurrency: "unbounded" })
        const asked = yield* Effect.fork(
          Effect.all([hosts(c), hosts(a)], { concurrency: "unbounded" })
        )
        for (let i = 0; i < 15; i++) yield* TestClock.adjust("20 millis")
        const exit = asked.unsafePoll()
        if (exit?._tag !== "Success") return expect(exit).toMatchObject({ _tag: "Success" })
        const [fromC, fromA] = exit.value
        expect(fromC).toEqual(fromA)
        expect(new Set(fromC)).toEqual(new Set(["a", "b"]))
        // Nor is it twice what it was before, however long a does not hear of it.
        for (let i = 0; i < 120; i++) yield* TestClock.adjust("100 millis")
        expect(yield* passing(yield* Effect.fork(hosts(c)))).toEqual(fromC)
        for (const id of ids) {
          expect(world.events.filter((event) => event.endsWith(` begins ${id}`))).toHaveLength(1)
        }
        world.mesh.host("a").deaf = false
        world.mesh.tell()
        expect(new Set(yield* passing(yield* Effect.fork(hosts(c))))).toEqual(new Set(["a", "b"]))
      })
  )

  it.scoped("take their leases at the first try, all of a turn at once", () =>
    Effect.gen(function* () {
      const world = new World({ guarantee: "leased" })
      const scope = yield* Scope.make()
      yield* world.start("a", { scope })
      const c = yield* world.start("c", { runs: false })
      const all = Effect.forEach(ids, (id) => c.counter(id).Add({ by: 1 }), {
        concurrency: "unbounded"
      })
      yield* passing(yield* Effect.fork(all))
      const shards = new Set(ids.map((id) => addressOf("Counter", id).shardId)).size
      expect(world.leased).toEqual([`a: acquire × ${shards}`])
      world.leased.length = 0
      // What the new host is told is to be true in the store by then.
      world.slow.set("a", 30)
      const b = yield* world.start("b")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 millis")
      expect(yield* passing(yield* Effect.fork(all), "1 millis")).toEqual(ids.map(() => 2))
      yield* passing(closing)
      expect(b.size()).toBe(ids.length)
      expect(world.refused).toEqual([])
      // In waves, and not one by one.
      expect(world.leased.length).toBeLessThanOrEqual((2 * shards) / wave + 2)
    })
  )

  it.scoped("are not held up by a store that takes no lease back", () =>
    Effect.gen(function* () {
      const world = new World({ guarantee: "leased" })
      const scope = yield* Scope.make()
      yield* world.start("a", { scope })
      const c = yield* world.start("c", { runs: false })
      const add = Effect.fork(c.counter("x").Add({ by: 1 }))
      expect(yield* passing(yield* add)).toBe(1)
      yield* world.start("b")
      world.cut.add("a")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 millis")
      const second = yield* add
      yield* TestClock.adjust("1100 millis")
      // It has been asked for by the new host, and is there when it has ended.
      expect(world.refused).not.toEqual([])
      yield* passing(closing)
      expect(yield* passing(second, "100 millis")).toBe(2)
    })
  )

  it.scoped("leave in waves, and are where they were until their turn", () =>
    Effect.gen(function* () {
      const world = new World({ guarantee: "leased" })
      world.farewell = 100
      const scope = yield* Scope.make()
      const a = yield* world.start("a", { scope })
      const many = Array.from({ length: 100 }, (_, i) => `m-${i}`)
      const c = yield* world.start("c", { runs: false })
      const add = (id: string) => c.counter(id).Add({ by: 1 })
      const first = Effect.forEach(many, add, { concurrency: "unbounded" })
      yield* passing(yield* Effect.fork(first), "50 millis")
      expect(a.size()).toBe(many.length)
      const b = yield* world.start("b")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("10 millis")
      // All are b's by now, and are called: most of them where they still are, at once.
      const second = yield* Effect.fork(Effect.forEach(many, add, { concurrency: "unbounded" }))
      yield* TestClock.adjust("20 millis")
      expect(a.size()).toBe(many.length)
      expect(b.size()).toBe(0)
      const third = yield* Effect.fork(Effect.forEach(many, add, { concurrency: "unbounded" }))
      yield* passing(closing, "50 millis")
      expect(yield* passing(second)).toEqual(many.map(() => 2))
      expect(yield* passing(third)).toEqual(many.map(() => 3))
      expect(world.mostEnding).toBe(wave)
      expect(a.size()).toBe(0)
      const last = yield* Effect.fork(Effect.forEach(many, add, { concurrency: "unbounded" }))
      expect(yield* passing(last)).toEqual(many.map(() => 4))
      expect(b.size()).toBe(many.length)
      // The last to end has nobody to pass the time for it.
      world.farewell = 0
    })
  )

  it.scoped(
    "are given up where they still are, when who called them from their next host does",
    () =>
      Effect.gen(function* () {
        const world = new World({ guarantee: "leased" })
        world.farewell = 100
        const scope = yield* Scope.make()
        const a = yield* world.start("a", { scope })
        const many = Array.from({ length: 60 }, (_, i) => `m-${i}`)
        const all = <A, E>(call: (id: string) => Effect.Effect<A, E>) =>
          Effect.fork(Effect.forEach(many, call, { concurrency: "unbounded" }))
        yield* passing(yield* all((id) => a.counter(id).Add({ by: 1 })), "50 millis")
        const b = yield* world.start("b")
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("10 millis")
        const adding = yield* all((id) => b.counter(id).Add({ by: 1 }))
        yield* TestClock.adjust("20 millis")
        // Most are known by now to be on the other host until their turn, and are asked there.
        const slow = yield* all((id) => b.counter(id).Slow({ millis: 3_600_000 }))
        yield* TestClock.adjust("20 millis")
        yield* Fiber.interrupt(slow)
        yield* TestClock.adjust("5 seconds")
        expect(closing.unsafePoll()).toEqual(Exit.void)
        yield* passing(adding)
        world.farewell = 0
      })
  )

  it.live(
    "leave a host that ends, 1,000 of them, while they are called: no call fails",
    () =>
      Effect.gen(function* () {
        const world = new World({ guarantee: "leased" })
        const scope = yield* Scope.make()
        const a = yield* world.start("a", { scope })
        const c = yield* world.start("c", { runs: false })
        const many = Array.from({ length: 1_000 }, (_, i) => `m-${i}`)
        yield* Effect.forEach(many, (id) => c.counter(id).Add({ by: 1 }), { concurrency: 500 })
        expect(a.size()).toBe(1_000)
        const b = yield* world.start("b")
        let isOver = false
        let calls = 0
        const caller = Effect.gen(function* () {
          while (!isOver) {
            yield* c.counter(many[Math.floor(Math.random() * many.length)]!).Add({ by: 1 })
            calls++
          }
        })
        const callers = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 50 }, () => caller),
            { concurrency: "unbounded" }
          )
        )
        yield* Scope.close(scope, Exit.void)
        isOver = true
        yield* Fiber.join(callers)
        expect(a.size()).toBe(0)
        // None is lost, and none was done twice.
        const counts = yield* Effect.forEach(many, (id) => c.counter(id).Add({ by: 0 }), {
          concurrency: 500
        })
        expect(counts.reduce((sum, count) => sum + count)).toBe(1_000 + calls)
        expect(b.size()).toBe(1_000)
      }).pipe(Effect.scoped),
    60_000
  )

  it.scoped("are waited for by their third host, though the second never had them", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      for (const id of ids) yield* Effect.fork(a.counter(id).Slow({ millis: 5_000 }))
      yield* TestClock.adjust("100 millis")
      // They go to b, and before it has any of them to c.
      const scope = yield* Scope.make()
      yield* world.start("b", { scope })
      const c = yield* world.start("c")
      yield* passing(yield* Effect.fork(Scope.close(scope, Exit.void)))
      const hosts = yield* Effect.fork(
        Effect.forEach(ids, (id) => c.counter(id).Host(), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("4 seconds")
      expect(c.size()).toBe(0)
      yield* TestClock.adjust("2 seconds")
      expect(new Set(yield* passing(hosts))).toEqual(new Set(["a", "c"]))
    })
  )

  it.scoped(
    "begin elsewhere when their host is lost; what may have been done is not done again",
    () =>
      Effect.gen(function* () {
        const world = new World()
        yield* world.start("a")
        yield* world.start("b")
        const c = yield* world.start("c", { runs: false })
        const hosts = yield* Effect.forEach(ids, (id) => c.counter(id).Host())
        const id = ids[hosts.indexOf("a")]!
        yield* c.counter(id).Add({ by: 5 })
        const begun = yield* Effect.fork(Effect.either(c.counter(id).Slow({ millis: 1_000 })))
        yield* TestClock.adjust("10 millis")
        world.mesh.lose("a")
        expect(yield* passing(begun)).toMatchObject({
          left: { _tag: "MeshFault", code: "upstream_reset", sent: true }
        })
        // Membership takes its time.
        const next = yield* Effect.fork(c.counter(id).Add({ by: 1 }))
        yield* TestClock.adjust("2 seconds")
        expect(next.unsafePoll()).toBeNull()
        world.mesh.host("a").member = "dead"
        world.mesh.tell()
        // What had begun there was done there; nobody has done it again.
        expect(yield* passing(next)).toBe(7)
        expect(yield* c.counter(id).Host()).toBe("b")
      })
  )

  it.scoped("have no host where nobody runs them", () =>
    Effect.gen(function* () {
      const world = new World()
      const c = yield* world.start("c", { runs: false })
      const failure = yield* Effect.flip(c.counter("x").Host()).pipe(Effect.fork)
      yield* TestClock.adjust("20 seconds")
      expect(yield* Fiber.join(failure)).toMatchObject({
        _tag: "ActorUnavailable",
        code: "no_host",
        message: expect.stringContaining("nobody offers actor-counter"),
        sent: false
      })
      const told = yield* Effect.fork(Effect.flip(c.counter("x").Add({ by: 1 }, { discard: true })))
      yield* TestClock.adjust("20 seconds")
      expect(yield* Fiber.join(told)).toMatchObject({ code: "no_host", sent: false })
      const soon = c.counter("x").Host(undefined, { headers: { "skein-deadline": "100" } })
      const second = yield* Effect.fork(Effect.flip(soon))
      yield* TestClock.adjust("100 millis")
      expect(yield* Fiber.join(second)).toMatchObject({ code: "no_host" })
    })
  )

  it.scoped(
    "run under a lease: cut off from the store, they stop before another host begins them",
    () =>
      Effect.gen(function* () {
        const world = new World({ guarantee: "leased" })
        const a = yield* world.start("a")
        const b = yield* world.start("b")
        const hosts = yield* Effect.forEach(ids, (id) => b.counter(id).Host()).pipe(
          Effect.fork,
          Effect.flatMap(passing)
        )
        const id = ids[hosts.indexOf("a")]!
        expect(yield* a.counter(id).Add({ by: 5 })).toBe(5)
        // From here on a is alone: with its actors, but without the store and the others.
        world.cut.add("a")
        world.mesh.lose("a")
        world.mesh.host("a").member = "dead"
        world.mesh.host("a").deaf = true
        world.mesh.tell()
        const stale = yield* Effect.fork(Effect.flip(a.counter(id).Slow({ millis: 14_900 })))
        const fresh = yield* Effect.fork(b.counter(id).Add({ by: 1 }))
        yield* TestClock.adjust("12 seconds")
        expect(fresh.unsafePoll()).toBeNull()
        const late = yield* Effect.fork(Effect.flip(a.counter(id).Add({ by: 100 })))
        expect(yield* passing(fresh, "500 millis")).toBe(6)
        expect(yield* passing(stale, "500 millis")).toMatchObject({ code: "not_leased" })
        expect(yield* passing(late, "5 seconds")).toMatchObject({ sent: false })
        // It comes back by itself, and to the actor's host.
        world.cut.delete("a")
        world.mesh.host("a").cut = false
        world.mesh.host("a").deaf = false
        world.mesh.host("a").member = "alive"
        world.mesh.tell()
        const back = yield* Effect.fork(b.counter(id).Add({ by: 1 }))
        expect(yield* passing(back, "500 millis")).toBe(7)
        yield* TestClock.adjust("10 seconds")
        expect(yield* passing(yield* Effect.fork(b.counter(id).Host()))).toBe("a")
      })
  )

  it.scoped.each(guarantees)(
    "leave a host that has lost the store, and come back by themselves (%s)",
    (guarantee) =>
      Effect.gen(function* () {
        const world = new World({ guarantee })
        const a = yield* world.start("a")
        const b = yield* world.start("b")
        const few = ids.slice(0, 12)
        const call = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.flatMap(Effect.fork(effect), (fiber) => passing(fiber, "500 millis"))
        const hosts = call(
          Effect.forEach(few, (id) => a.counter(id).Host(), { concurrency: "unbounded" })
        )
        const before = yield* hosts
        world.cut.add("a")
        // A moment is not worth a move.
        yield* TestClock.adjust("4 seconds")
        world.cut.delete("a")
        yield* TestClock.adjust("4 seconds")
        expect(yield* hosts).toEqual(before)
        world.cut.add("a")
        yield* TestClock.adjust("25 seconds")
        expect(new Set(yield* hosts)).toEqual(new Set(["b"]))
        const id = few[before.indexOf("a")]!
        expect(yield* call(a.counter(id).Add({ by: 1 }))).toBe(1)
        world.cut.delete("a")
        yield* TestClock.adjust("4 seconds")
        expect(new Set(yield* hosts)).toEqual(new Set(["b"]))
        yield* TestClock.adjust("10 seconds")
        expect(yield* hosts).toEqual(before)
        expect(yield* call(b.counter(id).Add({ by: 1 }))).toBe(2)
      })
  )

  it.scoped(
    "stay where they are when all hosts have lost the store, and say why they do not run",
    () =>
      Effect.gen(function* () {
        const world = new World({ guarantee: "leased" })
        const a = yield* world.start("a")
        yield* world.start("b")
        const c = yield* world.start("c", { runs: false })
        const few = ids.slice(0, 8)
        const call = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.flatMap(Effect.fork(effect), (fiber) => passing(fiber, "500 millis"))
        const hosts = call(
          Effect.forEach(few, (id) => c.counter(id).Host(), { concurrency: "unbounded" })
        )
        const before = yield* hosts
        for (const name of ["a", "b"]) world.cut.add(name)
        yield* TestClock.adjust("25 seconds")
        const failures = yield* call(
          Effect.forEach(few, (id) => Effect.flip(c.counter(id).Host()), {
            concurrency: "unbounded"
          })
        )
        for (const failure of failures) {
          expect(failure).toMatchObject({ _tag: "ActorUnavailable", code: "no_store", sent: false })
        }
        expect(String(failures[0])).toContain("No host of the type reaches the store")
        // One that starts now has lost it from the first moment.
        const scope = yield* Scope.make()
        world.cut.add("d")
        yield* world.start("d", { scope })
        expect(world.mesh.host("d").offered[0]?.health.healthy).toBe(false)
        yield* call(Scope.close(scope, Exit.void))
        for (const name of ["a", "b"]) world.cut.delete(name)
        yield* TestClock.adjust("15 seconds")
        expect(yield* hosts).toEqual(before)
        expect(a.size()).toBe(before.filter((host) => host === "a").length)
      })
  )

  it.scoped("run elsewhere though their last host got their leases back with nothing to run", () =>
    Effect.gen(function* () {
      const world = new World({
        guarantee: "leased",
        leaseTimes: { ...defaultLeaseTimes, finish: 9_000 }
      })
      const a = yield* world.start("a")
      const call = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.flatMap(Effect.fork(effect), (fiber) => passing(fiber, "500 millis"))
      for (const id of ids) yield* call(a.counter(id).Add({ by: 1 }))
      world.cut.add("a")
      yield* TestClock.adjust("20 seconds")
      world.cut.delete("a")
      yield* TestClock.adjust("10 seconds")
      // Asked while its lease is nearly over, an actor begins when that has been renewed.
      world.cut.add("a")
      yield* TestClock.adjust("4 seconds")
      const asked = yield* Effect.fork(a.counter(ids[0]!).Add({ by: 1 }))
      yield* TestClock.adjust("100 millis")
      expect(asked.unsafePoll()).toBeNull()
      world.cut.delete("a")
      yield* TestClock.adjust("3 seconds")
      expect(asked.unsafePoll()).not.toBeNull()
      const b = yield* world.start("b")
      yield* TestClock.adjust("1 second")
      const hosts = yield* call(
        Effect.forEach(ids, (id) => b.counter(id).Host(), { concurrency: "unbounded" })
      )
      expect(new Set(hosts)).toEqual(new Set(["a", "b"]))
    })
  )

  it.scoped("handle what they were told before they move, within 5 seconds", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      const c = yield* world.start("c", { runs: false })
      const told = { discard: true } as const
      for (const id of ids) {
        for (let n = 0; n < 3; n++) yield* c.counter(id).Slow({ millis: 500 }, told)
      }
      const b = yield* world.start("b")
      const asked = yield* Effect.fork(
        Effect.forEach(ids, (id) => c.counter(id).Add({ by: 0 }), { concurrency: "unbounded" })
      )
      expect(yield* passing(asked, "100 millis")).toEqual(ids.map(() => 3))
      expect(b.size()).toBeGreaterThan(8)
      expect(a.lost()).toBe(0)
      // What takes too long is lost, and counted.
      const late = ids.filter((_, i) => i < 10)
      for (const id of late) {
        for (let n = 0; n < 3; n++) yield* c.counter(id).Slow({ millis: 3_000 }, told)
      }
      const [before, stays] = [a.lost(), yield* world.start("d")]
      yield* TestClock.adjust("20 seconds")
      expect(before).toBe(0)
      expect(stays.size()).toBe(0)
      const lost = a.lost() + b.lost()
      const sums = yield* Effect.fork(
        Effect.forEach(late, (id) => c.counter(id).Add({ by: 0 }), { concurrency: "unbounded" })
      )
      const done = (yield* passing(sums)).reduce((sum, count) => sum + count - 3, 0)
      expect(lost).toBeGreaterThan(0)
      expect(done + lost).toBe(30)
    })
  )

  it.scoped("are not waited for longer than 10 seconds by the host they move to", () =>
    Effect.gen(function* () {
      const world = new World()
      const a = yield* world.start("a")
      for (const id of ids) yield* Effect.fork(a.counter(id).Slow({ millis: 60_000 }))
      yield* TestClock.adjust("100 millis")
      const b = yield* world.start("b")
      const hosts = yield* Effect.fork(
        Effect.forEach(ids, (id) => Effect.option(b.counter(id).Host()), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("9 seconds")
      expect(b.size()).toBe(0)
      yield* TestClock.adjust("2 seconds")
      expect(b.size()).toBeGreaterThan(8)
      expect(world.logged).toContainEqual(
        expect.stringMatching(/^shard \d+ of Counter is run here, though a \(.+\) has not said/)
      )
      yield* Fiber.interrupt(hosts)
      yield* TestClock.adjust("1 minute")
    })
  )
})
