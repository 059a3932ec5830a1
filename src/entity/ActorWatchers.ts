/**
 * Who watches the actors of one type on this host. Watching an actor does not begin it. Who does not take what
 * happens fast enough misses the oldest of it, and is told how much that was.
 */
import { Effect, type Fiber } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { formatCaller } from "../model/Caller.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import type { ActorEvent } from "./ActorEvent.ts"
import type { Delivery } from "./Delivery.ts"
import type { ShardGate } from "./ShardGate.ts"

/** Of a type's actors on one host, all together. */
export const maxWatchers = 10_000
/** Of them, for one caller in the mesh, so that there are some for others. */
export const maxWatchersOfOne = 2_500
/** Events that wait for one of them. */
const maxWaiting = 64

class Watcher {
  readonly #events: Array<ActorEvent> = []
  #missed = 0
  #isOver = false
  #wake: () => void = nothing

  tell(event: ActorEvent): void {
    if (this.#isOver) return
    if (this.#events.length === maxWaiting) {
      this.#events.shift()
      this.#missed++
    }
    this.#events.push(event)
    this.#wake()
  }

  end(): void {
    this.#isOver = true
    this.#wake()
  }

  /** What has happened; undefined: that was all. */
  readonly next: Effect.Effect<NonEmptyReadonlyArray<ActorEvent> | undefined> = Effect.async(
    (resume) => {
      const look = (): void => {
        const [first, ...rest] = this.#take()
        if (first !== undefined) resume(Effect.succeed([first, ...rest]))
        else if (this.#isOver) resume(Effect.succeed(undefined))
        else this.#wake = look
      }
      look()
      return Effect.sync(() => {
        this.#wake = nothing
      })
    }
  )

  #take(): ReadonlyArray<ActorEvent> {
    this.#wake = nothing
    const events = this.#events.splice(0)
    if (this.#missed === 0) return events
    const count = this.#missed
    this.#missed = 0
    return [{ _tag: "Missed", count }, ...events]
  }
}

type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>

export class ActorWatchers {
  readonly #gate: Pick<ShardGate, "node" | "ownerName">
  /** By shard, then by id. */
  readonly #shards = new Map<number, Map<string, Set<Watcher>>>()
  /** How many watch for each caller. */
  readonly #callers = new Map<string, number>()
  #size = 0

  constructor(gate: Pick<ShardGate, "node" | "ownerName">) {
    this.#gate = gate
  }

  get size(): number {
    return this.#size
  }

  get #host(): string {
    return this.#gate.node()
  }

  /** For who has asked for it, until it is given up or the actor is another host's. */
  watch(address: ActorAddress, delivery: Delivery, running: boolean, run: Run): void {
    const host = this.#host
    const { caller, replies } = delivery.message
    // This program's own have all of them.
    const name = caller && formatCaller(caller)
    const what = this.#noPlace(name)
    if (what !== undefined) {
      delivery.refuse(ActorUnavailable.of("too_many_watchers", address, what))
      return
    }
    const first = { _tag: "Watching", host, running } as const
    const follow = this.follow(address, first, (events) => replies.part(events))
    const fiber = run(name === undefined ? follow : this.#counted(name, follow))
    delivery.begun(fiber)
    fiber.addObserver((exit) => delivery.answer(exit))
  }

  #noPlace(caller: string | undefined): string | undefined {
    const host = this.#host
    if (this.#size >= maxWatchers) {
      return `cannot be watched: ${maxWatchers} others of its type's actors are watched on ${host}`
    }
    if (caller === undefined || this.#watchedBy(caller) < maxWatchersOfOne) return undefined
    return `cannot be watched: ${caller} watches ${maxWatchersOfOne} of its type's actors on ${host} already`
  }

  #watchedBy(caller: string): number {
    return this.#callers.get(caller) ?? 0
  }

  #counted(caller: string, follow: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.#callers.set(caller, this.#watchedBy(caller) + 1)),
      () => follow,
      () =>
        Effect.sync(() => {
          const left = this.#watchedBy(caller) - 1
          if (left > 0) this.#callers.set(caller, left)
          else this.#callers.delete(caller)
        })
    )
  }

  started(address: ActorAddress): void {
    this.tell(address, { _tag: "Started", host: this.#host })
  }

  stopped(address: ActorAddress, reason: "idle" | "moved"): void {
    this.tell(address, { _tag: "Stopped", host: this.#host, reason })
  }

  crashed(
    address: ActorAddress,
    crash: { readonly message: string; readonly after: number; readonly failed: boolean }
  ): void {
    this.tell(address, { _tag: "Crashed", host: this.#host, ...crash })
  }

  /** All actors of the shard are another host's. */
  moved(shard: number): void {
    if (this.#size === 0) return
    const to = this.#gate.ownerName(shard)
    const moved = { _tag: "Moved", from: this.#host } as const
    this.end(shard, to === undefined ? moved : { ...moved, to })
  }

  allMoved(): void {
    for (const shard of [...this.#shards.keys()]) this.moved(shard)
  }

  tell({ entityId, shardId }: ActorAddress, event: ActorEvent): void {
    if (this.#size === 0) return
    for (const watcher of this.#shards.get(shardId)?.get(entityId) ?? []) watcher.tell(event)
  }

  /** The last that they hear from here. */
  end(shard: number, event: ActorEvent): void {
    for (const watchers of this.#shards.get(shard)?.values() ?? []) {
      for (const watcher of watchers) {
        watcher.tell(event)
        watcher.end()
      }
    }
  }

  /** Hands on what happens, until that is over or it is interrupted; what comes meanwhile waits. */
  follow(
    address: ActorAddress,
    first: ActorEvent,
    part: (events: NonEmptyReadonlyArray<ActorEvent>) => Effect.Effect<void>
  ): Effect.Effect<void> {
    const add = Effect.sync(() => {
      const watcher = new Watcher()
      watcher.tell(first)
      this.#watchersOf(address).add(watcher)
      this.#size++
      return watcher
    })
    return Effect.acquireUseRelease(
      add,
      ({ next }) =>
        Effect.iterate(true, {
          while: (goesOn) => goesOn,
          body: () =>
            Effect.flatMap(next, (events) =>
              events === undefined ? Effect.succeed(false) : Effect.as(part(events), true)
            )
        }),
      (watcher) => Effect.sync(() => this.#remove(address, watcher))
    )
  }

  #watchersOf({ entityId, shardId }: ActorAddress): Set<Watcher> {
    const ids = this.#shards.get(shardId) ?? new Map<string, Set<Watcher>>()
    this.#shards.set(shardId, ids)
    const watchers = ids.get(entityId) ?? new Set()
    ids.set(entityId, watchers)
    return watchers
  }

  #remove({ entityId, shardId }: ActorAddress, watcher: Watcher): void {
    const ids = this.#shards.get(shardId)
    const watchers = ids?.get(entityId)
    if (watchers?.delete(watcher) !== true) return
    this.#size--
    if (watchers.size > 0) return
    ids?.delete(entityId)
    if (ids?.size === 0) this.#shards.delete(shardId)
  }
}

const nothing = (): void => undefined
