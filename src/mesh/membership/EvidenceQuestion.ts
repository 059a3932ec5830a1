/**
 * What this node asks another one of what was said, by accusers and accused, because it may have missed it. Pure;
 * a part of MembershipBehaviour.ts.
 */
import type { PeerKey } from "../../model/Names.ts"
import { type Moment, noActions } from "../actor/Behaviour.ts"
import { evidenceLimits } from "./EvidenceAnswer.ts"
import type { MembershipAction } from "./MembershipMessages.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import type { MembershipState, Step } from "./MembershipState.ts"
import { memberOf } from "./MemberTable.ts"
import { sample } from "./ProbeHelpers.ts"
import { minTimeout } from "./Suspicion.ts"

export const asking = (options: MembershipOptions) => {
  /** For so long a denial may take to come by gossip, ms. */
  const denialTime = ({ ring }: MembershipState): number =>
    minTimeout(options.suspicion, ring.size) / 2

  /**
   * Whom this node suspects for longer than a denial takes to come by gossip. It may be the one that gossip
   * left out, and would bury a member that everybody else knows to live: others are asked about them
   * before the suspicion's time is up, and again as long as it lasts.
   */
  const inDoubt = (state: MembershipState, now: number): ReadonlyArray<PeerKey> => {
    const before = now - denialTime(state)
    const isDoubtful = (peer: PeerKey | undefined): boolean => {
      const suspicion = peer === undefined ? undefined : memberOf(state, peer)?.suspicion
      return suspicion !== undefined && suspicion.startedAt <= before
    }
    // Asked at every tick: the first of them has been suspected for longest.
    if (state.pulledAt > before || !isDoubtful(state.suspects.first)) return []
    return Array.from(state.suspects).filter(isDoubtful)
  }

  /** Of all, now and then, and where nobody was known before. */
  const pull = (state: MembershipState, { now, random }: Moment): Step => {
    const pullAt = now + options.pull * (0.8 + 0.4 * random())
    return [{ ...state, pullAt }, pullFrom(state, [], random)]
  }

  /** Of more than a question can name, others each time. */
  const pullAbout = (
    state: MembershipState,
    peers: ReadonlyArray<PeerKey>,
    { now, random }: Moment
  ): Step => {
    const { subjects } = evidenceLimits
    const about = peers.length > subjects ? sample(peers, subjects, random) : peers
    return [{ ...state, pulledAt: now }, pullFrom(state, about, random)]
  }

  const pullFrom = (
    state: MembershipState,
    about: ReadonlyArray<PeerKey>,
    random: Moment["random"]
  ): ReadonlyArray<MembershipAction> => {
    const able = state.ring
      .subjectsOf(state.self)
      .filter((peer) => memberOf(state, peer)?.state === "alive")
    const [from] = sample(able, 1, random)
    return from === undefined ? noActions : [{ _tag: "PullEvidence", from, about }]
  }

  /** Somebody else is asked soon: to a newcomer, and about who is to be buried, this matters. */
  const noEvidence = (
    state: MembershipState,
    about: ReadonlyArray<PeerKey>,
    { now }: Moment
  ): MembershipState =>
    about.length === 0
      ? { ...state, pullAt: now + options.interval }
      : { ...state, pulledAt: now + options.interval - denialTime(state) }

  return { inDoubt, noEvidence, pull, pullAbout }
}
