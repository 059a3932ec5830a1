/**
 * Membership as an actor: watches its subjects, weighs what others say, denies what is said
 * wrongly of itself. Pure; signing is handed in as a function, which Ed25519 is.
 *
 * A probe goes: ping the subject; no answer: ask up to three others to ping it, unless it is accused
 * already; none of them reaches it, nor its answer has come after all: accuse it, to everybody; later each
 * time that it was refuted. A subject under accusation is told so with every further ping and answers with
 * its signed denial, which whoever pinged passes on: one observer that reaches it is enough to clear it, even
 * when it hears no gossip. A ping of the subject itself puts the next one off: it is there.
 */
import type { PeerKey } from "../../model/Names.ts"
import { type Behaviour, type Moment, noActions } from "../actor/Behaviour.ts"
import { accusing } from "./Accusing.ts"
import { awarenessDelta, lateDelta, lateFor } from "./Awareness.ts"
import { dueDenial } from "./Denial.ts"
import { denying } from "./Denying.ts"
import { asking } from "./EvidenceQuestion.ts"
import { isAstray } from "./Incarnation.ts"
import { applyRecordChanges, applyRecords, type MemberRecord } from "./MemberRecords.ts"
import type { MembershipAction, MembershipMessage, Said } from "./MembershipMessages.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import { type MembershipState, type Step, withAwareness } from "./MembershipState.ts"
import {
  applyAlive,
  applySuspect,
  applyTime,
  isAhead,
  type MemberTable,
  memberOf,
  postpone
} from "./MemberTable.ts"
import { isNews } from "./News.ts"
import { sample } from "./ProbeHelpers.ts"
import { isFlight, land, launch, putOff, withSubjects } from "./Probing.ts"
import type { StatementDoor } from "./Statement.ts"

/** So late may be why answers did not come in time: half of a probe's patience (ms). */
const heldBack = 250

/** Time that passed unnoticed, beyond which it is not held against those we suspect (ms). */
const asleep = 1_000

export const membershipBehaviour = (
  options: MembershipOptions,
  seal: StatementDoor["seal"]
): Behaviour<MembershipState, MembershipMessage, MembershipAction> => {
  const { accused, askBack, deny } = denying(seal)
  const { helped, silent } = accusing(options, seal)
  const { inDoubt, noEvidence, pull, pullAbout } = asking(options)

  const heard = (
    state: MembershipState,
    { bytes, statement }: Said,
    asked: boolean,
    moment: Moment
  ): Step => {
    const { now, wall } = moment
    const { subject, incarnation } = statement
    if (subject === state.self) {
      if (statement.kind === "suspect") {
        return accused(state, statement.by, incarnation, false, moment)
      }
      // Our own word from an earlier life, of which we lost count: it goes on from there.
      return incarnation > state.incarnation
        ? [{ ...state, incarnation, denial: bytes }, noActions]
        : [state, noActions]
    }
    if (statement.kind === "alive") {
      const next = applyAlive(state, subject, incarnation, bytes, now, wall)
      // By gossip it is no news here any more and goes no further: whoever hears all through this node would
      // never hear it.
      const isCleared = asked && next !== state && state.suspects.has(subject)
      return [next, isCleared ? [{ _tag: "Say", bytes }] : noActions]
    }
    if (isAhead(state, statement)) return askBack(state, statement.by, subject, moment)
    const next = applySuspect(state, { ...statement, bytes }, options.suspicion, now, wall)
    if (next === state) return [state, noActions]
    const probe = next.probes.get(statement.subject)
    // One of our own subjects: look now, to agree or to clear it. Not faster than we can, though:
    // a member that hears gossip and answers no pings would be accused and deny in a tight loop.
    // Who agrees one by one we have looked at already.
    const isFirst = !state.suspects.has(subject)
    return isFirst && probe !== undefined && now - probe.startedAt >= options.interval / 2
      ? launch(options, next, statement.subject, false, now)
      : [next, noActions]
  }

  /** Each is judged by what those before it changed: an accusation may rest on a denial that came with it. */
  const evidence = (state: MembershipState, said: ReadonlyArray<Said>, moment: Moment): Step => {
    let next = state
    const actions: Array<MembershipAction> = []
    for (const one of said) {
      if (!isNews(next, one.statement, one.bytes, options, moment)) continue
      const [heeded, more] = heard(next, one, true, moment)
      next = heeded
      actions.push(...more)
    }
    return [next, actions]
  }

  /** It comes after its ping's time; a member's word is its word. */
  const late = (state: MembershipState, peer: PeerKey, denial: Said, moment: Moment): Step => {
    const before = memberOf(state, peer)?.state
    const [next, actions] = heard(state, denial, true, moment)
    const isBack = before === "dead" && memberOf(next, peer)?.state === "alive"
    return isBack
      ? [{ ...next, retryAt: moment.now }, [{ _tag: "Say", bytes: denial.bytes }]]
      : [next, actions]
  }

  const answered = (
    state: MembershipState,
    message: Extract<MembershipMessage, { readonly _tag: "Answered" }>,
    moment: Moment
  ): Step => {
    const { peer, incarnation, denial } = message
    if (!isFlight(state, peer, message.probe)) {
      return denial?.statement.subject === peer
        ? late(state, peer, denial, moment)
        : [state, noActions]
    }
    const member = memberOf(state, peer)
    const landed = land(
      options,
      withAwareness(state, awarenessDelta.probeAnswered),
      peer,
      undefined,
      moment,
      true
    )
    const signed = denial?.statement.subject === peer ? denial : undefined
    const table = applyAlive(
      landed,
      peer,
      Math.max(incarnation, signed?.statement.incarnation ?? 0),
      signed?.bytes,
      moment.now,
      moment.wall
    )
    if (table === landed) return [landed, noActions]
    // One of the dead is there: a network has healed, or a host woke up, and others will be there, too.
    const isBack = member?.state === "dead" && memberOf(table, peer)?.state === "alive"
    const retryAt = isBack ? moment.now : landed.retryAt
    return [
      retryAt === table.retryAt ? table : { ...table, retryAt },
      signed === undefined ? noActions : [{ _tag: "Say", bytes: signed.bytes }]
    ]
  }

  const tick = (state: MembershipState, dueAt: number | undefined, moment: Moment): Step => {
    const { now, wall, random } = moment
    // Whoever is to agree with an accuser does so in its turn.
    const soon = state.suspects.size === 0 ? now + options.early : now
    const late = now - (dueAt ?? (state.lastTick ?? now - options.tick) + options.tick)
    const delta = lateDelta(late)
    const lateUntil =
      late < heldBack ? state.lateUntil : Math.max(state.lateUntil, now + lateFor(late))
    let next: MembershipState = { ...withAwareness(state, delta), lateUntil, lastTick: now }
    if (late >= asleep) next = postpone(next, late)
    const judged = applyTime(next, options.suspicion, now, wall)
    const actions: Array<MembershipAction> = []
    if (judged.dead !== next.dead) {
      for (const peer of judged.dead) {
        if (!next.dead.has(peer)) actions.push({ _tag: "GiveUp", peer })
      }
    }
    next = withSubjects(options, judged, moment)
    const run = ([state, more]: Step) => {
      next = state
      actions.push(...more)
    }
    const denials = dueDenial(next.denials, now)
    if (denials !== undefined) run(deny(next, denials))
    for (const [peer, probe] of next.probes) {
      if (probe.flight === undefined && probe.nextAt <= soon)
        run(launch(options, next, peer, probe.once, now))
    }
    if (soon >= next.retryAt) {
      next = { ...next, retryAt: now + options.retryDead * (0.5 + random()) }
      const [peer] = sample(Array.from(next.dead), 1, random)
      if (peer !== undefined) run(launch(options, next, peer, true, now))
    }
    if (soon >= next.pullAt) run(pull(next, moment))
    const doubtful = inDoubt(next, now)
    if (doubtful.length > 0) run(pullAbout(next, doubtful, moment))
    return [next, actions]
  }

  /** `epoch`: of our own record; undefined: it is as it was. */
  const withRecords = (
    state: MembershipState,
    table: MemberTable,
    epoch: number | undefined,
    moment: Moment
  ): Step => {
    const { wall } = moment
    const said = epoch ?? state.incarnation
    // Our clock was ahead and is right again: what we said of ourselves by it nobody believes.
    const outdated = isAstray(state.incarnation, wall) && !isAstray(said, wall)
    const incarnation = outdated ? said : Math.max(state.incarnation, said)
    const denial = incarnation === state.incarnation ? state.denial : undefined
    const first = state.members.size === 0 && table.members.size > 0
    const next = withSubjects(options, { ...state, ...table, incarnation, denial }, moment)
    // A newcomer knows who has a record, but not who of them is dead.
    return first ? pull(next, moment) : [next, noActions]
  }

  const step = (state: MembershipState, message: MembershipMessage, moment: Moment): Step => {
    const epochIn = (records: ReadonlyArray<MemberRecord>) =>
      records.find(({ peer }) => peer === state.self)?.epoch
    switch (message._tag) {
      case "Records": {
        const { records } = message
        const table = applyRecords(state, records, moment.wall)
        return withRecords(state, table, epochIn(records) ?? 0, moment)
      }
      case "RecordsChanged": {
        const { gone, records } = message
        const table = applyRecordChanges(state, records, gone, moment.wall)
        const epoch = epochIn(records) ?? (gone.includes(state.self) ? 0 : undefined)
        return withRecords(state, table, epoch, moment)
      }
      case "Heard":
        return heard(state, message, false, moment)
      case "Evidence":
        return evidence(state, message.said, moment)
      case "Answered":
        return answered(state, message, moment)
      case "Unanswered":
        return isFlight(state, message.peer, message.probe)
          ? silent(state, message.peer, moment)
          : [state, noActions]
      case "Helped":
        return helped(state, message, moment)
      case "LinkDown":
        return memberOf(state, message.peer)?.state === "dead"
          ? [state, noActions]
          : launch(options, state, message.peer, true, moment.now)
      case "LinkUp": {
        const member = memberOf(state, message.peer)
        return member === undefined || member.state === "alive"
          ? [state, noActions]
          : launch(options, state, message.peer, true, moment.now)
      }
      case "NoEvidence":
        return [noEvidence(state, message.about, moment), noActions]
      case "Pinged":
        return [putOff(options, state, message.peer, moment), noActions]
      case "Accused": {
        const { by, incarnation } = message
        const [next, actions] = accused(state, by, incarnation, true, moment)
        const answer = { incarnation: next.incarnation, alive: next.denial }
        return [next, [...actions, { _tag: "Reply", reply: () => message.reply(answer) }]]
      }
      case "Tick":
        return tick(state, message.dueAt, moment)
    }
  }
  return (state, message, moment) =>
    step(state.moved === undefined ? state : { ...state, moved: undefined }, message, moment)
}
