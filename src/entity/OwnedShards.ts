/**
 * Which shards of a type are run here. The catalogue says whose they are; before the first message of a shard
 * that was another's is handled, that one has finished what it had begun, saved it and let go; who is gone is
 * not waited for. Then it takes what its rights take: nothing (`eventual`: hosts that see different catalogues
 * may run the same shard for as long as they do), or a lease.
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

/** What it takes to run a shard, besides that it is this host's. */
export interface ShardRights {
  /** Calls back when it may be run; never, if that does not come to pass. */
  readonly take: (shard: number, then: () => void) => void
  /** May something be begun in it now? */
  readonly may: (shard: number) => boolean
  /** Nothing runs in it any more, and nothing is to: what there is of the right to run it goes back. */
  readonly give: (shard: number) => void
}

/** Nobody is asked. */
export const noRights: ShardRights = {
  take: (_, then) => then(),
  may: () => true,
  give: () => undefined
}

export interface OwnedShardsOptions {
  readonly rights: ShardRights
  readonly hosts: TypeHosts
  /** Key of this program's endpoint. */
  readonly self: string
  /** Asks the host with that key to let the shard go; it has so many milliseconds for it. */
  readonly release: (
    owner: string,
    shard: number,
    millis: number,
    then: (released: Released) => void
  ) => void
  /** The shard's actors finish, save and go; calls back when none is left. */
  readonly leave: (shard: number, then: () => void) => void
  /** Returns how to call it off. */
  readonly after: (millis: number, then: () => void) => () => void
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

/** Milliseconds that messages wait for the right to run a shard: longer than a lease of a lost host holds. */
const rightsPatience = 30_000

/** Why a message is not handled here: its shard is elsewhere, or nobody lets it be run. */
export type NotEntered = (Refusal & { readonly _tag: "Moved" }) | "not_leased"

type Then = (why: NotEntered | undefined) => void

interface ShardState {
  phase: "claiming" | "leaving" | "open"
  /** Nobody waits any longer than that for the right to run it. */
  stopExpecting: () => void
  /** Called when it is worth looking again, or with why not. */
  waiting: Array<(why: NotEntered | undefined) => void>
}

export class OwnedShards {
  readonly #options: OwnedShardsOptions
  readonly #states = new Map<number, ShardState>()
  /** Who had the shards that have come here and are not claimed yet. */
  readonly #previous = new Map<number, string>()

  constructor(options: OwnedShardsOptions) {
    this.#options = options
    const { hosts, self } = options
    // It may be among them already: what is its own then was another's before it came.
    this.#moved(hosts.placement.without(self), hosts.placement)
    hosts.onMoves((before, after) => {
      this.#moved(before, after)
      for (let shard = 0; shard < shardCount; shard++) {
        if (after.owner(shard) === self) continue
        const state = this.#states.get(shard)
        // Rights may be held with nothing run: those that were lost come back by themselves.
        if (state === undefined) options.rights.give(shard)
        else if (state.phase === "open") this.#leave(shard)
        else if (state.phase === "claiming") this.#giveUp(shard, state)
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
    return this.#states.get(shard)?.phase === "open" && this.#options.rights.may(shard)
  }

  /** Its rights have changed: those that wait for them look again. */
  look(shard: number): void {
    const state = this.#states.get(shard)
    if (state?.phase === "open") this.#wake(state)
  }

  /** It has no right to run it any more, and nothing in it runs: who wants it claims it anew. */
  lose(shard: number): void {
    const state = this.#states.get(shard)
    if (state?.phase !== "open") return
    this.#states.delete(shard)
    this.#wake(state)
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
      this.#claim(shard, [this.#again(shard, then)])
      return
    }
    if (this.isOpen(shard)) then(undefined)
    else if (state.waiting.length < maxWaiting) state.waiting.push(this.#again(shard, then))
    // Whoever sent it comes again.
    else then({ _tag: "Moved", owner })
  }

  #again(shard: number, then: Then): Then {
    return (why) => {
      if (why === undefined) this.enter(shard, then)
      else then(why)
    }
  }

  /** Another host wants the shard. Calls back when it may have it; false: it is this one's own. */
  release(shard: number, then: (released: boolean) => void): void {
    if (this.owner(shard) === this.#options.self) {
      then(false)
      return
    }
    const state = this.#states.get(shard)
    if (state === undefined) {
      this.#options.rights.give(shard)
      then(true)
    } else if (state.phase === "open") this.#leave(shard, () => then(true))
    else state.waiting.push(() => this.release(shard, then))
  }

  #claim(shard: number, waiting: ShardState["waiting"]): void {
    const state: ShardState = { phase: "claiming", waiting, stopExpecting: nothing }
    this.#states.set(shard, state)
    const { after, hosts, now, onForced, release, rights, self } = this.#options
    const began = now()
    const isMine = (): boolean => this.#states.get(shard) === state
    const open = (): void => {
      if (rights === noRights) {
        this.#previous.delete(shard)
        state.phase = "open"
        this.#wake(state)
        return
      }
      this.#previous.delete(shard)
      this.#expect(shard, state)
      rights.take(shard, () => {
        if (!isMine() || state.phase !== "claiming") return
        state.stopExpecting()
        state.phase = "open"
        this.#wake(state)
      })
    }
    const ask = (): void => {
      if (!isMine()) return
      if (hosts.owner(shard) !== self) {
        this.#giveUp(shard, state)
        return
      }
      const previous = this.#previous.get(shard)
      if (previous === undefined || !hosts.isThere(previous)) {
        open()
        return
      }
      const left = releasePatience - (now() - began)
      if (left <= 0) {
        onForced(shard, previous)
        open()
        return
      }
      release(previous, shard, left, (released) => {
        if (released === "released") open()
        else after(askAgain, ask)
      })
    }
    ask()
  }

  /** It has gone elsewhere while it was waited for; nothing was begun here. */
  #giveUp(shard: number, state: ShardState): void {
    state.stopExpecting()
    this.#states.delete(shard)
    this.#options.rights.give(shard)
    this.#wake(state)
  }

  #leave(shard: number, then?: () => void): void {
    const state = this.#states.get(shard)
    if (state === undefined) return
    state.phase = "leaving"
    if (then !== undefined) state.waiting.push(then)
    const { leave, rights } = this.#options
    leave(shard, () => {
      rights.give(shard)
      this.#states.delete(shard)
      this.#wake(state)
    })
  }

  /** Those that wait do not do so for ever. */
  #expect(shard: number, state: ShardState): void {
    state.stopExpecting = this.#options.after(rightsPatience, () => {
      this.#wake(state, "not_leased")
      this.#expect(shard, state)
    })
  }

  #wake(state: ShardState, why?: NotEntered): void {
    const { waiting } = state
    state.waiting = []
    for (const then of waiting) then(why)
  }
}

const nothing = (): void => undefined
