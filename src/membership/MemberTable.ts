/**
 * What this node believes of the others, and the rules by which it changes its mind. Pure.
 *
 * Every belief belongs to an incarnation, a number that only the member itself raises: it begins
 * at the epoch of its record and grows by one with each denial. Between two statements the higher
 * incarnation wins; at the same one, suspicion beats life, and death beats both.
 */
import { HashMap, Option } from "effect"
import type { NodeName, PeerKey } from "../model/Names.ts"
import { ObserverRing } from "./ObserverRing.ts"
import {
  beginSuspicion,
  confirm,
  isOver,
  type Suspicion,
  type SuspicionOptions
} from "./Suspicion.ts"

export type MemberState = "alive" | "suspect" | "dead" | "left"

export interface Member {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly state: MemberState
  readonly incarnation: number
  /** Wall clock, ms, when this node came to believe it. */
  readonly since: number
  /** While suspect; kept when dead, as the evidence that convinces others. */
  readonly suspicion: Suspicion | undefined
  /** The member's own signed denial at this incarnation, if there was one. */
  readonly denial: Uint8Array | undefined
}

/** What the catalogue says of a node. */
export interface MemberRecord {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly epoch: number
  readonly left: boolean
}

/** Other members known at most; further ones are not watched, and counted. */
export const maxMembers = 16_384

/**
 * How far an accusation may be ahead of the incarnation we know: denials that we missed. Without a
 * bound an accuser could push a member's incarnation beyond what others accept from it.
 */
export const maxMissedDenials = 16

export interface MemberTable {
  readonly self: PeerKey
  /** The others. */
  readonly members: HashMap.HashMap<PeerKey, Member>
  /** Who is alive or suspect, and this node. */
  readonly ring: ObserverRing
  readonly suspects: ReadonlySet<PeerKey>
  readonly dead: ReadonlySet<PeerKey>
  /** Nodes with a record for which there was no room at the last look. */
  readonly beyondLimit: number
}

export const makeMemberTable = (self: PeerKey): MemberTable => ({
  self,
  members: HashMap.empty(),
  ring: ObserverRing.empty.with(self),
  suspects: new Set(),
  dead: new Set(),
  beyondLimit: 0
})

export const memberOf = (table: MemberTable, peer: PeerKey): Member | undefined =>
  Option.getOrUndefined(HashMap.get(table.members, peer))

const membership = (
  set: ReadonlySet<PeerKey>,
  peer: PeerKey,
  belongs: boolean
): ReadonlySet<PeerKey> => {
  if (set.has(peer) === belongs) return set
  const next = new Set(set)
  if (belongs) next.add(peer)
  else next.delete(peer)
  return next
}

const withMember = (table: MemberTable, member: Member): MemberTable => {
  const { peer, state } = member
  const present = state === "alive" || state === "suspect"
  return {
    ...table,
    members: HashMap.set(table.members, peer, member),
    ring: present ? table.ring.with(peer) : table.ring.without(peer),
    suspects: membership(table.suspects, peer, state === "suspect"),
    dead: membership(table.dead, peer, state === "dead")
  }
}

const withoutMember = (table: MemberTable, peer: PeerKey): MemberTable => ({
  ...table,
  members: HashMap.remove(table.members, peer),
  ring: table.ring.without(peer),
  suspects: membership(table.suspects, peer, false),
  dead: membership(table.dead, peer, false)
})

/** Alive at an incarnation, nothing held against it. */
const reborn = (
  member: Pick<Member, "peer" | "name">,
  incarnation: number,
  wall: number,
  denial?: Uint8Array
): Member => ({
  peer: member.peer,
  name: member.name,
  state: "alive",
  incarnation,
  since: wall,
  suspicion: undefined,
  denial
})

const applyRecord = (table: MemberTable, record: MemberRecord, wall: number): MemberTable => {
  const { peer, name, epoch, left } = record
  const known = memberOf(table, peer)
  if (known === undefined) {
    const member = reborn(record, epoch, wall)
    return withMember(table, left ? { ...member, state: "left" } : member)
  }
  if (left) {
    if (known.state === "left") return table
    return withMember(table, { ...reborn(record, known.incarnation, wall), state: "left" })
  }
  // A higher epoch is a new start of the node: it lives. So does one that had left and is back.
  if (epoch > known.incarnation || known.state === "left") {
    return withMember(table, reborn(record, Math.max(epoch, known.incarnation), wall))
  }
  return known.name === name ? table : withMember(table, { ...known, name })
}

/** All records of the catalogue; who is no longer among them is forgotten. */
export const applyRecords = (
  table: MemberTable,
  records: ReadonlyArray<MemberRecord>,
  wall: number
): MemberTable => {
  const others = records.filter(({ peer }) => peer !== table.self)
  let next = table
  // The first fill builds the rings once instead of inserting into them one by one.
  if (HashMap.isEmpty(table.members)) {
    const present = others.slice(0, maxMembers).filter(({ left }) => !left)
    next = { ...next, ring: ObserverRing.of([table.self, ...present.map(({ peer }) => peer)]) }
  } else {
    const named = new Set(others.map(({ peer }) => peer))
    for (const peer of HashMap.keys(table.members)) {
      if (!named.has(peer)) next = withoutMember(next, peer)
    }
  }
  let beyondLimit = 0
  for (const record of others) {
    const full = HashMap.size(next.members) >= maxMembers
    if (full && !HashMap.has(next.members, record.peer)) beyondLimit++
    else next = applyRecord(next, record, wall)
  }
  return beyondLimit === next.beyondLimit ? next : { ...next, beyondLimit }
}

/** The member itself says that it lives. The same table when that is no news. */
export const applyAlive = (
  table: MemberTable,
  subject: PeerKey,
  incarnation: number,
  denial: Uint8Array | undefined,
  wall: number
): MemberTable => {
  const known = memberOf(table, subject)
  if (known === undefined || known.state === "left") return table
  if (incarnation > known.incarnation) {
    return withMember(table, reborn(known, incarnation, wall, denial))
  }
  // First heard from the member without its signature, now with it: others can be told.
  if (incarnation === known.incarnation && known.state === "alive" && !known.denial && denial) {
    return withMember(table, { ...known, denial })
  }
  return table
}

export interface Accusation {
  readonly subject: PeerKey
  readonly incarnation: number
  readonly by: PeerKey
  readonly bytes: Uint8Array
}

/** May an accusation at this incarnation concern a member known at that one? */
export const isCurrent = (incarnation: number, known: number): boolean =>
  incarnation >= known && incarnation <= known + maxMissedDenials

/** The same table when it changes nothing. Not for accusations of this node itself. */
export const applySuspect = (
  table: MemberTable,
  accusation: Accusation,
  options: SuspicionOptions,
  now: number,
  wall: number
): MemberTable => {
  const { subject, incarnation, by, bytes } = accusation
  const known = memberOf(table, subject)
  if (known === undefined || known.state === "left" || known.state === "dead") return table
  if (by !== table.self && !HashMap.has(table.members, by)) return table
  if (by === subject || !isCurrent(incarnation, known.incarnation)) return table
  if (known.suspicion?.incarnation === incarnation) {
    const suspicion = confirm(known.suspicion, by, bytes)
    return suspicion === known.suspicion ? table : withMember(table, { ...known, suspicion })
  }
  const possible = table.ring.observersOf(subject).length
  const suspicion = beginSuspicion(options, now, incarnation, by, bytes, possible)
  return withMember(table, {
    ...known,
    state: "suspect",
    incarnation,
    since: known.state === "suspect" ? known.since : wall,
    suspicion,
    denial: undefined
  })
}

/** Suspicions that are over make their subjects dead. */
export const applyTime = (
  table: MemberTable,
  options: SuspicionOptions,
  now: number,
  wall: number
): MemberTable => {
  let next = table
  for (const peer of table.suspects) {
    const member = memberOf(table, peer)
    if (member?.suspicion === undefined) continue
    if (!isOver(options, member.suspicion, table.ring.size, now)) continue
    next = withMember(next, { ...member, state: "dead", since: wall })
  }
  return next
}

/** Time in which this node could not listen does not count against those it suspects. */
export const postpone = (table: MemberTable, duration: number): MemberTable => {
  let next = table
  for (const peer of table.suspects) {
    const member = memberOf(table, peer)
    if (member?.suspicion === undefined) continue
    const startedAt = member.suspicion.startedAt + duration
    next = withMember(next, { ...member, suspicion: { ...member.suspicion, startedAt } })
  }
  return next
}

/** Signed statements that let another node come to the same beliefs. */
export const evidenceOf = (table: MemberTable): ReadonlyArray<Uint8Array> => {
  const accusations: Array<Uint8Array> = []
  const denials: Array<Uint8Array> = []
  for (const { suspicion, denial } of HashMap.values(table.members)) {
    if (suspicion !== undefined) accusations.push(...suspicion.accusers.values())
    if (denial !== undefined) denials.push(denial)
  }
  return [...accusations, ...denials]
}
