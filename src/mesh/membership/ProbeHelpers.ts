/**
 * Other observers, who are asked whether they reach a subject that does not answer this node, and what they
 * said. Pure.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import { type MembershipState, type Probe, withProbe } from "./MembershipState.ts"
import { memberOf } from "./MemberTable.ts"

/** `count` of them at random, or all. */
export const sample = <A>(
  items: ReadonlyArray<A>,
  count: number,
  random: () => number
): Array<A> => {
  const pool = [...items]
  const chosen: Array<A> = []
  while (chosen.length < count && pool.length > 0) {
    chosen.push(...pool.splice(Math.floor(random() * pool.length), 1))
  }
  return chosen
}

/** Who else watches it and is there. */
const otherObservers = (state: MembershipState, peer: PeerKey): ReadonlyArray<PeerKey> =>
  state.ring
    .observersOf(peer)
    .filter((other) => other !== state.self && memberOf(state, other)?.state === "alive")

/**
 * Who is asked whether it reaches a subject that did not answer us: some of its other observers, who have a
 * connection to it. Those first to whom this node has one, too, being the observers of both, since any other
 * means a handshake for one question. Who said so before is not asked again while there are others, three if there are so many:
 * one word that it is reached is enough not to accuse it, and whoever lies would keep a dead one alive here.
 */
export const helpersFor = (
  options: MembershipOptions,
  state: MembershipState,
  peer: PeerKey,
  random: () => number
): ReadonlyArray<PeerKey> => {
  const { probes, ring, self } = state
  const able = otherObservers(state, peer)
  const vouched = probes.get(peer)?.vouched ?? []
  const others = able.filter((other) => !vouched.includes(other))
  const least = able.length > options.helpers ? options.helpers : 1
  const asked = others.length < least ? able : others
  const own = new Set(ring.subjectsOf(self))
  const near = sample(
    asked.filter((other) => own.has(other)),
    options.helpers - 1,
    random
  )
  const rest = asked.filter((other) => !near.includes(other))
  return [...near, ...sample(rest, options.helpers - near.length, random)]
}

/** These say that they reach it, as those did before; one that had said so is asked once there is nobody else. */
export const vouchedFor = (
  state: MembershipState,
  peer: PeerKey,
  by: ReadonlyArray<PeerKey>
): MembershipState => {
  const probe = state.probes.get(peer)
  if (probe === undefined) return state
  const again = by.some((one) => probe.vouched.includes(one))
  const vouched = again ? by : [...probe.vouched, ...by]
  return withProbe(state, peer, { ...probe, vouched, missedBy: [] })
}

/** These say that they do not reach it either. */
export const missedToo = (
  state: MembershipState,
  peer: PeerKey,
  by: ReadonlyArray<PeerKey>
): MembershipState => {
  const probe = state.probes.get(peer)
  if (probe === undefined) return state
  const more = by.filter((one) => !probe.missedBy.includes(one))
  if (more.length === 0) return state
  return withProbe(state, peer, { ...probe, missedBy: [...probe.missedBy, ...more] })
}

/**
 * Has each of those who watch it said that it does not reach it either? They speak for those whom they hear:
 * between two halves of which one node reaches both, the other half's observers answer nobody here.
 */
export const isUnseen = (state: MembershipState, peer: PeerKey, { missedBy }: Probe): boolean =>
  missedBy.length > 0 && otherObservers(state, peer).every((other) => missedBy.includes(other))
