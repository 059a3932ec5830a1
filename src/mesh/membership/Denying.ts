/**
 * What this node says when it is accused itself. Pure; a part of MembershipBehaviour.ts.
 */
import type { PeerKey } from "../../model/Names.ts"
import { type Moment, noActions } from "../actor/Behaviour.ts"
import { awarenessDelta } from "./Awareness.ts"
import { type Denials, denialFor, denialTimes, owe } from "./Denial.ts"
import { type MembershipState, type Step, withAwareness } from "./MembershipState.ts"
import { memberOf } from "./MemberTable.ts"
import type { StatementDoor } from "./Statement.ts"

export const denying = (seal: StatementDoor["seal"]) => {
  /** Somebody accuses this node: by gossip, or to our face with a ping. */
  const accused = (
    state: MembershipState,
    by: PeerKey,
    incarnation: number,
    toOurFace: boolean,
    moment: Moment
  ): Step => {
    if (incarnation < state.incarnation) return [state, noActions]
    // We never said so in this life: there may be a denial of an earlier one.
    if (incarnation > state.incarnation) return askBack(state, by, state.self, moment)
    const denials = denialFor(state, state.denials, by, toOurFace, moment.now)
    if (denials !== undefined) return deny(state, denials)
    const owed = owe(state, state.denials, by, moment.now)
    return [owed === state.denials ? state : { ...state, denials: owed }, noActions]
  }

  const deny = (state: MembershipState, denials: Denials): Step => {
    const incarnation = state.incarnation + 1
    const denial = seal({ kind: "alive", incarnation })
    return [
      { ...withAwareness(state, awarenessDelta.accused), incarnation, denial, denials },
      [{ _tag: "Say", bytes: denial }]
    ]
  }

  /** What an accusation that is ahead of us rests on, if its author has anything to show. */
  const askBack = (
    state: MembershipState,
    by: PeerKey,
    subject: PeerKey,
    { now }: Moment
  ): Step => {
    if (now < state.denials.askAt || memberOf(state, by)?.state !== "alive") {
      return [state, noActions]
    }
    const denials = { ...state.denials, askAt: now + denialTimes.asking }
    return [{ ...state, denials }, [{ _tag: "PullEvidence", from: by, about: [subject] }]]
  }

  return { accused, askBack, deny }
}
