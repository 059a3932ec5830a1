/**
 * Whom this node is looking at, and when it looks again. Pure; each probe has an id, so that an
 * answer that comes after its time is not taken for that to a later one.
 */

import type { PeerKey } from "../../model/Names.ts"
import { type Moment, noActions } from "../actor/Behaviour.ts"
import { scaled } from "./Awareness.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import { type MembershipState, type Probe, type Step, withProbe } from "./MembershipState.ts"
import { type Member, memberOf } from "./MemberTable.ts"
import { observersPerNode } from "./ObserverRing.ts"
import { isUnseen } from "./ProbeHelpers.ts"
import { lastRefuted, minTimeout } from "./Suspicion.ts"

const newProbe: Probe = {
  nextAt: 0,
  startedAt: Number.NEGATIVE_INFINITY,
  flight: undefined,
  accusedAt: undefined,
  accused: undefined,
  silentSince: undefined,
  vouched: [],
  missedBy: [],
  heard: 0,
  once: false
}

/**
 * Watching is mutual, so whoever is pinged by its subject need not ping it in that interval: one
 * question and one answer tell both. Not more often than so many times in a row, for a member that
 * asks and does not answer.
 */
const mostHeard = 4

/** A ping to this peer now, unless one is under way. */
export const launch = (
  options: MembershipOptions,
  state: MembershipState,
  peer: PeerKey,
  once: boolean,
  now: number
): Step => {
  const member = memberOf(state, peer)
  const current = state.probes.get(peer)
  if (member === undefined || member.state === "left" || current?.flight !== undefined) {
    return [state, noActions]
  }
  const probe = state.lastProbe + 1
  const accused = member.state === "alive" ? undefined : member.incarnation
  const next: Probe = {
    nextAt: 0,
    startedAt: now,
    flight: probe,
    accusedAt: current?.accusedAt,
    accused: current?.accused,
    silentSince: current?.silentSince,
    vouched: current?.vouched ?? [],
    missedBy: current?.missedBy ?? [],
    heard: 0,
    once: current?.once ?? once
  }
  const timeout = scaled(state.awareness, options.timeout)
  return [
    { ...withProbe(state, peer, next), lastProbe: probe },
    [{ _tag: "Ping", peer, probe, timeout, accused }]
  ]
}

/**
 * Milliseconds from one probe of a subject to the next: the more observe it, the seldomer each of them looks,
 * so that it is pinged three times in an interval, however many they are.
 */
const intervalOf = (options: MembershipOptions, { awareness, ring }: MembershipState): number => {
  const observers = Math.min(observersPerNode, ring.size - 1)
  return scaled(awareness, options.interval) * Math.max(1, observers / pingsPerInterval)
}

/** That a member gets of all its observers together, if there are so many. */
const pingsPerInterval = 3

/** Moments that are looked at for the next probe. */
const choices = 5

/**
 * When this subject is probed next: an interval from now, which a doubtful node makes longer, ± 10 %,
 * as far as can be from the probes of and by others. Each pair of nodes does so at both ends; after a few
 * rounds the eight observers of one member ping it one after the other, at even distances, and its end
 * is found out in a quarter of the time that chance would take at worst.
 */
const nextTime = (
  options: MembershipOptions,
  state: MembershipState,
  peer: PeerKey,
  { now, random }: Moment
): number => {
  const interval = intervalOf(options, state)
  const first = now + interval * (0.9 + (0.2 / choices) * random())
  const taken: Array<number> = []
  state.probes.forEach(({ flight, nextAt, once, startedAt }, other) => {
    if (other !== peer && !once) taken.push(flight === undefined ? nextAt : startedAt)
  })
  let best = first
  let most = -1
  for (let choice = 0; choice < choices; choice++) {
    const at = first + (0.2 / choices) * choice * interval
    let least = interval
    for (const time of taken) {
      const apart = Math.abs(time - at) % interval
      least = Math.min(least, apart, interval - apart)
    }
    if (least > most) {
      most = least
      best = at
    }
  }
  return best
}

/** The flight is over; a subject is probed again after the interval. `answered`: by the subject itself. */
export const land = (
  options: MembershipOptions,
  state: MembershipState,
  peer: PeerKey,
  accusedAt: number | undefined,
  moment: Moment,
  answered = false
): MembershipState => {
  const probe = state.probes.get(peer)
  if (probe === undefined || probe.once) return withProbe(state, peer, undefined)
  return withProbe(state, peer, {
    ...probe,
    nextAt: nextTime(options, state, peer, moment),
    flight: undefined,
    silentSince: answered ? undefined : (probe.silentSince ?? probe.startedAt),
    accused: answered ? undefined : probe.accused,
    vouched: answered ? [] : probe.vouched,
    missedBy: answered ? [] : probe.missedBy,
    accusedAt
  })
}

/** Our accusation is said, and the flight over. */
export const accuseNow = (
  options: MembershipOptions,
  state: MembershipState,
  peer: PeerKey,
  incarnation: number,
  moment: Moment
): MembershipState => {
  const landed = land(options, state, peer, moment.now, moment)
  const probe = landed.probes.get(peer)
  if (probe === undefined) return landed
  const accused = { at: moment.now, incarnation, refuted: timesRefuted(probe, incarnation) }
  return withProbe(landed, peer, { ...probe, accused, missedBy: [] })
}

/** How often the subject, now at this incarnation, has refuted us without having answered us since. */
const timesRefuted = ({ accused }: Probe, incarnation: number): number =>
  accused === undefined ? 0 : accused.refuted + (incarnation > accused.incarnation ? 1 : 0)

/**
 * Is it too soon to begin with it once more? There are ways to the subject that we do not have, as between two
 * halves of a mesh that only one member reaches both of: to say so every second has everybody told, and
 * its denial, for as long as that lasts. Each time that we were refuted we wait twice as long, since anybody was.
 * Not so long where nobody who watches it has a way to it: its own word is all that it is known to live by.
 */
export const isTooSoon = (
  options: MembershipOptions,
  state: MembershipState,
  probe: Probe,
  { incarnation, peer, refuted }: Member,
  now: number
): boolean => {
  const times = timesRefuted(probe, incarnation)
  if (probe.accused === undefined || times === 0) return false
  const since = Math.max(probe.accused.at, lastRefuted(refuted))
  const longest = isUnseen(state, peer, probe) ? options.longestUnseen : options.longestRepeat
  return now - since < Math.min(longest, options.repeat * 2 ** times)
}

/**
 * When those agree who did not begin it, as shares of a suspicion's least time: not before the first, each at
 * a moment of chance up to the second. That is soon enough for the least time to be kept, and whoever only
 * stood still has mostly denied by then, so that two accusations less are told to everybody.
 */
const turns = { from: 0.25, to: 0.55 } as const

/** Does somebody else hold something against it, and is it too soon to agree? */
export const isBeforeTurn = (
  options: MembershipOptions,
  { ring }: MembershipState,
  { state, suspicion }: Member,
  now: number
): boolean =>
  state === "suspect" &&
  suspicion !== undefined &&
  now < suspicion.startedAt + turns.from * minTimeout(options.suspicion, ring.size)

/**
 * The flight is over, and the next one fails when it is our turn to agree. What it denies before then it denies
 * to us, too (`isTooSoon`).
 */
export const landUntilTurn = (
  options: MembershipOptions,
  state: MembershipState,
  peer: PeerKey,
  { incarnation, suspicion }: Member,
  moment: Moment
): MembershipState => {
  const accusedAt = state.probes.get(peer)?.accusedAt
  const landed = land(options, state, peer, accusedAt, moment)
  const probe = landed.probes.get(peer)
  if (probe === undefined || suspicion === undefined) return landed
  const accused = { at: moment.now, incarnation, refuted: timesRefuted(probe, incarnation) }
  const share = turns.from + (turns.to - turns.from) * moment.random()
  const turn = suspicion.startedAt + share * minTimeout(options.suspicion, state.ring.size)
  const nextAt = Math.max(moment.now, turn - scaled(state.awareness, options.timeout))
  return withProbe(landed, peer, { ...probe, accused, nextAt })
}

/** The subject has pinged us: it is there, and we look after it an interval from now. */
export const putOff = (
  options: MembershipOptions,
  state: MembershipState,
  peer: PeerKey,
  moment: Moment
): MembershipState => {
  const probe = state.probes.get(peer)
  if (probe === undefined || probe.once || probe.flight !== undefined) return state
  if (probe.heard >= mostHeard || memberOf(state, peer)?.state !== "alive") return state
  const nextAt = nextTime(options, state, peer, moment)
  if (nextAt <= probe.nextAt) return state
  return withProbe(state, peer, { ...probe, nextAt, heard: probe.heard + 1 })
}

export const isFlight = (state: MembershipState, peer: PeerKey, probe: number): boolean =>
  state.probes.get(peer)?.flight === probe

/** Each subject has a probe, and nobody else but those in flight. */
export const withSubjects = (
  options: MembershipOptions,
  state: MembershipState,
  { now, random }: Moment
): MembershipState => {
  // Probes of subjects stay until the ring changes.
  if (state.probedBy === state.ring) return state
  const subjects = new Set(state.ring.subjectsOf(state.self))
  // Whom we accused we go on looking at, also when others have become its observers.
  for (const peer of state.suspects) {
    if (!state.probes.has(peer)) continue
    if (memberOf(state, peer)?.suspicion?.accusers.has(state.self)) subjects.add(peer)
  }
  let probes: Map<PeerKey, Probe> | undefined
  for (const [peer, probe] of state.probes) {
    if (subjects.has(peer) === !probe.once) continue
    probes ??= new Map(state.probes)
    if (probe.flight !== undefined) probes.set(peer, { ...probe, once: !probe.once })
    else probes.delete(peer)
  }
  for (const peer of subjects) {
    if (state.probes.has(peer)) continue
    probes ??= new Map(state.probes)
    // Spread over the interval, so that pings do not come in volleys.
    const nextAt = now + random() * intervalOf(options, state)
    probes.set(peer, { ...newProbe, nextAt })
  }
  return { ...state, probes: probes ?? state.probes, probedBy: state.ring }
}
