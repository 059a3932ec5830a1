/**
 * Which shards of a type are run here. The catalogue says whose they are; before the first message of a shard
 * that was another's is handled, that one has finished what it had begun, saved it and let go; who is gone is
 * not waited for. Then it takes what its rights take: nothing (`eventual`: hosts that see different catalogues
 * may run the same shard for as long as they do), or a lease.
 *
 *     nothing ─► claiming ─► open ─► leaving ─► nothing
 */
import { Departures } from "./Departures.ts"
import { Handover, type HandoverOptions, type Released, releaseHold } from "./Handover.ts"
import { holdAnswer } from "./HeldAnswer.ts"
import type { Refusal } from "./Message.ts"
import { allShards, ownerAmong, type Placement, shardCount } from "./Placement.ts"
import { noRights, type ShardRights } from "./ShardRights.ts"
import type { TypeHosts } from "./TypeHosts.ts"

export interface OwnedShardsOptions extends HandoverOptions {
  readonly rights: ShardRights
  readonly hosts: Pick<TypeHosts, "isThere" | "onMoves" | "owner" | "placement" | "there" | "type">
  /** The shard's actors finish, save and go; calls back when none is left. */
  readonly leave: (shard: number, then: () => void) => void
}

/** Messages that may wait for one shard while it is claimed. */
const maxWaiting = 10_000

/** Milliseconds that messages wait for the right to run a shard: longer than a lease of a lost host holds. */
const rightsPatience = 30_000

/** Why a message is not handled here: its shard is elsewhere, or nobody lets it be run. */
export type NotEntered = (Refusal & { readonly _tag: "Moved" }) | "no_store" | "not_leased"

type Then = (why: NotEntered | undefined) => void

interface ShardState {
  phase: "claiming" | "leaving" | "open"
  /** While it is claimed of others. */
  handover: Handover | undefined
  /** Nobody waits any longer than that for the right to run it. */
  stopExpecting: () => void
  /** Called when it is worth looking again, or with why not. */
  waiting: Set<Then>
}

export class OwnedShards {
  readonly #options: OwnedShardsOptions
  readonly #states = new Map<number, ShardState>()
  /** Who may run the shards that have come here and were not claimed since, wherever they are by now. */
  readonly #previous = new Map<number, Set<string>>()
  readonly #departures: Departures
  #onLeft: Array<() => void> = []

  constructor(options: OwnedShardsOptions) {
    this.#options = options
    const { after } = options
    this.#departures = new Departures({ begin: (shard) => this.#leave(shard), after })
    const { hosts, self } = options
    // It may be among them already: what is its own then was another's before it came.
    this.#moved(hosts.placement.without(self), hosts.placement)
    hosts.onMoves((before, after) => {
      this.#moved(before, after)
      for (const shard of allShards) {
        const state = this.#states.get(shard)
        if (after.owner(shard) === self) this.#departures.drop(shard)
        // Rights may be held with nothing run: those that were lost come back by themselves.
        else if (state === undefined) this.#giveBack(shard)
        else if (state.phase === "claiming") this.#giveUp(shard, state)
        // Who wants it waits for that, and what waits for rights need not any more.
        else if (state.phase === "open") this.#wake(state)
      }
      this.#departures.add(this.open.filter((shard) => after.owner(shard) !== self))
    })
  }

  #moved(before: Placement, after: Placement): void {
    const { self } = this.#options
    for (let shard = 0; shard < shardCount; shard++) {
      const [was, is] = [before.owner(shard), after.owner(shard)]
      if (was === is || is !== self || was === undefined) continue
      const { hosts } = this.#options
      const known = [...(this.#previous.get(shard) ?? [])].filter((key) => hosts.isThere(key))
      this.#previous.set(shard, new Set([...known, was]))
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
    this.#departures.drop(shard)
    this.#gone(shard, state)
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
      this.#claim(shard, new Set([this.#again(shard, then)]))
      return
    }
    const holder = state.handover?.holder
    if (this.isOpen(shard)) then(undefined)
    else if (holder !== undefined) then({ _tag: "Moved", owner: holder })
    else if (state.waiting.size < maxWaiting) state.waiting.add(this.#again(shard, then))
    // Whoever sent it comes again.
    else then({ _tag: "Moved", owner })
  }

  #again(shard: number, then: Then): Then {
    return (why) => {
      if (why === undefined) this.enter(shard, then)
      else then(why)
    }
  }

  /** Another host wants the shard: the one with the key `by`, where it says so. */
  release(shard: number, by: string | undefined, then: (released: Released) => void): void {
    if (this.owner(shard) === this.#options.self && !this.#yields(shard, by)) {
      const phase = this.#states.get(shard)?.phase
      then({ kind: "kept", runs: phase === "open" || phase === "leaving" })
      return
    }
    const phase = this.#states.get(shard)?.phase
    if (phase === "open") this.#departures.urge(shard)
    else if (phase === undefined) this.#giveBack(shard)
    const state = this.#states.get(shard)
    if (state === undefined) {
      then({ kind: "released", others: [...(this.#previous.get(shard) ?? [])] })
    } else if (state.phase === "open") then({ kind: "queued" })
    else {
      holdAnswer({
        ...{ after: this.#options.after, hold: releaseHold },
        wait: (it) => this.#waits(state, it),
        news: () => this.release(shard, by, then),
        none: () => then({ kind: "leaving" })
      })
    }
  }

  /** Another host was told that it is queued, or run here. Calls back when it is not any more, or after a while. */
  turn(shard: number, by: string | undefined, then: (released: Released) => void): void {
    const state = this.#states.get(shard)
    const isOwn = this.owner(shard) === this.#options.self
    // One that leaves and is this host's own again is gone soon, and that is news.
    const kept = isOwn && state !== undefined && state.phase !== "claiming" ? state : undefined
    holdAnswer({
      ...{ after: this.#options.after, hold: releaseHold },
      wait: (it) =>
        kept === undefined ? this.#departures.whenTurn(shard, it) : this.#waits(kept, it),
      news: () => this.release(shard, by, then),
      none: () => then(kept === undefined ? { kind: "queued" } : { kind: "kept", runs: true })
    })
  }

  #waits(state: ShardState, then: Then): () => void {
    state.waiting.add(then)
    return () => state.waiting.delete(then)
  }

  /**
   * This host and another one take the shard for their own, and would send each other what comes for it. If it is not
   * run here it is let go to the one that would have it of the two, and that one is asked before it is run here.
   */
  #yields(shard: number, by: string | undefined): boolean {
    const { hosts, self } = this.#options
    const state = this.#states.get(shard)
    if (by === undefined || (state !== undefined && state.phase !== "claiming")) return false
    // Whom this host does not see it could not ask, and those that are further away run other actors.
    if (!hosts.there.includes(by) || ownerAmong(hosts.type, [self, by], shard) !== by) return false
    const known = this.#previous.get(shard) ?? new Set()
    this.#previous.set(shard, known.add(by))
    if (state !== undefined) this.#giveUp(shard, state, { _tag: "Moved", owner: by })
    return true
  }

  /** Calls back when nothing is run here any more, for who has all of it leave. */
  whenLeft(then: () => void): void {
    if (this.#states.size === 0) then()
    else this.#onLeft.push(then)
  }

  #claim(shard: number, waiting: ShardState["waiting"]): void {
    const { rights } = this.#options
    const open = (): void => {
      this.#previous.delete(shard)
      state.handover?.cancel()
      state.handover = undefined
      state.stopExpecting()
      state.phase = "open"
      this.#wake(state)
    }
    let isTaking = false
    const take = (): void => {
      isTaking = true
      rights.take(shard, () => {
        if (this.#states.get(shard) === state && state.phase === "claiming") open()
      })
    }
    const handover = new Handover(this.#options, shard, this.#previous.get(shard) ?? [], {
      onHolder: (owner) => this.#wake(state, { _tag: "Moved", owner }),
      // Who has let it go has given the right to run it back, whether it can say so or not.
      onSilence: () => {
        if (rights !== noRights && !isTaking) take()
      },
      then: () => {
        this.#previous.delete(shard)
        if (rights === noRights) {
          open()
          return
        }
        this.#expect(shard, state)
        take()
      }
    })
    const state: ShardState = { phase: "claiming", waiting, handover, stopExpecting: nothing }
    this.#states.set(shard, state)
    handover.begin()
  }

  /** It has gone elsewhere while it was waited for; nothing was begun here. */
  #giveUp(shard: number, state: ShardState, why?: NotEntered): void {
    state.handover?.cancel()
    state.stopExpecting()
    // Who has a message for it need not wait for the store.
    this.#wake(state, why)
    this.#giveBack(shard, state)
  }

  #leave(shard: number): void {
    const state = this.#states.get(shard)
    if (state === undefined) return
    state.phase = "leaving"
    this.#options.leave(shard, () => {
      this.#giveBack(shard, state)
      this.#departures.ended(shard)
    })
  }

  /** Until that is done the shard has not left. */
  #giveBack(shard: number, state: ShardState = blank()): void {
    state.phase = "leaving"
    state.handover = undefined
    this.#states.set(shard, state)
    this.#options.rights.give(shard, () => this.#gone(shard, state))
  }

  #gone(shard: number, state: ShardState): void {
    this.#states.delete(shard)
    this.#wake(state)
    if (this.#states.size > 0) return
    const left = this.#onLeft
    this.#onLeft = []
    for (const then of left) then()
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
    state.waiting = new Set()
    for (const then of waiting) then(why)
  }
}

const nothing = (): void => undefined

const blank = (): ShardState => ({
  ...{ phase: "claiming", waiting: new Set(), handover: undefined, stopExpecting: nothing }
})
