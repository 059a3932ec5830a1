/** What actors keep besides their state: answers by key, reminders, and states that had other Schemas. */
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import {
  Chunk,
  Clock,
  Cron,
  Effect,
  Either,
  Exit,
  Fiber,
  Layer,
  Logger,
  Schema,
  Scope,
  TestClock
} from "effect"
import { MemoryMesh } from "../testing/MemoryMesh.ts"
import * as Actor from "./Actor.ts"
import { addressOf } from "./ActorAddress.ts"
import * as ActorCron from "./ActorCron.ts"
import * as ActorMesh from "./ActorMesh.ts"
import * as ActorState from "./ActorState.ts"
import { layerLocal } from "./Actors.ts"
import { allShards } from "./Placement.ts"
import * as Singleton from "./Singleton.ts"
import { ActorStore, type ActorStoreShape } from "./store/ActorStore.ts"
import * as MemoryStore from "./store/MemoryStore.ts"
import { stateOf } from "./store/StateVersions.ts"

class Broke extends Schema.TaggedError<Broke>()("Broke", { missing: Schema.Int }) {}

const Account = Actor.make("Account", [
  Rpc.make("Pay", { payload: { amount: Schema.Int }, success: Schema.Int, error: Broke }),
  Rpc.make("Remind", { payload: { millis: Schema.Int, amount: Schema.Int } }),
  Rpc.make("PayLate", {
    payload: { amount: Schema.Int, millis: Schema.Int },
    success: Schema.Int
  }),
  Rpc.make("Owes", { success: Schema.Int }),
  Rpc.make("Stops"),
  Rpc.make("Forget"),
  Rpc.make("Dies")
])

const State = Schema.Struct({ balance: Schema.Int })

const AccountLive = (options: Actor.ActorOptions = {}) =>
  Account.toLayer(
    Effect.gen(function* () {
      const state = yield* ActorState.make(State, { initial: { balance: 100 } })
      const reminders = yield* Account.reminders
      const pay = (amount: number) => state.update(({ balance }) => ({ balance: balance - amount }))
      return {
        Pay: ({ payload: { amount } }) =>
          Effect.flatMap(state.get, ({ balance }) =>
            balance < amount
              ? new Broke({ missing: amount - balance })
              : Effect.map(
                  state.update(() => ({ balance: balance - amount })),
                  (after) => after.balance
                )
          ),
        Remind: ({ payload: { amount, millis } }) =>
          reminders.set("rent", { after: millis }, "Pay", { amount }),
        PayLate: ({ payload: { amount, millis } }) =>
          Effect.zipRight(
            pay(amount),
            Effect.delay(
              Effect.map(state.get, (after) => after.balance),
              millis
            )
          ),
        Owes: () => Effect.map(state.get, ({ balance }) => 100 - balance),
        Stops: () => Effect.zipRight(pay(30), Effect.interrupt),
        Forget: () => reminders.cancel("rent"),
        Dies: () => Effect.die(new Error("a bug"))
      }
    }),
    { idle: "10 seconds", ...options }
  )

const quiet = Logger.remove(Logger.defaultLogger)

const local = (store: ActorStoreShape = MemoryStore.make(), options: Actor.ActorOptions = {}) =>
  AccountLive(options).pipe(
    Layer.provideMerge(layerLocal),
    Layer.provide(Layer.succeed(ActorStore, store)),
    Layer.provide(quiet)
  )

const key = (name: string) => ({ headers: { "idempotency-key": name } })

describe("a message with a key", () => {
  it.scoped("is carried out once, and answered the same again, in any life", () =>
    Effect.gen(function* () {
      const account = yield* Account.client
      const one = account("a")
      expect(yield* one.Pay({ amount: 60 }, key("k1"))).toBe(40)
      expect(yield* one.Pay({ amount: 60 }, key("k1"))).toBe(40)
      const broke = yield* Effect.flip(one.Pay({ amount: 60 }, key("k2")))
      expect(broke).toEqual(new Broke({ missing: 20 }))
      expect(yield* one.Pay({ amount: 10 })).toBe(30)
      // It was answered so when there were 40.
      expect(yield* Effect.flip(one.Pay({ amount: 60 }, key("k2")))).toEqual(broke)
      yield* TestClock.adjust("1 minute")
      expect(yield* one.Pay({ amount: 60 }, key("k1"))).toBe(40)
      expect(yield* one.Pay({ amount: 0 })).toBe(30)
      // Keys are one actor's, and one message's.
      expect(yield* account("b").Pay({ amount: 10 }, key("k1"))).toBe(90)
      expect(yield* one.Owes(undefined, key("k1"))).toBe(70)
    }).pipe(Effect.provide(local()))
  )

  it.scoped("is carried out to its end, though nobody waits, and once for all that send it", () =>
    Effect.gen(function* () {
      const account = yield* Account.client
      const pays = account("a").PayLate({ amount: 10, millis: 1_000 }, key("k"))
      const first = yield* Effect.fork(pays)
      yield* TestClock.adjust("500 millis")
      const second = yield* Effect.fork(pays)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("600 millis")
      expect(yield* Fiber.join(second)).toBe(90)
      expect(yield* pays).toBe(90)
      expect(yield* account("a").Owes()).toBe(10)
    }).pipe(Effect.provide(local(undefined, { concurrency: 3 })))
  )

  it.scoped("keeps nothing of what has interrupted itself", () =>
    Effect.gen(function* () {
      const account = yield* Account.client
      const half = yield* Effect.fork(Effect.flip(account("a").Stops(undefined, key("k"))))
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(half)).toMatchObject({ code: "stopped", sent: true })
      const owes = yield* Effect.fork(account("a").Owes())
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(owes)).toBe(0)
    }).pipe(Effect.provide(local()))
  )

  it.scoped("whose kept answer cannot be read is refused, and its actor goes on", () => {
    const store = MemoryStore.make()
    const spoiled: ActorStoreShape = {
      ...store,
      load: (actor) =>
        Effect.map(store.load(actor), (loaded) => ({
          ...loaded,
          keys: loaded.keys.map((kept) => ({ ...kept, result: new Uint8Array([1, 2, 3]) }))
        }))
    }
    return Effect.gen(function* () {
      const account = yield* Account.client
      expect(yield* account("a").Pay({ amount: 10 }, key("k"))).toBe(90)
      yield* TestClock.adjust("1 minute")
      expect(yield* Effect.flip(account("a").Pay({ amount: 10 }, key("k")))).toMatchObject({
        code: "answer_unreadable",
        sent: true
      })
      expect(yield* account("a").Pay({ amount: 0 })).toBe(90)
    }).pipe(Effect.provide(local(spoiled)))
  })

  it.scoped("whose key no store takes does not reach its actor", () =>
    Effect.gen(function* () {
      const account = yield* Account.client
      const long = Effect.exit(account("a").Pay({ amount: 10 }, key("x".repeat(129))))
      expect(Exit.isFailure(yield* long)).toBe(true)
      expect(yield* account("a").Pay({ amount: 0 })).toBe(100)
    }).pipe(Effect.provide(local()))
  )
})

describe("a reminder", () => {
  it.scoped("comes when it is due, though its actor is out of memory", () =>
    Effect.gen(function* () {
      const account = yield* Account.client
      yield* account("a").Remind({ millis: 60_000, amount: 25 })
      yield* TestClock.adjust("59 seconds")
      expect(yield* account("a").Pay({ amount: 0 })).toBe(100)
      yield* TestClock.adjust("3 seconds")
      expect(yield* account("a").Pay({ amount: 0 })).toBe(75)
      yield* TestClock.adjust("10 minutes")
      expect(yield* account("a").Pay({ amount: 0 })).toBe(75)
    }).pipe(Effect.provide(local()))
  )

  it.scoped("is replaced by its name, and cancelled", () =>
    Effect.gen(function* () {
      const account = yield* Account.client
      yield* account("a").Remind({ millis: 5_000, amount: 25 })
      yield* account("a").Remind({ millis: 9_000, amount: 1 })
      yield* TestClock.adjust("20 seconds")
      expect(yield* account("a").Pay({ amount: 0 })).toBe(99)
      yield* account("a").Remind({ millis: 5_000, amount: 25 })
      yield* account("a").Forget()
      yield* TestClock.adjust("1 minute")
      expect(yield* account("a").Pay({ amount: 0 })).toBe(99)
    }).pipe(Effect.provide(local()))
  )

  it.scoped("comes though hundreds are due before it that nobody can be told of", () =>
    Effect.gen(function* () {
      const store = MemoryStore.make()
      const address = (id: string) => {
        const { entityId, shardId } = addressOf("Account", id)
        return { shard: { type: "Account", index: shardId }, id: entityId }
      }
      yield* Effect.forEach(
        Array.from({ length: 600 }, (_, i) => `old-${i}`),
        (id) =>
          store.save({
            ...{ actor: address(id), lease: undefined, version: 0 },
            reminders: {
              ...{ done: [], cancel: [] },
              put: [{ name: "rent", when: { at: 0 }, payload: new TextEncoder().encode("no") }]
            }
          })
      )
      const context = yield* Layer.build(local(store))
      const account = yield* Effect.provide(Account.client, context)
      yield* account("a").Remind({ millis: 5_000, amount: 25 })
      yield* TestClock.adjust("10 seconds")
      expect(yield* account("a").Pay({ amount: 0 })).toBe(75)
      // They stay for a release that knows what they say.
      const shards = allShards.map((index) => ({ type: "Account", index }))
      expect((yield* store.reminders(shards, 1_000)).due).toHaveLength(600)
    })
  )

  it.scoped("survives its program", () =>
    Effect.gen(function* () {
      const store = MemoryStore.make()
      const first = yield* Scope.make()
      const one = yield* Layer.buildWithScope(local(store), first)
      const account = yield* Effect.provide(Account.client, one)
      yield* account("a").Remind({ millis: 5_000, amount: 25 })
      yield* Scope.close(first, Exit.void)
      yield* TestClock.adjust("1 hour")
      const second = yield* Layer.build(local(store))
      const again = yield* Effect.provide(Account.client, second)
      yield* TestClock.adjust("1 second")
      expect(yield* again("a").Pay({ amount: 0 })).toBe(75)
    })
  )
})

describe("a state", () => {
  it.scoped(
    "is migrated where an older Schema has saved it, and said at once where a newer has",
    () =>
      Effect.gen(function* () {
        const store = MemoryStore.make()
        const Counter = Actor.make("Counter", [
          Rpc.make("Get", { success: Schema.Int }),
          Rpc.make("Set")
        ])
        const Old = Schema.Struct({ count: Schema.Int })
        const New = Schema.Struct({ total: Schema.Int })
        const states = stateOf(Old).next(New, ({ count }) => ({ total: count * 10 }))
        const run = (live: ReturnType<typeof liveOf>) =>
          Layer.build(
            live.pipe(
              Layer.provideMerge(layerLocal),
              Layer.provide(Layer.succeed(ActorStore, store)),
              Layer.provide(quiet)
            )
          )
        const liveOf = (isNew: boolean) =>
          Counter.toLayer(
            isNew
              ? Effect.map(ActorState.make(states, { initial: { total: 0 } }), (state) => ({
                  Get: () => Effect.map(state.get, ({ total }) => total),
                  Set: () => state.set({ total: 7 })
                }))
              : Effect.map(ActorState.make(Old, { initial: { count: 0 } }), (state) => ({
                  Get: () => Effect.map(state.get, ({ count }) => count),
                  Set: () => state.set({ count: 4 })
                }))
          )
        const old = yield* Effect.provide(Counter.client, yield* run(liveOf(false)))
        yield* old("a").Set()
        const late = yield* Effect.provide(Counter.client, yield* run(liveOf(true)))
        expect(yield* late("a").Get()).toBe(40)
        yield* late("a").Set()
        const older = yield* Effect.provide(Counter.client, yield* run(liveOf(false)))
        const failures = yield* Effect.replicateEffect(Effect.flip(older("a").Get()), 2)
        for (const failure of failures) {
          expect(failure).toMatchObject({ code: "state_newer", sent: false })
          expect(String(failure)).toContain(
            "Counter/a was saved as version 2 of its state, and the release that runs it here knows 1. A newer release of its program has saved it"
          )
        }
        // Nothing is lost of it, and others are not held up.
        expect(yield* older("b").Get()).toBe(0)
        expect(yield* late("a").Get()).toBe(7)
      })
  )
})

describe("what runs once in the mesh", () => {
  const world = () => {
    const mesh = new MemoryMesh()
    const store = MemoryStore.make()
    return <E, R>(name: string, live: Layer.Layer<never, E, R>, scope: Scope.Scope) =>
      Layer.buildWithScope(
        live.pipe(
          Layer.provide(ActorMesh.layer),
          Layer.provide(mesh.layer(name)),
          Layer.provide(Layer.succeed(ActorStore, store)),
          Layer.provide(quiet)
        ),
        scope
      )
  }

  it.scoped(
    "runs on one host, and on another when that ends; it is begun again when it fails",
    () =>
      Effect.gen(function* () {
        const start = world()
        const running = new Set<string>()
        const events: Array<string> = []
        let broken = 1
        const live = (name: string) =>
          Singleton.make(
            "sweeper",
            Effect.gen(function* () {
              if (broken-- > 0) return yield* Effect.fail(new Error("not yet"))
              running.add(name)
              events.push(name)
              yield* Effect.never
            }).pipe(Effect.ensuring(Effect.sync(() => void running.delete(name))))
          )
        const scopes = { a: yield* Scope.make(), b: yield* Scope.make() }
        yield* start("a", live("a"), scopes.a)
        yield* start("b", live("b"), scopes.b)
        yield* TestClock.adjust("5 seconds")
        expect(running.size).toBe(1)
        const [first] = running
        const [ends, stays] = first === "a" ? (["a", "b"] as const) : (["b", "a"] as const)
        yield* Scope.close(scopes[ends], Exit.void)
        yield* TestClock.adjust("5 seconds")
        expect([...running]).toEqual([stays])
        expect(events.at(-1)).toBe(stays)
        yield* Scope.close(scopes[stays], Exit.void)
        expect(running.size).toBe(0)
      })
  )

  it.scoped("waits for times that are further away than timers reach", () =>
    Effect.gen(function* () {
      const yearly = ActorCron.make({
        name: "yearly",
        cron: Either.getOrThrow(Cron.parse("0 0 1 7 *")),
        execute: Effect.void
      })
      yield* world()("a", yearly, yield* Effect.scope)
      yield* TestClock.adjust("5 seconds")
      const sleeps = Chunk.toReadonlyArray(yield* TestClock.sleeps())
      const day = 86_400_000
      expect(sleeps.filter((at) => at > day / 2).length).toBeGreaterThan(0)
      expect(Math.max(...sleeps)).toBeLessThan(day + 5_000)
    })
  )

  it.scoped("is done at its times, and not again for times that another host has dealt with", () =>
    Effect.gen(function* () {
      const start = world()
      const done: Array<string> = []
      const live = (name: string) =>
        ActorCron.make({
          name: "report",
          cron: Either.getOrThrow(Cron.parse("* * * * *")),
          execute: Effect.flatMap(Clock.currentTimeMillis, (now) =>
            Effect.sync(() => void done.push(`${name} ${now / 60_000}`))
          )
        })
      const first = yield* Scope.make()
      yield* start("a", live("a"), first)
      yield* TestClock.adjust("150 seconds")
      expect(done).toEqual(["a 1", "a 2"])
      yield* Scope.close(first, Exit.void)
      const second = yield* Scope.make()
      yield* start("b", live("b"), second)
      yield* TestClock.adjust("1 minute")
      expect(done).toEqual(["a 1", "a 2", "b 3"])
      yield* Scope.close(second, Exit.void)
    })
  )

  it.scoped.each<{
    readonly options: Pick<ActorCron.ActorCronOptions<never, never>, "missed" | "skipIfOlderThan">
    /** How many of the times of minutes 2 to 6, half a minute after the last of them. */
    readonly made: number
  }>([
    { options: {}, made: 1 },
    { options: { missed: "all" }, made: 5 },
    { options: { missed: "all", skipIfOlderThan: "2 minutes" }, made: 2 },
    { options: { skipIfOlderThan: "20 seconds" }, made: 0 },
    { options: { skipIfOlderThan: 0 }, made: 0 }
  ])("makes up for times at which nobody was there: $options", ({ made, options }) =>
    Effect.gen(function* () {
      const start = world()
      const done: Array<number> = []
      const live = ActorCron.make({
        ...{ name: "report", cron: Either.getOrThrow(Cron.parse("* * * * *")), ...options },
        execute: Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.sync(() => void done.push(now / 60_000))
        )
      })
      const first = yield* Scope.make()
      yield* start("a", live, first)
      yield* TestClock.adjust("90 seconds")
      yield* Scope.close(first, Exit.void)
      yield* TestClock.adjust("5 minutes")
      yield* start("b", live, yield* Effect.scope)
      yield* TestClock.adjust("45 seconds")
      expect(done).toEqual([1, ...Array.from({ length: made }, () => 6.5), 7])
    })
  )
})
