/**
 * Which shards of a type are run here, where nothing but the catalogue says whose they are (`eventual`).
 * Before the first message of a shard that was another's is handled, that one has finished what it had begun,
 * saved it and let go; who is gone is not waited for. Hosts that see different catalogues may run the same
 * shard for as long as they do.
 *
 *     nothing ─► claiming ─► open ─► leaving ─► nothing
 */
import type { Refusal } from "./Message.ts"
import { type Placement, shardCount } from "./Placement.ts"
import type { TypeHosts } from "./TypeHosts.ts"

/** What came of asking another host to let a shard go. */
export type Released =
  /** It has, or never had it. */
  | "released"
  /** It takes it for its own: it has not heard yet of what this host has heard of. */
  | "kept"
  /** No answer. */
  | "silent"

export interface EventualShardsOptions {
  readonly hosts: TypeHosts
  /** Key of this program's endpoint. */
  readonly self: string
  /** Asks the host with that key to let the shard go. */
  readonly release: (owner: string, shard: number, then: (released: Released) => void) => void
  /** The shard's actors finish, save and go; calls back when none is left. */
  readonly leave: (shard: number, then: () => void) => void
  readonly after: (millis: number, then: () => void) => void
  /** Milliseconds. */
  readonly now: () => number
  /** For people: a shard is run here though another host has not let it go. */
  readonly onForced: (shard: number, owner: string) => void
}

/** Milliseconds between two questions to a host that has not let go. */
const askAgain = 50
/** And after so many it is not waited for any more. */
export const releasePatience = 10_000
/** Messages that may wait for one shard while it is claimed. */
const maxWaiting = 10_000

type Then = (refusal: Refusal | undefined) => void

interface ShardState {
  phase: "claiming" | "leaving" | "open"
  waiting: Array<() => void>
}

export class EventualShards {
  readonly #options: EventualShardsOptions
  readonly #states = new Map<number, ShardState>()
  /** Who had the shards that have come here and are not claimed yet. */
  readonly #previous = new Map<number, string>()

  constructor(options: EventualShardsOptions) {
    this.#options = options
    const { hosts, self } = options
    // It may be among them already: what is its own then was another's before it came.
    this.#moved(hosts.placement.without(self), hosts.placement)
    hosts.onMoves((before, after) => {
      this.#moved(before, after)
      for (const [shard, { phase }] of this.#states) {
        if (phase === "open" && after.owner(shard) !== self) this.#leave(shard)
      }
    })
  }

  #moved(before: Placement, after: Placement): void {
    const { self } = this.#options
    for (let shard = 0; shard < shardCount; shard++) {
      const [was, is] = [before.owner(shard), after.owner(shard)]
      if (was === is) continue
      if (is === self && was !== undefined) this.#previous.set(shard, was)
      else this.#previous.delete(shard)
    }
  }

  isOpen(shard: number): boolean {
    return this.#states.get(shard)?.phase === "open"
  }

  owner(shard: number): string | undefined {
    return this.#options.hosts.owner(shard)
  }

  get open(): ReadonlyArray<number> {
    return [...this.#states].flatMap(([shard, { phase }]) => (phase === "open" ? [shard] : []))
  }

  enter(shard: number, then: Then): void {
    const { self } = this.#options
    const owner = this.owner(shard)
    if (owner !== self) {
      then({ _tag: "Moved", owner })
      return
    }
    const state = this.#states.get(shard)
    if (state === undefined) {
      this.#claim(shard, [() => this.enter(shard, then)])
      return
    }
    if (state.phase === "open") then(undefined)
    else if (state.waiting.length < maxWaiting) state.waiting.push(() => this.enter(shard, then))
    // Whoever sent it comes again.
    else then({ _tag: "Moved", owner })
  }

  /** Another host wants the shard. Calls back when it may have it; false: it is this one's own. */
  release(shard: number, then: (released: boolean) => void): void {
    if (this.owner(shard) === this.#options.self) {
      then(false)
      return
    }
    const state = this.#states.get(shard)
    if (state === undefined) then(true)
    else if (state.phase === "open") this.#leave(shard, () => then(true))
    else state.waiting.push(() => this.release(shard, then))
  }

  #claim(shard: number, waiting: ShardState["waiting"]): void {
    const state: ShardState = { phase: "claiming", waiting }
    this.#states.set(shard, state)
    const { after, hosts, now, onForced, release, self } = this.#options
    const began = now()
    const open = (): void => {
      this.#previous.delete(shard)
      state.phase = "open"
      this.#wake(state)
    }
    const ask = (): void => {
      // It has gone elsewhere while it was waited for; nothing was begun here.
      if (hosts.owner(shard) !== self) {
        this.#states.delete(shard)
        this.#wake(state)
        return
      }
      const previous = this.#previous.get(shard)
      if (previous === undefined || !hosts.isThere(previous)) {
        open()
        return
      }
      if (now() - began >= releasePatience) {
        onForced(shard, previous)
        open()
        return
      }
      release(previous, shard, (released) => {
        if (released === "released") open()
        else after(askAgain, ask)
      })
    }
    ask()
  }

  #leave(shard: number, then?: () => void): void {
    const state = this.#states.get(shard)
    if (state === undefined) return
    state.phase = "leaving"
    if (then !== undefined) state.waiting.push(then)
    this.#options.leave(shard, () => {
      this.#states.delete(shard)
      this.#wake(state)
    })
  }

  #wake(state: ShardState): void {
    const { waiting } = state
    state.waiting = []
    for (const then of waiting) then()
  }
}
