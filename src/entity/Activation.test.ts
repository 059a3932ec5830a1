/** Lives that end before what they have done is saved: what is told of it, and what the next one sees. */
import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import {
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Queue,
  Schema,
  Stream,
  TestClock
} from "effect"
import * as Actor from "./Actor.ts"
import { addressOf } from "./ActorAddress.ts"
import { ActorHost } from "./ActorHost.ts"
import * as ActorState from "./ActorState.ts"
import { Actors, deliverHere } from "./Actors.ts"
import { openGate, type ShardGate } from "./ShardGate.ts"
import { ActorStore, type ActorStoreShape, type Lease, type Save } from "./store/ActorStore.ts"
import * as MemoryStore from "./store/MemoryStore.ts"
import { StoreUnavailable } from "./store/StoreError.ts"

const Ledger = Actor.make("Ledger", [
  Rpc.make("Add", { payload: { by: Schema.Int }, success: Schema.Int }),
  Rpc.make("Get", { success: Schema.Int }),
  // When it is let.
  Rpc.make("Read", { success: Schema.Int }),
  // Changes it at once, and ends when it is let.
  Rpc.make("Hold", { payload: { by: Schema.Int }, success: Schema.Int }),
  // The same, whoever interrupts it; says what came of saving it itself.
  Rpc.make("Insist", { payload: { by: Schema.Int }, success: Schema.String }),
  // Changes it after it has answered.
  Rpc.make("Later", { payload: { by: Schema.Int } }),
  Rpc.make("Dies"),
  // Its total, as often as it is asked for by `world.ticks`.
  Rpc.make("Follow", { success: Schema.Int, stream: true })
])

const Total = Schema.Struct({ total: Schema.Int })

/** One program with a store whose saves end as a test says. */
class World {
  readonly gate = Effect.runSync(Deferred.make<void>())
  readonly ticks = Effect.runSync(Queue.unbounded<void>())
  readonly saves: Array<Save> = []
  readonly answers: Array<string> = []
  readonly hosts = new Map<string, ActorHost>()
  /** What becomes of a save, in place of the store's own; undefined: that. */
  onSave: (() => Effect.Effect<void, StoreUnavailable>) | undefined
  lease: Lease | undefined
  isOpen = true
  /** In each life, while its handlers are built. */
  onBegin: (state: ActorState.ActorState<typeof Total.Type>) => Effect.Effect<void> = () =>
    Effect.void
  /** Lives that have begun, and of them those that have ended, in their order. */
  lives = 0
  readonly ended: Array<number> = []
  /** Messages that were sent on to where their shard is. */
  moved = 0
  readonly #options: Actor.ActorOptions
  readonly #gate: ShardGate

  constructor(options: Actor.ActorOptions = {}) {
    this.#options = options
    const isLeased = options.guarantee === "leased"
    this.#gate = isLeased
      ? {
          ...openGate,
          isOpen: () => this.isOpen,
          lease: () => this.lease,
          mayAnswer: () => this.lease !== undefined
        }
      : openGate
  }

  get #store(): ActorStoreShape {
    const store = MemoryStore.make()
    return {
      ...store,
      save: (save) => {
        this.saves.push(save)
        const first = this.onSave?.() ?? Effect.void
        return Effect.zipRight(first, store.save(save))
      }
    }
  }

  get layer() {
    const { answers, gate, ticks } = this
    const live = Ledger.toLayer(
      Effect.gen(this, function* () {
        const life = ++this.lives
        yield* Effect.addFinalizer(() => Effect.sync(() => void this.ended.push(life)))
        const state = yield* ActorState.make(Total, { initial: { total: 0 } })
        yield* this.onBegin(state)
        const add = (by: number) =>
          Effect.map(
            state.update(({ total }) => ({ total: total + by })),
            ({ total }) => total
          )
        return {
          Add: ({ payload: { by } }) => add(by),
          Read: () =>
            Effect.zipRight(
              Deferred.await(gate),
              Effect.map(state.get, ({ total }) => total)
            ),
          Get: () => Effect.map(state.get, ({ total }) => total),
          Hold: ({ payload: { by } }) => Effect.zipLeft(add(by), Deferred.await(gate)),
          Insist: ({ payload: { by } }) =>
            Deferred.await(gate).pipe(
              Effect.zipRight(add(by)),
              Effect.zipRight(Effect.either(state.save)),
              Effect.map(({ _tag }) => _tag),
              Effect.tap((saved) => Effect.sync(() => answers.push(saved))),
              Effect.uninterruptible
            ),
          Later: ({ payload: { by } }) =>
            Effect.asVoid(Effect.forkDaemon(Effect.zipRight(Deferred.await(gate), add(by)))),
          Dies: () => Effect.die(new Error("a bug")),
          Follow: () =>
            Stream.mapEffect(Stream.fromQueue(ticks), () =>
              Effect.map(state.get, ({ total }) => total)
            )
        }
      }),
      this.#options
    )
    const actors = Layer.effect(
      Actors,
      Effect.map(ActorStore, (store): Actors["Type"] => ({
        hosts: this.hosts,
        register: (definition) =>
          Effect.sync(() => {
            const host = new ActorHost({ ...definition, store, gate: this.#gate })
            this.hosts.set(definition.type, host)
          }),
        send: ({ type }, id, message) =>
          deliverHere(this.hosts.get(type)!, addressOf(type, id), message, {
            left: undefined,
            moved: () => void this.moved++
          })
      }))
    )
    return live.pipe(
      Layer.provideMerge(actors),
      Layer.provide(Layer.succeed(ActorStore, this.#store)),
      Layer.provide(Logger.remove(Logger.defaultLogger))
    )
  }
}

const unavailable = new StoreUnavailable({
  code: "store_unavailable",
  message: "the store is away",
  unknown: false
})

const soon = Effect.repeatN(Effect.yieldNow(), 20)

describe("a life that ends before what it has done is saved", () => {
  it.scoped("lets nothing run on what the store has refused", () => {
    const world = new World()
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      const refusal = yield* Deferred.make<void, StoreUnavailable>()
      world.onSave = () => Deferred.await(refusal)
      const first = yield* Effect.fork(Effect.flip(ledger("a").Add({ by: 5 })))
      yield* soon
      const key = { headers: { "idempotency-key": "k" } }
      const second = yield* Effect.fork(ledger("a").Add({ by: 1 }, key))
      yield* soon
      world.onSave = undefined
      yield* Deferred.fail(refusal, unavailable)
      expect(yield* Fiber.join(first)).toMatchObject({ code: "not_saved" })
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(second)).toBe(1)
      // Its key was saved with it.
      expect(yield* ledger("a").Add({ by: 1 }, key)).toBe(1)
      expect(yield* ledger("a").Get()).toBe(1)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("tells no success of what is thrown away", () => {
    const world = new World({ concurrency: 2 })
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      const insists = yield* Effect.fork(Effect.either(ledger("a").Insist({ by: 5 })))
      yield* soon
      yield* Effect.exit(ledger("a").Dies())
      yield* TestClock.adjust("1 second")
      expect(yield* ledger("a").Get()).toBe(0)
      yield* Deferred.succeed(world.gate, undefined)
      expect(yield* Fiber.join(insists)).toMatchObject({ left: { code: "stopped", sent: true } })
      expect(world.answers).toEqual(["Left"])
      expect(yield* ledger("a").Get()).toBe(0)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("leaves the messages of the next one alone, with the save that it had begun", () => {
    const world = new World({ concurrency: 2 })
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      yield* ledger("a").Add({ by: 1 })
      const away = yield* Deferred.make<void, StoreUnavailable>()
      world.onSave = () => Deferred.await(away)
      const first = yield* Effect.fork(Effect.flip(ledger("a").Add({ by: 5 })))
      yield* soon
      yield* Effect.exit(ledger("a").Dies())
      yield* TestClock.adjust("1 second")
      world.onSave = undefined
      expect(first.unsafePoll()).toBeNull()
      const next = yield* Effect.fork(ledger("a").Add({ by: 2 }))
      yield* soon
      yield* Deferred.fail(away, unavailable)
      expect(yield* Fiber.join(first)).toMatchObject({ code: "not_saved" })
      expect(yield* Fiber.join(next)).toBe(3)
      expect(yield* ledger("a").Get()).toBe(3)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("saves nothing when its lease is lost, and nothing without one", () => {
    const world = new World({ guarantee: "leased" })
    const { shardId } = addressOf("Ledger", "a")
    world.lease = { shard: { type: "Ledger", index: shardId }, owner: "a/1", epoch: 1 }
    // Nothing fences it here: what reaches the store is what a test looks at.
    world.onSave = () => Effect.fail(unavailable)
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      yield* ledger("a").Later({ by: 5 })
      yield* Deferred.succeed(world.gate, undefined)
      yield* soon
      world.lease = undefined
      world.hosts.get("Ledger")?.abandon(shardId)
      yield* soon
      expect(world.saves).toEqual([])
      expect(world.hosts.get("Ledger")?.size).toBe(0)
      // The right is gone, and nobody has said so yet.
      expect(yield* Effect.flip(ledger("a").Add({ by: 1 }))).toMatchObject({ code: "not_saved" })
      expect(world.saves).toEqual([])
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("streams nothing more that it has read, without its lease", () => {
    const world = new World({ guarantee: "leased" })
    const { shardId } = addressOf("Ledger", "a")
    world.lease = { shard: { type: "Ledger", index: shardId }, owner: "a/1", epoch: 1 }
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      const seen: Array<number> = []
      const follow = Stream.runForEach(ledger("a").Follow(), (total) =>
        Effect.sync(() => void seen.push(total))
      )
      const following = yield* Effect.fork(Effect.flip(follow))
      yield* soon
      yield* Queue.offer(world.ticks, undefined)
      yield* soon
      expect(seen).toEqual([0])
      world.lease = undefined
      yield* Queue.offer(world.ticks, undefined)
      yield* soon
      expect(seen).toEqual([0])
      expect(yield* Fiber.join(following)).toMatchObject({ code: "not_leased", sent: true })
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("begins nothing that waits, and answers nothing it has read, without its lease", () => {
    const world = new World({ guarantee: "leased" })
    const { shardId } = addressOf("Ledger", "a")
    world.lease = { shard: { type: "Ledger", index: shardId }, owner: "a/1", epoch: 1 }
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      const read = yield* Effect.fork(Effect.flip(ledger("a").Read()))
      yield* soon
      const waits = yield* Effect.fork(ledger("a").Get())
      yield* soon
      world.isOpen = false
      world.lease = undefined
      yield* Deferred.succeed(world.gate, undefined)
      expect(yield* Fiber.join(read)).toMatchObject({ code: "not_leased", sent: true })
      expect(world.moved).toBe(1)
      yield* Fiber.interrupt(waits)
    }).pipe(Effect.provide(world.layer))
  })
})

describe("a save that fails while its actor begins", () => {
  const failsOnce = (world: World, next: Effect.Effect<void> = Effect.void) => {
    let isAway = true
    world.onSave = () => {
      const first = isAway
      isAway = false
      return first ? unavailable : next
    }
  }
  const changed = (state: ActorState.ActorState<typeof Total.Type>) =>
    state.update(({ total }) => ({ total: total + 10 }))

  it.scoped("ends that life, and one other follows", () => {
    const world = new World()
    // As a behaviour does it that begins (ActorBehaviour.ts).
    world.onBegin = (state) => Effect.zipRight(changed(state), Effect.orDie(state.save))
    failsOnce(world)
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      const add = yield* Effect.fork(ledger("a").Add({ by: 1 }))
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(add)).toBe(11)
      expect([world.lives, world.ended]).toEqual([2, [1]])
      expect(world.hosts.get("Ledger")?.stats.crashes).toBe(1)
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped("holds nothing up where saves take longer than the rest after a crash", () => {
    const world = new World()
    world.onBegin = (state) => Effect.zipRight(changed(state), Effect.orDie(state.save))
    failsOnce(world, Effect.sleep("300 millis"))
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      const add = yield* Effect.fork(ledger("a").Add({ by: 1 }))
      yield* TestClock.adjust("1 minute")
      expect(add.unsafePoll()).toEqual(Exit.succeed(11))
      expect(world.ended).toEqual([1])
    }).pipe(Effect.provide(world.layer))
  })

  it.scoped.each([
    { program: "ignores it", ignored: Effect.ignore },
    {
      program: "ignores it and is not to be interrupted",
      ignored: <E>(save: Effect.Effect<void, E>) => Effect.uninterruptible(Effect.ignore(save))
    }
  ])("has nothing answered that is saved nowhere, where its program $program", ({ ignored }) => {
    const world = new World()
    world.onBegin = (state) => Effect.zipRight(changed(state), ignored(state.save))
    failsOnce(world)
    return Effect.gen(function* () {
      const ledger = yield* Ledger.client
      const add = yield* Effect.fork(ledger("a").Add({ by: 1 }))
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(add)).toBe(11)
      expect(yield* ledger("a").Add({ by: 1 })).toBe(12)
      expect([world.lives, world.ended]).toEqual([2, [1]])
    }).pipe(Effect.provide(world.layer))
  })
})
