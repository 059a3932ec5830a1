/**
 * Whether others may have taken this node for dead for so long that they forgot it, as they do with an ephemeral
 * one: it stood still itself, or somebody whom it took for dead is there again. Pure.
 */
import type { MemberView } from "../mesh/membership/MemberView.ts"
import type { PeerKey } from "../model/Names.ts"

/** Nobody is forgotten who was away for less, ms: that long it has to be dead alone. */
const forgottenAfter = 30_000

export class OwnAbsence {
  #dead: ReadonlySet<PeerKey> = new Set()
  #lookedAt: number | undefined

  /** Was there one since the last look? `wall`: which goes on while a host sleeps. */
  isOver(members: ReadonlyArray<Pick<MemberView, "peer" | "state">>, wall: number): boolean {
    const stood = this.#lookedAt !== undefined && wall - this.#lookedAt >= forgottenAfter
    const isBack = members.some(({ peer, state }) => state === "alive" && this.#dead.has(peer))
    this.#lookedAt = wall
    this.#dead = new Set(members.flatMap(({ peer, state }) => (state === "dead" ? [peer] : [])))
    return stood || isBack
  }
}
