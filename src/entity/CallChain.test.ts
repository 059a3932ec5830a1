/** Actors that are sent messages by what they wait for themselves. */
import * as Headers from "@effect/platform/Headers"
import { Rpc, RpcClient } from "@effect/rpc"
import { describe, expect, it, vi } from "@effect/vitest"
import { Effect, Either, Fiber, Layer, Logger, Schema, TestClock } from "effect"
import { MemoryMesh } from "../testing/MemoryMesh.ts"
import * as Actor from "./Actor.ts"
import { ActorHost } from "./ActorHost.ts"
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
import { Delivery } from "./Delivery.ts"
import type { Message } from "./Message.ts"
import * as MemoryStore from "./store/MemoryStore.ts"

const Party = Actor.make("Party", [
  // Asks the others on its way, one after the other, and is answered by the last one.
  Rpc.make("Ask", {
    payload: { way: Schema.Array(Schema.String) },
    success: Schema.Int,
    error: Schema.String
  }),
  // Asks on each of the ways at once, and has the sum.
  Rpc.make("Split", {
    payload: { ways: Schema.Array(Schema.Array(Schema.String)) },
    success: Schema.Int,
    error: Schema.String
  }),
  // By the first one on its way keeps the second one busy, so often at once; says what came of it.
  Rpc.make("Crowd", {
    payload: { way: Schema.Array(Schema.String), of: Schema.Int },
    success: Schema.Struct({ handled: Schema.Int, full: Schema.Int })
  }),
  // Asks for that one's count when it has answered.
  Rpc.make("Linger", { payload: { of: Schema.String } }),
  // Has another one linger, and goes on for a second itself.
  Rpc.make("GoOn", { payload: { own: Schema.String, other: Schema.String } }),
  // Asks as `Ask` does, and has no more than 300 ms for it.
  Rpc.make("Hurry", {
    payload: { way: Schema.Array(Schema.String) },
    success: Schema.Int,
    error: Schema.String
  }),
  // Asks so, gives it up after 200 ms, and goes on for 5 s.
  Rpc.make("GiveUp", { payload: { way: Schema.Array(Schema.String) }, success: Schema.Int }),
  Rpc.make("Count", { success: Schema.Int }).annotate(Actor.Reentrant, true),
  Rpc.make("Busy", { success: Schema.Int })
])

/**
 * On its way a letter is an id that is asked, `!` one that is asked for its count, which lets itself in, and `~`
 * one that is kept busy for a second, and `?` one that gives up. `counts`: those that somebody who lingers has got.
 */
const PartyLive = (options: Actor.ActorOptions = {}, counts: Array<number> = []) =>
  Party.toLayer(
    Effect.gen(function* () {
      const state = yield* ActorState.make(Schema.Struct({ asked: Schema.Int }), {
        initial: { asked: 0 }
      })
      const parties = yield* Party.client
      const ask = (way: ReadonlyArray<string>) => {
        const [next = "", ...rest] = way
        if (next.startsWith("!")) return parties(next.slice(1)).Count()
        if (next.startsWith("?")) return parties(next.slice(1)).GiveUp({ way: rest })
        if (next.startsWith("~")) return parties(next.slice(1)).Busy()
        return parties(next).Ask({ way: rest })
      }
      const named = Effect.mapError((failure: { readonly message: string } | string) =>
        typeof failure === "string" ? failure : failure.message
      )
      const count = Effect.map(state.get, ({ asked }) => asked)
      return {
        Ask: ({ payload: { way } }) =>
          state
            .update(({ asked }) => ({ asked: asked + 1 }))
            .pipe(Effect.zipRight(way.length === 0 ? count : ask(way)), named),
        Split: ({ payload: { ways } }) =>
          Effect.forEach(ways, ask, { concurrency: "unbounded" }).pipe(
            Effect.map((all) => all.reduce((sum, one) => sum + one, 0)),
            named
          ),
        Crowd: ({ payload: { of, way } }) =>
          way.length > 1
            ? Effect.orDie(parties(way[0] ?? "").Crowd({ way: way.slice(1), of }))
            : Effect.forEach(
                Array.from({ length: of }),
                () => Effect.either(parties(way[0] ?? "").Busy()),
                { concurrency: "unbounded" }
              ).pipe(
                Effect.map((all) => {
                  const isFull = Either.match({
                    onLeft: ({ _tag }: { readonly _tag: string }) => _tag === "MailboxFull",
                    onRight: () => false
                  })
                  return {
                    handled: all.filter(Either.isRight).length,
                    full: all.filter(isFull).length
                  }
                })
              ),
        Linger: ({ payload: { of } }) =>
          Effect.sleep("100 millis").pipe(
            Effect.zipRight(parties(of).Count()),
            Effect.tap((n) => Effect.sync(() => counts.push(n))),
            Effect.forkDaemon,
            Effect.asVoid
          ),
        GoOn: ({ payload: { other, own } }) =>
          Effect.zipRight(
            Effect.orDie(parties(other).Linger({ of: own })),
            Effect.sleep("1 second")
          ),
        Hurry: ({ payload: { way } }) =>
          ask(way).pipe(RpcClient.withHeaders({ "skein-deadline": "300" }), named),
        GiveUp: ({ payload: { way } }) =>
          Effect.as(
            Effect.zipRight(
              Effect.timeoutOption(ask(way), "200 millis"),
              Effect.sleep("5 seconds")
            ),
            0
          ).pipe(Effect.orDie),
        Count: () => count,
        Busy: () => Effect.zipRight(Effect.sleep("1 second"), count)
      }
    }),
    options
  )

const local = (options: Actor.ActorOptions = {}, counts: Array<number> = []) =>
  PartyLive(options, counts).pipe(
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

  it.scoped(
    "are named, too, to who has less time than they have, and waits for them from afar",
    () =>
      Effect.gen(function* () {
        const party = yield* Party.client
        const soon = { headers: { "skein-deadline": "300" } }
        const asked = (effect: Effect.Effect<number, unknown>) =>
          Effect.flatMap(Effect.fork(textOf(effect)), (fiber) =>
            Effect.zipRight(TestClock.adjust("300 millis"), Fiber.join(fiber))
          )
        const circle =
          "it was in a circle of actors that wait for each other (Party/b → Party/c → Party/b)"
        for (const first of ["a", "b"]) {
          const way = ["a", "b", "c", "b"]
          const text = yield* asked(
            party(first).Ask({ way: way.slice(way.indexOf(first) + 1) }, soon)
          )
          expect(text).toContain(`${first} has not answered in time: ${circle}`)
          // Those that were interrupted are free again.
          expect(yield* party("b").Ask({ way: [] })).toBeGreaterThan(0)
        }
        expect(yield* asked(party("b").Hurry({ way: ["c", "b"] }))).toContain(circle)
        // Another one is asked for nothing, and is named by nothing.
        expect(yield* asked(party("a").Ask({ way: ["~b"] }, soon))).not.toContain("circle")
      }).pipe(Effect.provide(local()))
  )

  it.scoped("leave no timer behind when they are given up before", () =>
    Effect.gen(function* () {
      const { timer } = ActorHost.prototype
      const running = new Set<() => void>()
      const seen = vi.spyOn(ActorHost.prototype, "timer").mockImplementation(function (
        this: ActorHost,
        millis,
        then
      ) {
        const stop = timer.call(this, millis, then)
        const tell = (): void => {
          running.delete(tell)
          stop()
        }
        running.add(tell)
        return tell
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => seen.mockRestore()))
      const party = yield* Party.client
      const asking = yield* Effect.fork(party("a").Ask({ way: ["b", "a"] }))
      yield* TestClock.adjust("1 second")
      expect(running.size).toBe(1)
      yield* Fiber.interrupt(asking)
      yield* TestClock.adjust("1 second")
      expect(running.size).toBe(0)
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

  it.scoped(
    "handle one after the other what they do not wait for, though it has one beginning",
    () =>
      Effect.gen(function* () {
        const party = yield* Party.client
        const ways = [
          ["b", "~x"],
          ["c", "~x"]
        ]
        const split = yield* Effect.fork(party("a").Split({ ways }))
        yield* TestClock.adjust("1900 millis")
        expect(split.unsafePoll()).toBeNull()
        yield* TestClock.adjust("100 millis")
        expect(yield* Fiber.join(split)).toBe(0)
      }).pipe(Effect.provide(local({ reentrant: true })))
  )

  it.scoped("let in no more of them than may wait elsewhere", () =>
    Effect.gen(function* () {
      const party = yield* Party.client
      // Of these, a's own way and two of b's.
      const crowd = yield* Effect.fork(party("a").Crowd({ way: ["b", "a"], of: 10 }))
      yield* TestClock.adjust("3 seconds")
      expect(yield* Fiber.join(crowd)).toEqual({ handled: 2, full: 8 })
    }).pipe(Effect.provide(local({ reentrant: true, mailbox: 2 })))
  )

  it.scoped("let in nobody who has answered them", () => {
    const counts: Array<number> = []
    return Effect.gen(function* () {
      const party = yield* Party.client
      yield* Effect.fork(party("a").GoOn({ own: "a", other: "b" }))
      yield* TestClock.adjust("900 millis")
      const before = counts.length
      yield* TestClock.adjust("100 millis")
      expect([before, counts]).toEqual([0, [0]])
    }).pipe(Effect.provide(local({}, counts)))
  })

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
      const other = yield* start("b")
      for (let n = 0; n < 3; n++) {
        const [one, other] = [`one-${n}`, `other-${n}`]
        expect(yield* party(one).Ask({ way: [other, `!${one}`] })).toBe(1)
        const cycle = yield* Effect.fork(textOf(party(one).Ask({ way: [other, one] })))
        expect(yield* passing(cycle)).toContain(`(Party/${one} → Party/${other} → Party/${one})`)
      }
      // They were on both of them, or this has shown nothing.
      expect(new Set(mesh.calls).size).toBeGreaterThan(1)
      const soon = { headers: { "skein-deadline": "300" } }
      for (const [n, from] of [party, other, party, other].entries()) {
        const way = [`x-${n}`, `y-${n}`, `z-${n}`, `y-${n}`]
        const asked = [
          from(way[0]!).Ask({ way: way.slice(1) }, soon),
          from(`y2-${n}`).Hurry({ way: [`z2-${n}`, `y2-${n}`] })
        ]
        for (const [at, effect] of asked.entries()) {
          const late = yield* Effect.fork(textOf(effect))
          yield* TestClock.adjust("300 millis")
          const [y, z] = at === 0 ? [`y-${n}`, `z-${n}`] : [`y2-${n}`, `z2-${n}`]
          expect(yield* Fiber.join(late)).toContain(
            `has not answered in time: it was in a circle of actors that wait for each other (Party/${y} → Party/${z} → Party/${y})`
          )
        }
        // One that was given up is none any more to who goes on to wait.
        const open = [`u-${n}`, `v-${n}`, `?w-${n}`, `v-${n}`]
        const was = yield* Effect.fork(textOf(from(open[0]!).Ask({ way: open.slice(1) }, soon)))
        yield* TestClock.adjust("300 millis")
        expect(yield* Fiber.join(was)).not.toContain("circle")
      }
    })
  )
})

describe("a message that waits in a circle", () => {
  const message = (replies: Partial<Message["replies"]> = {}): Message => ({
    ...{ rpc: Party.protocol.requests.get("Busy")!, payload: undefined, headers: Headers.empty },
    ...{ caller: undefined, parent: undefined, key: undefined },
    replies: { part: () => Effect.void, exit: () => undefined, refuse: () => undefined, ...replies }
  })
  const counts = { cancelled: 0, answered: () => undefined, refused: () => undefined }

  it("is told so once, and knows it for as long as what closes the circle waits", () => {
    const heard: Array<string | undefined> = []
    const circle = (text: string | undefined) => void heard.push(text)
    const waits = new Delivery(message({ circle }), 0, counts)
    const closes = new Delivery(message(), 0, counts)
    waits.foundCircle("a → b → a", closes)
    waits.foundCircle("a → c → a", closes)
    expect([waits.circle, heard]).toEqual(["a → b → a", ["a → b → a"]])
    closes.cancel()
    expect(waits.circle).toBeUndefined()
    waits.foundCircle("a → d → a")
    expect([waits.circle, heard]).toEqual(["a → d → a", ["a → b → a", undefined, "a → d → a"]])
    // Another host takes back what it has told.
    waits.lostCircle()
    expect([waits.circle, heard.at(-1)]).toEqual([undefined, undefined])
    waits.foundCircle("a → f → a")
    waits.cancel()
    waits.lostCircle()
    waits.foundCircle("a → e → a", closes)
    expect(heard).toHaveLength(5)
  })

  it("is told that it does not any more when what closes the circle is handled, but not when its time is over", () => {
    const heard: Array<string | undefined> = []
    const circle = (text: string | undefined) => void heard.push(text)
    const waits = new Delivery(message({ circle }), 0, counts)
    const late = new Delivery(message(), 0, counts)
    waits.foundCircle("a → b → a", late)
    late.refuse({ _tag: "Moved", owner: undefined })
    expect(heard).toEqual(["a → b → a"])
    const handled = new Delivery(message(), 0, counts)
    waits.foundCircle("a → c → a", handled)
    handled.begun(Effect.runFork(Effect.void))
    expect(heard).toEqual(["a → b → a", "a → c → a", undefined])
  })
})

describe("a chain of messages", () => {
  const address = (id: string) => ({ entityType: "Party", entityId: id, shardId: 1 })
  const chain = (ids: ReadonlyArray<string>) =>
    ids.reduce<CallChain | undefined>(
      (before, id, at) => longerChain("c-1", before, address(id), 2 ** 32 + at),
      undefined
    )!

  it("fits into a head, however long the ids are", () => {
    const long = chain(Array.from({ length: 16 }, (_, i) => `${i}${"漢".repeat(250)}`))
    const text = formatChain(long)
    expect(text.length).toBeLessThan(8 * 1024)
    const [read, { calls, path }] = [readChain(text), long]
    expect(read?.calls).toEqual(calls)
    expect(read?.path.length).toBeGreaterThan(1)
    expect(read?.path).toEqual(path.slice(-read!.path.length))
    // Those whose ids are of ASCII all fit.
    const short = chain(Array.from({ length: 16 }, () => "a".repeat(256)))
    expect(readChain(formatChain(short))).toEqual(short)
  })

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
      "c - a",
      "c 1,,2 a",
      "c 12345678901 a",
      "c 1 a b",
      `c ${Array.from({ length: maxDepth + 2 }, () => 1).join(",")} a`,
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
