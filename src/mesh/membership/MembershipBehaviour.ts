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
import { applyDelta, awarenessDelta, lateDelta, lateFor, scaled } from "./Awareness.ts"
import { type Denials, denialFor, denialTimes, dueDenial, owe } from "./Denial.ts"
import { isAstray } from "./Incarnation.ts"
import { applyRecordChanges, applyRecords, type MemberRecord } from "./MemberRecords.ts"
import type { MembershipAction, MembershipMessage, Said } from "./MembershipMessages.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import type { MembershipState, Step } from "./MembershipState.ts"
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
import {
  accuseNow,
  helpersFor,
  isBeforeTurn,
  isFlight,
  isTooSoon,
  land,
  landUntilTurn,
  launch,
  putOff,
  sample,
  vouchedFor,
  withSubjects
} from "./Probing.ts"
import type { StatementDoor } from "./Statement.ts"
import { maxEvidence, minTimeout } from "./Suspicion.ts"

/** So late may be why answers did not come in time: half of a probe's patience (ms). */
const heldBack = 250

/** Time that passed unnoticed, beyond which it is not held against those we suspect (ms). */
const asleep = 1_000

export const membershipBehaviour = (
  options: MembershipOptions,
  seal: StatementDoor["seal"]
): Behaviour<MembershipState, MembershipMessage, MembershipAction> => {
  const withAwareness = (state: MembershipState, delta: number): MembershipState => {
    const awareness = applyDelta(state.awareness, delta)
    return awareness === state.awareness ? state : { ...state, awareness }
  }

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
    if (incarnation > state.incarnation) return askBack(state, by, moment)
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
  const askBack = (state: MembershipState, by: PeerKey, { now }: Moment): Step => {
    if (now < state.denials.askAt || memberOf(state, by)?.state !== "alive") {
      return [state, noActions]
    }
    const denials = { ...state.denials, askAt: now + denialTimes.asking }
    return [{ ...state, denials }, [{ _tag: "PullEvidence", from: by }]]
  }

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
    if (isAhead(state, statement)) return askBack(state, statement.by, moment)
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
    const tooSoon = again && isTooSoon(options, probe, member, now)
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
    const { peer, probe, reachedBy, answered } = message
    if (!isFlight(state, peer, probe)) return [state, noActions]
    const reached = reachedBy.length > 0
    // Reached by others and not by us, or nobody answers us: the fault may be ours.
    const doubtful = reached || answered === 0
    const next = doubtful ? withAwareness(state, awarenessDelta.probeUnanswered) : state
    if (!reached) return accuse(next, peer, moment)
    const landed = land(options, next, peer, next.probes.get(peer)?.accusedAt, moment)
    return [vouchedFor(landed, peer, reachedBy), noActions]
  }

  const tick = (state: MembershipState, dueAt: number | undefined, moment: Moment): Step => {
    const { now, wall, random } = moment
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
      if (probe.flight === undefined && probe.nextAt <= now)
        run(launch(options, next, peer, probe.once, now))
    }
    if (now >= next.retryAt) {
      next = { ...next, retryAt: now + options.retryDead * (0.5 + random()) }
      const [peer] = sample(Array.from(next.dead), 1, random)
      if (peer !== undefined) run(launch(options, next, peer, true, now))
    }
    if (now >= next.pullAt || isInDoubt(next, now)) run(pull(next, moment))
    return [next, actions]
  }

  /**
   * Does this node suspect somebody for longer than a denial takes to come by gossip? It may be the one
   * that gossip left out, and would bury a member that everybody else knows to live: others are asked
   * before the suspicion's time is up, and again as long as it lasts.
   */
  const isInDoubt = (state: MembershipState, now: number): boolean => {
    const before = now - minTimeout(options.suspicion, state.ring.size) / 2
    if (state.pulledAt > before) return false
    // The first of them has been suspected for longest.
    const oldest = state.suspects.first
    const suspicion = oldest === undefined ? undefined : memberOf(state, oldest)?.suspicion
    return suspicion !== undefined && suspicion.startedAt <= before
  }

  const pull = (state: MembershipState, { now, random }: Moment): Step => {
    const pullAt = now + options.pull * (0.8 + 0.4 * random())
    const able = state.ring
      .subjectsOf(state.self)
      .filter((peer) => memberOf(state, peer)?.state === "alive")
    const [from] = sample(able, 1, random)
    const next = { ...state, pullAt, pulledAt: now }
    return [next, from === undefined ? noActions : [{ _tag: "PullEvidence", from }]]
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
        // Somebody else is asked soon: to a newcomer this matters.
        return [{ ...state, pullAt: moment.now + options.interval }, noActions]
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
