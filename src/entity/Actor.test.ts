import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Context,
  Deferred,
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
import * as Actor from "./Actor.ts"
import { CurrentAddress } from "./ActorAddress.ts"
import * as ActorState from "./ActorState.ts"
import { Actors, layerLocal } from "./Actors.ts"
import * as MemoryStore from "./store/MemoryStore.ts"

class Empty extends Schema.TaggedError<Empty>()("Empty", {}) {}

const CartState = Schema.Struct({
  items: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
})

const Cart = Actor.make("Cart", [
  Rpc.make("Add", { payload: { item: Schema.String }, success: Schema.Int }),
  Rpc.make("Take", { success: Schema.String, error: Empty }),
  Rpc.make("Items", { success: Schema.Array(Schema.String) }),
  Rpc.make("Where", { success: Schema.String }),
  Rpc.make("Wait", { success: Schema.Int }),
  Rpc.make("AskSelf", { success: Schema.String }),
  Rpc.make("Break", { payload: { item: Schema.String } }),
  Rpc.make("Count", {
    payload: { to: Schema.Int },
    success: Schema.Int,
    stream: true,
    error: Empty
  })
])

class Seen extends Context.Tag("Seen")<
  Seen,
  {
    readonly lives: Array<string>
    readonly ends: Array<string>
    readonly gate: Deferred.Deferred<void>
    running: number
    most: number
    begun: number
  }
>() {}

const CartLive = (options: Actor.ActorOptions = {}) =>
  Cart.toLayer(
    Effect.gen(function* () {
      const { entityId } = yield* CurrentAddress
      const seen = yield* Seen
      seen.lives.push(entityId)
      yield* Effect.addFinalizer(() => Effect.sync(() => void seen.ends.push(entityId)))
      const state = yield* ActorState.make(CartState)
      const carts = yield* Cart.client
      return {
        Add: ({ payload }) =>
          Effect.map(
            state.update(({ items }) => ({ items: [...items, payload.item] })),
            ({ items }) => items.length
          ),
        Take: () =>
          Effect.flatMap(
            state.modify(({ items }) => [items[0], { items: items.slice(1) }]),
            (item) => (item === undefined ? Effect.fail(new Empty()) : Effect.succeed(item))
          ),
        AskSelf: () =>
          Effect.match(carts(entityId).Items(), {
            onFailure: ({ code }) => code,
            onSuccess: () => "an answer"
          }),
        Items: () => Effect.map(state.get, ({ items }) => items),
        Where: () =>
          Effect.map(CurrentAddress, ({ entityType, entityId: id }) => `${entityType}/${id}`),
        Wait: () =>
          Effect.gen(function* () {
            seen.begun++
            seen.most = Math.max(seen.most, ++seen.running)
            yield* Deferred.await(seen.gate)
            return seen.begun
          }).pipe(Effect.ensuring(Effect.sync(() => void seen.running--))),
        Break: ({ payload }) =>
          Effect.zipRight(
            state.update(({ items }) => ({ items: [...items, payload.item] })),
            Effect.die(new Error("a bug"))
          ),
        Count: ({ payload }) =>
          payload.to < 0
            ? Stream.fail(new Empty())
            : Stream.tap(Stream.range(1, payload.to), (n) =>
                state.update(({ items }) => ({ items: [...items, String(n)] }))
              )
      }
    }),
    options
  )

const quiet = Logger.remove(Logger.defaultLogger)

const world = (options: Actor.ActorOptions = {}) => {
  const seen = Layer.effect(
    Seen,
    Effect.map(Deferred.make<void>(), (gate) => ({
      ...{ lives: [], ends: [], gate, running: 0, most: 0, begun: 0 }
    }))
  )
  return CartLive(options).pipe(
    Layer.provideMerge(Layer.mergeAll(layerLocal, seen)),
    Layer.provideMerge(MemoryStore.layer),
    Layer.provideMerge(quiet)
  )
}

const waiting = (expected: number) =>
  Effect.repeat(
    Effect.zipRight(
      Effect.yieldNow(),
      Effect.map(Seen, ({ begun }) => begun)
    ),
    { until: (begun) => begun >= expected }
  )

describe("an actor", () => {
  it.scoped("is begun by its first message, and remembers", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const { lives } = yield* Seen
      expect(lives).toEqual([])
      expect(yield* cart("a").Add({ item: "book" })).toBe(1)
      expect(yield* cart("a").Add({ item: "pen" })).toBe(2)
      expect(yield* cart("b").Add({ item: "cup" })).toBe(1)
      expect(yield* cart("a").Items()).toEqual(["book", "pen"])
      expect(yield* cart("a").Where()).toBe("Cart/a")
      expect(lives).toEqual(["a", "b"])
    }).pipe(Effect.provide(world()))
  )

  it.scoped("has no id that no host could be told", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      for (const id of ["half \ud83d", "a\u001fb", "", "x".repeat(257)]) {
        expect(() => cart(id)).toThrow(/is no id: it has/)
        expect(() => cart.watch(id)).toThrow(/is no id: it has/)
      }
      expect(yield* cart("\ud83d\ude00").Add({ item: "book" })).toBe(1)
      expect(yield* cart("x".repeat(256)).Add({ item: "book" })).toBe(1)
    }).pipe(Effect.provide(world()))
  )

  it.scoped("answers with typed failures, and keeps what was changed before", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const failure = yield* Effect.flip(cart("a").Take())
      expect(failure).toBeInstanceOf(Empty)
      yield* cart("a").Add({ item: "book" })
      expect(yield* cart("a").Take()).toBe("book")
    }).pipe(Effect.provide(world()))
  )

  it.scoped("handles one message at a time", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const seen = yield* Seen
      const all = yield* Effect.fork(
        Effect.all([cart("a").Wait(), cart("a").Wait(), cart("a").Wait()], {
          concurrency: "unbounded"
        })
      )
      yield* waiting(1)
      yield* Deferred.succeed(seen.gate, undefined)
      expect(yield* Fiber.join(all)).toEqual([1, 2, 3])
      expect(seen.most).toBe(1)
    }).pipe(Effect.provide(world()))
  )

  it.scoped("handles as many at a time as it says", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const seen = yield* Seen
      const all = yield* Effect.fork(
        Effect.all([cart("a").Wait(), cart("a").Wait(), cart("a").Wait()], {
          concurrency: "unbounded"
        })
      )
      yield* waiting(2)
      yield* Deferred.succeed(seen.gate, undefined)
      yield* Fiber.join(all)
      expect(seen.most).toBe(2)
    }).pipe(Effect.provide(world({ concurrency: 2 })))
  )

  it.scoped("has as many messages wait as may, and no more", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const seen = yield* Seen
      const first = yield* Effect.fork(cart("a").Wait())
      yield* waiting(1)
      const second = yield* Effect.fork(cart("a").Wait())
      yield* Effect.yieldNow()
      const third = yield* Effect.flip(cart("a").Wait())
      expect(third).toMatchObject({ _tag: "MailboxFull", code: "mailbox_full" })
      // It is one actor's bound.
      expect(yield* cart("b").Add({ item: "pen" })).toBe(1)
      yield* Deferred.succeed(seen.gate, undefined)
      expect(yield* Fiber.join(first)).toBe(1)
      expect(yield* Fiber.join(second)).toBe(2)
    }).pipe(Effect.provide(world({ mailbox: 1 })))
  )

  it.scoped("leaves memory when it is idle, and comes back as it was", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const { ends, lives } = yield* Seen
      const { hosts } = yield* Actors
      yield* cart("a").Add({ item: "book" })
      yield* TestClock.adjust("30 seconds")
      yield* cart("a").Items()
      yield* TestClock.adjust("45 seconds")
      expect(ends).toEqual([])
      expect(hosts.get("Cart")?.size).toBe(1)
      yield* TestClock.adjust("31 seconds")
      expect(ends).toEqual(["a"])
      expect(hosts.get("Cart")?.size).toBe(0)
      expect(yield* cart("a").Items()).toEqual(["book"])
      expect(lives).toEqual(["a", "a"])
    }).pipe(Effect.provide(world({ idle: "1 minute" })))
  )

  it.scoped("begins again after a crash, from what was saved last", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const { lives } = yield* Seen
      yield* cart("a").Add({ item: "book" })
      const exit = yield* Effect.exit(cart("a").Break({ item: "lost" }))
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      const items = yield* Effect.fork(cart("a").Items())
      yield* TestClock.adjust("40 millis")
      expect(items.unsafePoll()).toBeNull()
      yield* TestClock.adjust("60 millis")
      expect(yield* Fiber.join(items)).toEqual(["book"])
      expect(lives).toEqual(["a", "a"])
    }).pipe(Effect.provide(world()))
  )

  it.scoped("rests when it crashes again and again, and says so", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      for (let crash = 0; crash < 9; crash++) {
        const broken = yield* Effect.fork(Effect.exit(cart("a").Break({ item: "x" })))
        yield* Effect.repeat(TestClock.adjust("500 millis"), {
          until: () => broken.unsafePoll() !== null
        })
      }
      const failed = yield* Effect.flip(cart("a").Items())
      expect(failed).toMatchObject({ _tag: "ActorUnavailable", code: "failed", sent: false })
      yield* TestClock.adjust("30 seconds")
      expect(yield* cart("a").Items()).toEqual([])
    }).pipe(Effect.provide(world()))
  )

  it.scoped("answers with streams, and what a part has seen is saved before it leaves", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const numbers = yield* Stream.runCollect(cart("a").Count({ to: 100 }))
      expect(Chunk.toReadonlyArray(numbers)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
      expect(yield* cart("a").Items()).toHaveLength(100)
      const failed = yield* Effect.flip(Stream.runDrain(cart("a").Count({ to: -1 })))
      expect(failed).toBeInstanceOf(Empty)
      // Its actor is free for the next message when a stream is given up.
      yield* Stream.runDrain(Stream.take(cart("a").Count({ to: 1_000_000 }), 1))
      expect((yield* cart("a").Items()).length).toBeGreaterThan(100)
    }).pipe(Effect.provide(world()))
  )

  it.scoped("is interrupted when nobody waits for the answer any more", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const seen = yield* Seen
      const first = yield* Effect.fork(cart("a").Wait())
      yield* waiting(1)
      yield* Fiber.interrupt(first)
      // Its next message does not wait for the one that was given up.
      expect(yield* cart("a").Add({ item: "book" })).toBe(1)
      expect(seen.running).toBe(0)
    }).pipe(Effect.provide(world()))
  )

  it.scoped("is waited for until the deadline, and by itself for 15 seconds", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const seen = yield* Seen
      const late = cart("a").Wait(undefined, { headers: { "skein-deadline": "200" } })
      const first = yield* Effect.fork(Effect.flip(late))
      yield* waiting(1)
      const second = yield* Effect.fork(
        Effect.flip(cart("a").Items(undefined, { headers: { "skein-deadline": "100" } }))
      )
      yield* TestClock.adjust("100 millis")
      expect(yield* Fiber.join(second)).toMatchObject({ code: "deadline", sent: false })
      yield* TestClock.adjust("100 millis")
      expect(yield* Fiber.join(first)).toMatchObject({ code: "deadline", sent: true })
      expect(seen.running).toBe(0)
      const self = yield* Effect.fork(cart("a").AskSelf())
      yield* TestClock.adjust("15 seconds")
      expect(yield* Fiber.join(self)).toBe("deadline")
    }).pipe(Effect.provide(world()))
  )

  it.scoped("is told things, with nobody waiting for an answer", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      yield* cart("a").Add({ item: "book" }, { discard: true })
      expect(yield* cart("a").Items()).toEqual(["book"])
    }).pipe(Effect.provide(world()))
  )

  it.scoped("has not been told what its mailbox does not take", () =>
    Effect.gen(function* () {
      const cart = yield* Cart.client
      const seen = yield* Seen
      yield* cart("a").Wait(undefined, { discard: true })
      yield* waiting(1)
      yield* cart("a").Add({ item: "book" }, { discard: true })
      const third = yield* Effect.flip(cart("a").Add({ item: "pen" }, { discard: true }))
      expect(third).toMatchObject({ code: "mailbox_full" })
      yield* Deferred.succeed(seen.gate, undefined)
      expect(yield* Effect.eventually(cart("a").Items())).toEqual(["book"])
    }).pipe(Effect.provide(world({ mailbox: 1 })))
  )

  it.effect("finishes what it has begun when its program ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(world(), scope)
      const cart = yield* Effect.provide(Cart.client, context)
      const seen = Context.get(context, Seen)
      const wait = yield* Effect.fork(cart("a").Wait())
      yield* Effect.provide(waiting(1), context)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      expect(closing.unsafePoll()).toBeNull()
      yield* Deferred.succeed(seen.gate, undefined)
      expect(yield* Fiber.join(wait)).toBe(1)
      yield* Fiber.join(closing)
      expect(seen.ends).toEqual(["a"])
      expect(yield* Effect.flip(cart("a").Items())).toMatchObject({ code: "no_host" })
    })
  )
})
