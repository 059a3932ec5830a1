/**
 * Whether others may have taken this node for dead for so long that they forgot it, as they do with an ephemeral
 * one: it stood still itself, or somebody whom it took for dead is there again. Pure.
 */
import type { MemberView } from "../mesh/membership/MemberView.ts"
import type { PeerKey } from "../model/Names.ts"

/** Nobody is forgotten who was away for less, ms: that long it has to be dead alone. */
const forgottenAfter = 30_000

/** Who asks looks about as often, ms: nothing is put off for less. */
const look = 5_000

/**
 * Milliseconds for each member over which all put it off that see the same one come back, so that a mesh of any size
 * hears of four a second, and no longer than a minute.
 */
const each = 250
const longest = 60_000

/** Nor is it over again sooner after the last time, whoever comes and goes, ms. */
const between = 60_000

export class OwnAbsence {
  #dead: ReadonlySet<PeerKey> = new Set()
  #lookedAt: number | undefined
  #overAt: number | undefined
  /** When it was found that it will be over, and when that is. */
  #due: { readonly from: number; readonly at: number } | undefined

  /**
   * Was there one since the last look? `wall`: which goes on while a host sleeps; `random` of [0, 1). Somebody who is
   * back is seen by all others at once, and may come and go: so that is put off, and is so once a minute at most.
   */
  isOver(
    members: ReadonlyArray<Pick<MemberView, "peer" | "state">>,
    wall: number,
    random: number
  ): boolean {
    const stood = this.#lookedAt !== undefined && wall - this.#lookedAt >= forgottenAfter
    const isBack = members.some(({ peer, state }) => state === "alive" && this.#dead.has(peer))
    this.#lookedAt = wall
    this.#dead = new Set(members.flatMap(({ peer, state }) => (state === "dead" ? [peer] : [])))
    if (isBack) this.#due ??= { from: wall, at: this.#next(members.length, wall, random) }
    if (!stood && !this.#isDue(wall)) return false
    this.#due = undefined
    this.#overAt = wall
    return true
  }

  #next(members: number, wall: number, random: number): number {
    const delay = random * Math.min(longest, members * each)
    const spread = delay < look ? wall : wall + delay
    // Not where the clock was set back since.
    const last = this.#overAt
    return last === undefined || last > wall ? spread : Math.max(spread, last + between)
  }

  #isDue(wall: number): boolean {
    return this.#due !== undefined && (wall >= this.#due.at || wall < this.#due.from)
  }
}
