/**
 * Leases as the rights to run shards: one is asked for when a shard gets its first message, kept while the
 * shard is this host's, and given back when its actors are gone. What the store does not renew in time stops.
 */
import { Effect, Runtime, type Scope } from "effect"
import type { ActorHost } from "./ActorHost.ts"
import type { OwnedShards } from "./OwnedShards.ts"
import type { ShardRights } from "./ShardRights.ts"
import type { ActorStore, Lease, Shard } from "./store/ActorStore.ts"
import { type LeaseLoop, runLeases } from "./store/LeaseLoop.ts"
import type { LeaseNews, LeaseTimes } from "./store/LeaseStep.ts"

export interface ShardLeasesOptions {
  readonly type: string
  /** One life of this program. */
  readonly owner: string
  readonly times?: LeaseTimes | undefined
  readonly host: () => Pick<ActorHost, "abandon">
  readonly shards: () => Pick<OwnedShards, "look" | "lose"> | undefined
  /** Returns how to call it off. */
  readonly after: (millis: number, then: () => void) => () => void
}

/** Milliseconds after which the store is asked again for what another host has just let go. */
const hurries = [50, 150, 400]
/** Milliseconds that the store may take to take a lease back; then the shard is let go without that. */
const backPatience = 1_000

export class ShardLeases implements ShardRights {
  readonly #options: ShardLeasesOptions
  readonly #leases = new Map<number, Lease>()
  readonly #taking = new Map<number, () => void>()
  readonly #wanted = new Map<number, Shard>()
  #loop: LeaseLoop | undefined

  private constructor(options: ShardLeasesOptions) {
    this.#options = options
  }

  /** Until the scope closes: what is left then goes back to the store. */
  static make(
    options: ShardLeasesOptions
  ): Effect.Effect<ShardLeases, never, ActorStore | Scope.Scope> {
    return Effect.gen(function* () {
      const leases = new ShardLeases(options)
      const { owner, times, type } = options
      let isTroubled = false
      const runtime = yield* Effect.runtime<never>()
      leases.#loop = yield* runLeases({
        owner,
        ...(times === undefined ? {} : { times }),
        onNews: (news) => {
          isTroubled = false
          leases.#heard(news)
        },
        onTrouble: ({ message }) => {
          if (isTroubled) return
          isTroubled = true
          const text = `the store does not answer for the leases of ${type}: ${message}; its actors stop before their leases end, and come back by themselves`
          Runtime.runFork(runtime)(Effect.logWarning(text))
        }
      })
      return leases
    })
  }

  take(shard: number, then: () => void): void {
    const one = { type: this.#options.type, index: shard }
    const hurry = (): void => {
      if (this.#taking.has(shard)) this.#loop?.hurry([one])
    }
    const isAsked = this.#taking.has(shard)
    this.#taking.set(shard, then)
    if (isAsked) hurry()
    else {
      this.#wanted.set(shard, one)
      this.#loop?.want([...this.#wanted.values()])
    }
    for (const millis of hurries) this.#options.after(millis, hurry)
    this.#granted(shard)
  }

  may(shard: number): boolean {
    return this.#loop?.mayBegin({ type: this.#options.type, index: shard }) !== undefined
  }

  give(shard: number, then: () => void): void {
    this.#taking.delete(shard)
    const lease = this.#leases.get(shard)
    this.#leases.delete(shard)
    if (!this.#wanted.delete(shard) || this.#loop === undefined) {
      then()
      return
    }
    this.#loop.want([...this.#wanted.values()])
    if (lease !== undefined) this.#loop.letGo(lease)
    let isOver = false
    const once = (): void => {
      if (isOver) return
      isOver = true
      stop()
      then()
    }
    // A host that asked the store before it has the lease back would have to ask again and again.
    const stop = this.#options.after(backPatience, once)
    this.#loop.whenBack({ type: this.#options.type, index: shard }, once)
  }

  /** Under which the shard's actors save. */
  lease(shard: number): Lease | undefined {
    return this.#leases.get(shard)
  }

  /** Is what was read under its lease still true? */
  mayAnswer(shard: number): boolean {
    const lease = this.#leases.get(shard)
    return lease !== undefined && this.#loop?.mayFinish(lease) === true
  }

  /** The store has refused a save under it. */
  fenced(shard: number): void {
    const lease = this.#leases.get(shard)
    if (lease !== undefined) this.#loop?.fenced(lease)
  }

  #granted(shard: number): void {
    if (!this.may(shard)) return
    const then = this.#taking.get(shard)
    this.#taking.delete(shard)
    then?.()
  }

  #heard({ kind, lease }: LeaseNews): void {
    const { host, shards } = this.#options
    const shard = lease.shard.index
    switch (kind) {
      case "granted":
        this.#leases.set(shard, lease)
        this.#granted(shard)
        shards()?.look(shard)
        return
      case "restored":
        // It may have been claimed while nothing could be begun under it.
        this.#granted(shard)
        shards()?.look(shard)
        return
      case "lost":
        this.#leases.delete(shard)
        host().abandon(shard)
        shards()?.lose(shard)
        return
      case "leaving":
      case "quiet":
      // The first is this host's own doing; in the second nothing is begun, and what runs may finish.
    }
  }
}
