import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Schema, TestClock } from "effect"
import * as Actor from "./Actor.ts"
import { addressOf, CurrentAddress } from "./ActorAddress.ts"
import { ActorHost } from "./ActorHost.ts"
import * as ActorState from "./ActorState.ts"
import { Actors, deliverHere, layerLocal } from "./Actors.ts"
import { openGate } from "./ShardGate.ts"
import { ActorStore, type Lease } from "./store/ActorStore.ts"
import * as MemoryStore from "./store/MemoryStore.ts"

const Total = Schema.Struct({ total: Schema.Int })

const Worker = Actor.make("Worker", [
  Rpc.make("Work", { payload: { by: Schema.Int }, success: Schema.Int }),
  Rpc.make("Wait", { success: Schema.Int }),
  Rpc.make("Where", { success: Schema.String }),
  Rpc.make("Dies"),
  Rpc.make("AskParent", { success: Schema.String })
])

const Boss = Actor.make("Boss", [
  Rpc.make("Work", { payload: { by: Schema.Int }, success: Schema.Int }),
  Rpc.make("Begin"),
  Rpc.make("Where", { success: Schema.String }),
  Rpc.make("Break", { success: Schema.String }),
  Rpc.make("Dies"),
  Rpc.make("Twice", { success: Schema.Boolean }),
  Rpc.make("Circle", { success: Schema.String }),
  Rpc.make("Lives", { success: Schema.Int })
])

class World {
  readonly events: Array<string> = []
  readonly gate = Effect.runSync(Deferred.make<void>())

  get layer() {
    const { events, gate } = this
    const worker = Effect.gen(function* () {
      const { entityId, entityType } = yield* CurrentAddress
      events.push(`${entityId} begins`)
      yield* Effect.addFinalizer(() => Effect.sync(() => void events.push(`${entityId} ends`)))
      const state = yield* ActorState.make(Total, { initial: { total: 0 } })
      const bosses = yield* Boss.client
      const add = (by: number) =>
        Effect.map(
          state.update(({ total }) => ({ total: total + by })),
          ({ total }) => total
        )
      return Worker.of({
        Work: ({ payload: { by } }) => add(by),
        Wait: () => Effect.zipRight(Deferred.await(gate), add(1)),
        Where: () => Effect.succeed(`${entityType}/${entityId}`),
        Dies: () => Effect.die(new Error("a bug")),
        AskParent: () =>
          Effect.match(bosses("a").Lives(), {
            onSuccess: String,
            onFailure: ({ message }) => message
          })
      })
    })
    const boss = Boss.toLayer(
      Effect.gen(function* () {
        const { entityId } = yield* CurrentAddress
        events.push(`${entityId} begins`)
        const state = yield* ActorState.make(Total, { initial: { total: 0 } })
        yield* state.update(({ total }) => ({ total: total + 1 }))
        const child = yield* Worker.spawn("w", worker, { mailbox: 2 })
        return {
          Work: ({ payload }) => Effect.orDie(child.Work(payload)),
          Begin: () => Effect.ignore(child.Wait(undefined, { discard: true })),
          Where: () => Effect.orDie(child.Where()),
          Break: () =>
            Effect.match(Effect.catchAllDefect(child.Dies(), Effect.fail), {
              onSuccess: () => "nothing",
              onFailure: (failure) => (failure instanceof Error ? failure.message : String(failure))
            }),
          Dies: () => Effect.die(new Error("its own bug")),
          Twice: () =>
            Effect.scoped(Effect.map(Effect.exit(Worker.spawn("w", worker)), Exit.isFailure)),
          Circle: () => Effect.orDie(child.AskParent()),
          Lives: () => Effect.map(state.get, ({ total }) => total)
        }
      }),
      { idle: "1 minute" }
    )
    return boss.pipe(
      Layer.provideMerge(layerLocal),
      Layer.provide(MemoryStore.layer),
      Layer.provide(Logger.remove(Logger.defaultLogger))
    )
  }
}

describe("a child of an actor", () => {
  it.scoped("is spoken to by its handle, keeps its own state, and ends with its parent", () => {
    const world = new World()
    return Effect.gen(function* () {
      const boss = yield* Boss.client
      expect(yield* boss("a").Work({ by: 2 })).toBe(2)
      expect(yield* boss("a").Work({ by: 3 })).toBe(5)
      // Another actor's child of that name is another one.
      expect(yield* boss("b").Work({ by: 1 })).toBe(1)
      expect(yield* boss("a").Where()).toBe("Worker/a/w")
      expect(yield* boss("a").Twice()).toBe(true)
      const { hosts } = yield* Actors
      expect([...hosts.keys()]).toEqual(["Boss"])
      yield* TestClock.adjust("2 minutes")
      expect(world.events).toContain("a/w ends")
      expect(hosts.get("Boss")?.size).toBe(0)
      expect(yield* boss("a").Work({ by: 1 })).toBe(6)
      expect(world.events.filter((event) => event === "a/w begins")).toHaveLength(2)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("holds its parent in memory while it works", () => {
    const world = new World()
    return Effect.gen(function* () {
      const boss = yield* Boss.client
      const { hosts } = yield* Actors
      yield* boss("a").Begin()
      yield* TestClock.adjust("5 minutes")
      expect(hosts.get("Boss")?.size).toBe(1)
      yield* Deferred.succeed(world.gate, undefined)
      yield* TestClock.adjust("5 minutes")
      expect(hosts.get("Boss")?.size).toBe(0)
      expect(yield* boss("a").Work({ by: 1 })).toBe(2)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped(
    "begins again after a crash, and takes its parent with it when there are too many",
    () => {
      const world = new World()
      return Effect.gen(function* () {
        const boss = yield* Boss.client
        expect(yield* boss("a").Work({ by: 2 })).toBe(2)
        expect(yield* boss("a").Break()).toBe("a bug")
        const next = yield* Effect.fork(boss("a").Work({ by: 1 }))
        yield* TestClock.adjust("40 millis")
        expect(next.unsafePoll()).toBeNull()
        yield* TestClock.adjust("60 millis")
        expect(yield* Fiber.join(next)).toBe(3)
        const lives = yield* boss("a").Lives()
        for (let crash = 0; crash < 8; crash++) {
          const broken = yield* Effect.fork(Effect.exit(boss("a").Break()))
          yield* Effect.repeat(TestClock.adjust("500 millis"), {
            until: () => broken.unsafePoll() !== null
          })
        }
        const after = yield* Effect.fork(boss("a").Lives())
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(after)).toBe(lives + 1)
        const { hosts } = yield* Actors
        expect(hosts.get("Boss")?.stats.lastError?.text).toBe(
          "the actor Boss/a has crashed: its child Worker/a/w has crashed too often in a row"
        )
        // Children of the next life are others, and have what was saved.
        expect(yield* boss("a").Work({ by: 1 })).toBe(4)
      }).pipe(Effect.provide(world.layer))
    }
  )

  it.scoped("ends at once when its parent crashes, and nothing that it had begun is saved", () => {
    const world = new World()
    return Effect.gen(function* () {
      const boss = yield* Boss.client
      yield* boss("a").Begin()
      yield* Effect.exit(boss("a").Dies())
      yield* TestClock.adjust("1 second")
      expect(world.events).toEqual(["a begins", "a/w begins", "a/w ends", "a begins"])
      expect(yield* boss("a").Work({ by: 5 })).toBe(5)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("that asks its parent, which waits for it, is told so", () => {
    const world = new World()
    return Effect.gen(function* () {
      const boss = yield* Boss.client
      const circle = yield* Effect.fork(boss("a").Circle())
      yield* TestClock.adjust("16 seconds")
      expect(yield* Fiber.join(circle)).toContain("(Boss/a → Worker/a/w → Boss/a)")
    }).pipe(Effect.provide(world.layer))
  })
})

const Hand = Actor.make("Hand", [Rpc.make("Work")])
const Master = Actor.make("Master", [
  Rpc.make("Work"),
  // Goes on whoever interrupts it, and says what came of asking its child then.
  Rpc.make("Insist")
])

/** A host of which a test says whether it has the lease of its one actor. */
class LeasedWorld {
  readonly events: Array<string> = []
  readonly gate = Effect.runSync(Deferred.make<void>())
  readonly shard = addressOf("Master", "a").shardId
  readonly hosts = new Map<string, ActorHost>()
  lease: Lease | undefined = this.#leased(1)
  /** In the actor, before its child is begun. */
  onBegin: Effect.Effect<void> = Effect.void

  #leased(epoch: number): Lease {
    return { shard: { type: "Master", index: this.shard }, owner: "a/1", epoch }
  }

  /** The lease is lost, and comes back here at once. */
  lose(): void {
    this.lease = undefined
    this.hosts.get("Master")?.abandon(this.shard)
    this.lease = this.#leased(2)
  }

  #works(name: string): Effect.Effect<never> {
    const { events } = this
    events.push(`${name} begins`)
    return Effect.ensuring(
      Effect.never,
      Effect.sync(() => events.push(`${name} ends`))
    )
  }

  get layer() {
    const { events, gate, hosts } = this
    const master = Master.toLayer(
      Effect.gen(this, function* () {
        yield* this.onBegin
        const child = yield* Hand.spawn("h", { Work: () => this.#works("child") })
        return {
          Work: () =>
            Effect.zipRight(
              Effect.orDie(child.Work(undefined, { discard: true })),
              this.#works("own")
            ),
          Insist: () =>
            Deferred.await(gate).pipe(
              Effect.zipRight(Effect.either(child.Work(undefined, { discard: true }))),
              Effect.tap(({ _tag }) => Effect.sync(() => events.push(`child asked: ${_tag}`))),
              Effect.asVoid,
              Effect.uninterruptible
            )
        }
      }),
      { guarantee: "leased", concurrency: 2 }
    )
    const actors = Layer.effect(
      Actors,
      Effect.map(ActorStore, (store): Actors["Type"] => ({
        hosts,
        register: (definition) =>
          Effect.sync(() => {
            const { lease: _, ...open } = openGate
            const mayAnswer = () => this.lease !== undefined
            const gated = { ...open, isOpen: mayAnswer, mayAnswer, lease: () => this.lease }
            hosts.set(definition.type, new ActorHost({ ...definition, store, gate: gated }))
          }),
        send: ({ type }, id, message) =>
          deliverHere(hosts.get(type)!, addressOf(type, id), message, {
            left: undefined,
            moved: () => message.replies.exit(Exit.die("moved"))
          })
      }))
    )
    return master.pipe(
      Layer.provideMerge(actors),
      Layer.provide(MemoryStore.layer),
      Layer.provide(Logger.remove(Logger.defaultLogger))
    )
  }
}

describe("an actor whose lease is lost", () => {
  it.scoped("ends at once with what its child is at", () => {
    const world = new LeasedWorld()
    return Effect.gen(function* () {
      const master = yield* Master.client
      const works = yield* Effect.fork(Effect.flip(master("a").Work()))
      yield* TestClock.adjust("1 second")
      expect(world.events.splice(0)).toEqual(["own begins", "child begins"])
      world.lose()
      yield* TestClock.adjust("1 second")
      expect(world.events.toSorted()).toEqual(["child ends", "own ends"])
      expect(yield* Fiber.join(works)).toMatchObject({ code: "not_leased" })
      expect(world.hosts.get("Master")?.size).toBe(0)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("has its child begin nothing more, though the lease is back", () => {
    const world = new LeasedWorld()
    return Effect.gen(function* () {
      const master = yield* Master.client
      const insists = yield* Effect.fork(Effect.exit(master("a").Insist()))
      yield* TestClock.adjust("1 second")
      world.lose()
      yield* Deferred.succeed(world.gate, undefined)
      yield* TestClock.adjust("1 second")
      expect(world.events).toEqual(["child asked: Left"])
      expect(Exit.isFailure(yield* Fiber.join(insists))).toBe(true)
      expect(world.hosts.get("Master")?.size).toBe(0)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("does not go on beginning", () => {
    const world = new LeasedWorld()
    world.onBegin = Effect.never
    return Effect.gen(function* () {
      const master = yield* Master.client
      yield* Effect.fork(Effect.exit(master("a").Work()))
      yield* TestClock.adjust("1 second")
      expect(world.hosts.get("Master")?.get("a")?.phase).toBe("starting")
      world.lose()
      yield* TestClock.adjust("1 second")
      expect(world.hosts.get("Master")?.size).toBe(0)
      expect(world.hosts.get("Master")?.stats.crashes).toBe(0)
    }).pipe(Effect.provide(world.layer))
  })
})
