import { Headers } from "@effect/platform"
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Scope, Stream, TestClock } from "effect"
import { MeshFault } from "../api/MeshFault.ts"
import { serviceCaller } from "../model/Caller.ts"
import { ServiceName } from "../model/Names.ts"
import { MemoryMesh } from "../testing/MemoryMesh.ts"
import * as Actor from "./Actor.ts"
import { addressOf } from "./ActorAddress.ts"
import { type ActorEvent, watchRpc } from "./ActorEvent.ts"
import * as ActorMesh from "./ActorMesh.ts"
import { Actors, layerLocal } from "./Actors.ts"
import { ActorWatchers, maxWatchersOfOne } from "./ActorWatchers.ts"
import { Delivery } from "./Delivery.ts"
import { openGate } from "./ShardGate.ts"
import * as MemoryStore from "./store/MemoryStore.ts"

const Door = Actor.make("Door", [Rpc.make("Knock"), Rpc.make("Dies"), Rpc.make("Rambles")])

const DoorLive = Door.toLayer(
  {
    Knock: () => Effect.void,
    Dies: () => Effect.die(new Error("a bug")),
    Rambles: () => Effect.die(new Error("a bug, ".repeat(10_000)))
  },
  { idle: "1 minute" }
)

const quiet = Logger.remove(Logger.defaultLogger)

const soon = Effect.repeatN(Effect.yieldNow(), 50)

/** What is heard of it, from when this is done. */
const heard = (events: Stream.Stream<ActorEvent, unknown>) =>
  Effect.gen(function* () {
    const seen: Array<ActorEvent> = []
    const fiber = yield* Effect.fork(
      Stream.runForEach(events, (event) => Effect.sync(() => void seen.push(event)))
    )
    yield* soon
    return { seen, fiber, take: () => seen.splice(0) }
  })

const ids = Array.from({ length: 16 }, (_, i) => `d-${i}`)

describe("who watches an actor", () => {
  it.scoped("hears when it starts, crashes, begins again and is idle, and does not begin it", () =>
    Effect.gen(function* () {
      const door = yield* Door.client
      const { fiber, take } = yield* heard(door.watch("a"))
      const other = yield* heard(door.watch("b"))
      expect(take()).toEqual([{ _tag: "Watching", host: "local", running: false }])
      yield* door("a").Knock()
      yield* soon
      expect(take()).toEqual([{ _tag: "Started", host: "local" }])
      yield* Effect.exit(door("a").Dies())
      yield* TestClock.adjust("1 second")
      expect(take()).toMatchObject([
        { _tag: "Crashed", message: "the actor Door/a has crashed: a bug", failed: false },
        { _tag: "Started" }
      ])
      yield* Effect.exit(door("a").Rambles())
      yield* TestClock.adjust("1 second")
      const [long] = take()
      expect(long?._tag === "Crashed" && long.message.length).toBe(512)
      yield* TestClock.adjust("2 minutes")
      expect(take()).toEqual([{ _tag: "Stopped", host: "local", reason: "idle" }])
      for (let crash = 0; crash < 9; crash++) {
        const broken = yield* Effect.fork(Effect.exit(door("a").Dies()))
        yield* Effect.repeat(TestClock.adjust("500 millis"), {
          until: () => broken.unsafePoll() !== null
        })
      }
      expect(take().at(-1)).toMatchObject({ _tag: "Crashed", failed: true, after: 30_000 })
      expect(other.seen).toHaveLength(1)
      yield* Fiber.interrupt(fiber)
    }).pipe(
      Effect.provide(
        DoorLive.pipe(
          Layer.provideMerge(layerLocal),
          Layer.provide(MemoryStore.layer),
          Layer.provide(quiet)
        )
      )
    )
  )

  it.scoped("goes with it from host to host, and is told when its host is lost", () =>
    Effect.gen(function* () {
      const mesh = new MemoryMesh()
      const store = MemoryStore.layer
      const start = (name: string, runs = true, scope?: Scope.Scope) =>
        Effect.gen(function* () {
          const actors = ActorMesh.layer.pipe(
            Layer.provide(mesh.layer(name)),
            Layer.provide(store),
            Layer.provide(quiet)
          )
          const program = (runs ? Layer.provideMerge(DoorLive, actors) : actors).pipe(
            Layer.provide(quiet)
          )
          const context = yield* Layer.buildWithScope(program, scope ?? (yield* Effect.scope))
          return yield* Effect.provide(Door.client, context)
        })
      const ending = yield* Scope.make()
      const a = yield* start("a", true, ending)
      const c = yield* start("c", false)
      const watches = yield* Effect.forEach(ids, (id) => heard(c.watch(id)))
      // One that is on the same host hears the same.
      const near = yield* heard(a.watch("d-0"))
      for (const { take } of watches)
        expect(take()).toEqual([{ _tag: "Watching", host: "a", running: false }])
      yield* c("d-0").Knock()
      yield* soon
      expect(watches[0]?.take()).toEqual([{ _tag: "Started", host: "a" }])
      expect(near.seen.at(-1)).toEqual({ _tag: "Started", host: "a" })

      yield* start("b")
      yield* TestClock.adjust("1 second")
      const moved = watches.map(({ take }) => take())
      const movers = moved.filter((events) => events.length > 0)
      expect(movers.length).toBeGreaterThan(2)
      expect(movers.length).toBeLessThan(ids.length)
      for (const events of movers) {
        const [next, first] = [events.pop(), events.pop()]
        expect(first).toEqual({ _tag: "Moved", from: "a", to: "b" })
        expect(next).toEqual({ _tag: "Watching", host: "b", running: false })
      }
      const closing = yield* Effect.fork(Scope.close(ending, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      expect(watches.map(({ take }) => take()).filter((events) => events.length > 0).length).toBe(
        ids.length - movers.length
      )
      // The one in memory has said that it stops there before it moves.
      const [stopped] = moved[0]!.length > 0 ? moved[0]! : near.seen.slice(2)
      expect(stopped).toEqual({ _tag: "Stopped", host: "a", reason: "moved" })

      mesh.lose("b")
      yield* TestClock.adjust("1 second")
      for (const { fiber, take } of watches) {
        expect(take()).toMatchObject([{ _tag: "Lost", host: "b" }])
        expect(fiber.unsafePoll()).toEqual(Exit.void)
      }
      const nobody = yield* Effect.fork(Effect.flip(Stream.runDrain(c.watch("d-0"))))
      mesh.host("b").member = "dead"
      mesh.tell()
      yield* TestClock.adjust("20 seconds")
      expect(yield* Fiber.join(nobody)).toMatchObject({ code: "no_host" })
    })
  )

  it.effect("leaves places to others, however many it asks for", () =>
    Effect.gen(function* () {
      const watchers = new ActorWatchers(openGate)
      const refused: Array<string> = []
      const watch = (name: string) => {
        const delivery = new Delivery(
          {
            ...{ rpc: watchRpc, payload: undefined, headers: Headers.empty, key: undefined },
            ...{ caller: serviceCaller(ServiceName.make(name)), parent: undefined },
            replies: {
              part: () => Effect.void,
              exit: () => undefined,
              refuse: (refusal) => refused.push(refusal._tag === "Moved" ? "" : refusal.message)
            }
          },
          0,
          { cancelled: 0, answered: () => undefined, refused: () => undefined }
        )
        watchers.watch(addressOf("Door", "a"), delivery, false, Effect.runFork)
        return delivery
      }
      const first = watch("shop")
      for (let n = 1; n < maxWatchersOfOne; n++) watch("shop")
      expect(refused).toEqual([])
      watch("shop")
      expect(refused).toEqual([
        `Door/a cannot be watched: shop watches ${maxWatchersOfOne} of its type's actors on local already. End some of those that watch, or have more hosts run the type.`
      ])
      watch("till")
      first.cancel()
      yield* soon
      watch("shop")
      expect(refused).toHaveLength(1)
      expect(watchers.size).toBe(maxWatchersOfOne + 1)
      watchers.allMoved()
      yield* soon
      expect(watchers.size).toBe(0)
    })
  )

  it.effect("goes on where it was said to be, however the host ends that has said so", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const hosts = ["a", "b", "c", "d"]
      const fault = (code: "upstream_reset" | "upstream_timeout") =>
        MeshFault.from({ code, message: code, node: "", service: undefined, sent: true })
      const send: Actors["Type"]["send"] = (_, id, { replies }) => {
        const host = hosts[asked.length]
        asked.push(id)
        if (host === undefined) {
          replies.exit(Exit.void)
          return () => undefined
        }
        const moved = { _tag: "Moved", from: host }
        Effect.runSync(replies.part([{ _tag: "Watching", host, running: false }]))
        if (host !== "c") Effect.runSync(replies.part([moved]))
        replies.fail(fault(host === "a" ? "upstream_reset" : "upstream_timeout"))
        return () => undefined
      }
      const actors = { send, register: () => Effect.void, hosts: new Map() }
      const door = yield* Effect.provideService(Door.client, Actors, actors)
      const events = yield* Stream.runCollect(door.watch("x"))
      expect([...events].map((event) => event._tag)).toEqual([
        ...["Watching", "Moved", "Watching", "Moved", "Watching", "Watching", "Moved"]
      ])
      expect(asked).toHaveLength(5)
    })
  )

  it.effect("misses the oldest when it is too slow, and is told how much that is", () =>
    Effect.gen(function* () {
      const watchers = new ActorWatchers(openGate)
      const address = addressOf("Door", "a")
      const gate = yield* Deferred.make<void>()
      const seen: Array<ActorEvent> = []
      const started = (host: string) => ({ _tag: "Started", host }) as const
      const following = yield* Effect.fork(
        watchers.follow(address, started("first"), (events) =>
          Effect.zipRight(
            Effect.sync(() => void seen.push(...events)),
            Deferred.await(gate)
          )
        )
      )
      yield* soon
      for (let n = 0; n < 100; n++) watchers.tell(address, started(String(n)))
      watchers.end(address.shardId, { _tag: "Moved", from: "a", to: "b" })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(following)
      expect(seen).toHaveLength(66)
      expect(seen[1]).toEqual({ _tag: "Missed", count: 37 })
      expect(seen[2]).toEqual(started("37"))
      expect(seen.at(-1)).toEqual({ _tag: "Moved", from: "a", to: "b" })
      expect(watchers.size).toBe(0)
    })
  )
})
