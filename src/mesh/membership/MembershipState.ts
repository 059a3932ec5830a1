/** Everything the membership actor remembers. */

import type { PeerKey } from "../../model/Names.ts"
import { noActions } from "../actor/Behaviour.ts"
import { applyDelta, scaled } from "./Awareness.ts"
import { type Denials, noDenials } from "./Denial.ts"
import type { MembershipAction } from "./MembershipMessages.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import { type MemberTable, makeMemberTable } from "./MemberTable.ts"
import type { ObserverRing } from "./ObserverRing.ts"

/** What we said against a subject, or were to say in our turn, while it has not answered us since. */
export interface Accused {
  /** Monotonic ms. */
  readonly at: number
  readonly incarnation: number
  /** Those before it that were refuted. */
  readonly refuted: number
}

export interface Probe {
  /** Monotonic ms. */
  readonly nextAt: number
  /** Monotonic ms of the last one's start. */
  readonly startedAt: number
  /** Id of the probe under way. */
  readonly flight: number | undefined
  /** Monotonic ms of our last accusation, while it stands. */
  readonly accusedAt: number | undefined
  /** Our last accusation, whether it stands or was refuted, until the subject answers us. */
  readonly accused: Accused | undefined
  /** Monotonic ms since when it has not answered, while it does not. */
  readonly silentSince: number | undefined
  /** Those who said that they reach it, while it does not answer here; see `helpersFor`. */
  readonly vouched: ReadonlyArray<PeerKey>
  /** Those who said that they do not reach it either, since anybody did or we accused it last. */
  readonly missedBy: ReadonlyArray<PeerKey>
  /** Times in a row that a ping of its own has put ours off. */
  readonly heard: number
  /** Not one of our subjects: probed this once. */
  readonly once: boolean
}

export interface MembershipState extends MemberTable {
  /** This node's own. */
  readonly incarnation: number
  /** Our signed denial at it. */
  readonly denial: Uint8Array | undefined
  readonly denials: Denials
  readonly awareness: number
  readonly probes: ReadonlyMap<PeerKey, Probe>
  /** The ring by which there are these probes. */
  readonly probedBy: ObserverRing | undefined
  readonly lastProbe: number
  /** Monotonic ms up to which this node counts as late: it accuses nobody. */
  readonly lateUntil: number
  /** Monotonic ms; undefined before the first. */
  readonly lastTick: number | undefined
  readonly retryAt: number
  readonly pullAt: number
  /** Monotonic ms of the last request for others' evidence of those in doubt. */
  readonly pulledAt: number
}

/** Monotonic ms of the tick that finds something to do; those before it change nothing. */
export const nextDue = ({
  denials,
  probedBy,
  probes,
  pullAt,
  retryAt,
  ring,
  suspects
}: MembershipState): number => {
  if (suspects.size > 0 || probedBy !== ring || denials.owed) return Number.NEGATIVE_INFINITY
  let due = Math.min(pullAt, retryAt)
  for (const { flight, nextAt } of probes.values()) {
    if (flight === undefined && nextAt < due) due = nextAt
  }
  return due
}

/**
 * Monotonic ms from when on ticks come while somebody is to answer a probe, so that we know whether it is we who are late:
 * the last before its time is up, and all behind it. Infinite: nobody is.
 */
export const watchedFrom = (
  { awareness, probes }: MembershipState,
  { tick, timeout }: Pick<MembershipOptions, "tick" | "timeout">
): number => {
  let from = Number.POSITIVE_INFINITY
  for (const { flight, startedAt } of probes.values()) {
    if (flight !== undefined && startedAt < from) from = startedAt
  }
  return from + scaled(awareness, timeout) - tick
}

export type Step = readonly [MembershipState, ReadonlyArray<MembershipAction>]

/** `nobody`: as in `makeMemberTable`. */
export const makeMembershipState = (self: PeerKey, nobody?: ObserverRing): MembershipState => ({
  ...makeMemberTable(self, nobody),
  incarnation: 0,
  denial: undefined,
  denials: noDenials,
  awareness: 0,
  probes: new Map(),
  probedBy: undefined,
  lastProbe: 0,
  lateUntil: Number.NEGATIVE_INFINITY,
  lastTick: undefined,
  retryAt: 0,
  pullAt: 0,
  pulledAt: Number.NEGATIVE_INFINITY
})

/** After a crash beliefs stay; probes under way were interrupted with the life. */
export const recoverMembership = (last: MembershipState): Step => [
  { ...last, probes: new Map(), probedBy: undefined, lastTick: undefined, moved: undefined },
  noActions
]

/** Doubts itself more, or less. */
export const withAwareness = (state: MembershipState, delta: number): MembershipState => {
  const awareness = applyDelta(state.awareness, delta)
  return awareness === state.awareness ? state : { ...state, awareness }
}

/** `undefined`: there is no probe of it. */
export const withProbe = (
  state: MembershipState,
  peer: PeerKey,
  probe: Probe | undefined
): MembershipState => {
  const probes = new Map(state.probes)
  if (probe === undefined) probes.delete(peer)
  else probes.set(peer, probe)
  return { ...state, probes }
}
