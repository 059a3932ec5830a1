/**
 * What comes of a probe that was not answered: others are asked, or the subject is accused. Pure; a part of
 * MembershipBehaviour.ts.
 */
import type { PeerKey } from "../../model/Names.ts"
import { type Moment, noActions } from "../actor/Behaviour.ts"
import { awarenessDelta, scaled } from "./Awareness.ts"
import type { MembershipMessage } from "./MembershipMessages.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import { type MembershipState, type Step, withAwareness } from "./MembershipState.ts"
import { applySuspect, memberOf } from "./MemberTable.ts"
import { helpersFor, missedToo, vouchedFor } from "./ProbeHelpers.ts"
import { accuseNow, isBeforeTurn, isFlight, isTooSoon, land, landUntilTurn } from "./Probing.ts"
import type { StatementDoor } from "./Statement.ts"
import { maxEvidence } from "./Suspicion.ts"

export const accusing = (options: MembershipOptions, seal: StatementDoor["seal"]) => {
  /** One that has been silent for long may be there on another connection. */
  const silent = (state: MembershipState, peer: PeerKey, moment: Moment): Step => {
    const [next, actions] = unanswered(state, peer, moment)
    const probe = next.probes.get(peer)
    const since = probe?.silentSince
    const patience = scaled(next.awareness, options.giveUp)
    if (probe === undefined || since === undefined) return [next, actions]
    if (moment.now < next.lateUntil || moment.now - since < patience) return [next, actions]
    const probes = new Map(next.probes).set(peer, { ...probe, silentSince: moment.now })
    return [{ ...next, probes }, [...actions, { _tag: "GiveUp", peer }]]
  }

  const unanswered = (state: MembershipState, peer: PeerKey, moment: Moment): Step => {
    const member = memberOf(state, peer)
    const probe = state.probes.get(peer)
    if (probe?.flight === undefined) return [state, noActions]
    // Of a dead one nothing more is to be found out, and only who watches somebody accuses.
    const closed = member === undefined || member.state === "dead" || member.state === "left"
    // While we are late we accuse nobody, and asking others would make them and us later.
    const late = moment.now < state.lateUntil
    if (closed || probe.once || late) {
      const said = closed ? undefined : probe.accusedAt
      return [land(options, state, peer, said, moment), noActions]
    }
    // Whoever began it has asked others: to agree it takes our own eyes.
    if (member.state === "suspect") return accuse(state, peer, moment)
    const helpers = helpersFor(options, state, peer, moment.random)
    if (helpers.length === 0) return accuse(state, peer, moment)
    // A helper needs the time of a probe, and the question its way there and back.
    const timeout = 2 * scaled(state.awareness, options.timeout)
    return [state, [{ _tag: "AskHelpers", peer, probe: probe.flight, helpers, timeout }]]
  }

  const accuse = (state: MembershipState, peer: PeerKey, moment: Moment): Step => {
    const { now } = moment
    const member = memberOf(state, peer)
    const probe = state.probes.get(peer)
    const said = probe?.accusedAt
    const open = member?.state === "alive" || member?.state === "suspect"
    const accusers = member?.suspicion?.accusers
    const mine = accusers?.has(state.self) === true
    // Its silence may be our own lateness.
    if (now < state.lateUntil) return [land(options, state, peer, said, moment), noActions]
    const started = member?.suspicion?.startedAt ?? now
    // Enough have said it; those who did repeat it, for whom gossip did not reach.
    const quiet = mine
      ? said !== undefined && now - said < Math.max(options.repeat, (said - started) / 4)
      : (accusers?.size ?? 0) >= maxEvidence
    // Where somebody else has begun, we say what we see.
    const again = member?.state === "alive" && probe !== undefined
    const tooSoon = again && isTooSoon(options, state, probe, member, now)
    // Whom somebody else accuses we accuse in our turn, unless it denies before.
    if (open && !mine && !quiet && isBeforeTurn(options, state, member, now)) {
      return [landUntilTurn(options, state, peer, member, moment), noActions]
    }
    // Meanwhile somebody else may have become its observer.
    if (!open || quiet || tooSoon || probe?.once === true)
      return [land(options, state, peer, said, moment), noActions]
    const { incarnation } = member
    const repeat = Math.max(0, Math.floor(now - started))
    const bytes = seal({ kind: "suspect", subject: peer, incarnation, repeat })
    const landed = accuseNow(options, state, peer, incarnation, moment)
    const accusation = { subject: peer, incarnation, by: state.self, bytes }
    const next = applySuspect(landed, accusation, options.suspicion, now, moment.wall)
    return [next, [{ _tag: "Say", bytes }]]
  }

  const helped = (
    state: MembershipState,
    message: Extract<MembershipMessage, { readonly _tag: "Helped" }>,
    moment: Moment
  ): Step => {
    const { peer, probe, reachedBy, missedBy } = message
    if (!isFlight(state, peer, probe)) return [state, noActions]
    const reached = reachedBy.length > 0
    // Reached by others and not by us, or nobody answers us: the fault may be ours.
    const doubtful = reached || missedBy.length === 0
    const next = doubtful ? withAwareness(state, awarenessDelta.probeUnanswered) : state
    if (!reached) return accuse(missedToo(next, peer, missedBy), peer, moment)
    const landed = land(options, next, peer, next.probes.get(peer)?.accusedAt, moment)
    return [vouchedFor(landed, peer, reachedBy), noActions]
  }

  return { helped, silent }
}
