/**
 * What the catalogue's records say of members: who is there and where, who left, who has begun a new life. Pure.
 */
import type { NodeName, PeerKey } from "../../model/Names.ts"
import { isAstray } from "./Incarnation.ts"
import { type MemberTable, memberOf, reborn, withMember, withoutMember } from "./MemberTable.ts"

/** What the catalogue says of a node. */
export interface MemberRecord {
  readonly peer: PeerKey
  readonly name: NodeName
  /** Undefined: it names none. */
  readonly zone?: string | undefined
  readonly epoch: number
  readonly left: boolean
}

/** Other members known at most; further ones are not watched, and counted. */
export const maxMembers = 16_384

const applyRecord = (table: MemberTable, record: MemberRecord, wall: number): MemberTable => {
  const { peer, name, zone, epoch, left } = record
  const known = memberOf(table, peer)
  if (known === undefined) {
    const member = reborn(record, epoch, wall)
    return withMember(table, left ? { ...member, state: "left" } : member)
  }
  if (left) {
    if (known.state === "left") return table
    return withMember(table, { ...reborn(record, known.incarnation, wall), state: "left" })
  }
  // A higher epoch is a new start of the node: it lives. So does one that had left and is back, and
  // one that has a right clock again, or whose reader has.
  const outdated = isAstray(known.incarnation, wall) && !isAstray(epoch, wall)
  if (epoch > known.incarnation || known.state === "left" || outdated) {
    const incarnation = outdated ? epoch : Math.max(epoch, known.incarnation)
    return withMember(table, reborn(record, incarnation, wall))
  }
  return known.name === name && known.zone === zone
    ? table
    : withMember(table, { ...known, name, zone })
}

/** This node stands on the ring, too, and its own record is where others read its zone. */
const withOwnZone = (table: MemberTable, records: ReadonlyArray<MemberRecord>): MemberTable => {
  const own = records.find(({ peer }) => peer === table.self)
  const ring = own === undefined ? table.ring : table.ring.with(own.peer, own.zone)
  return ring === table.ring
    ? table
    : { ...table, ring, moved: { peer: table.self, rest: table.moved } }
}

/** All records of the catalogue; who is no longer among them is forgotten. */
export const applyRecords = (
  table: MemberTable,
  records: ReadonlyArray<MemberRecord>,
  wall: number
): MemberTable => {
  const others = records.filter(({ peer }) => peer !== table.self)
  let next = withOwnZone(table, records)
  // The first fill builds the rings once instead of inserting into them one by one.
  if (table.members.size === 0) {
    const present = others.slice(0, maxMembers).filter(({ left }) => !left)
    const peers = [table.self, ...present.map(({ peer }) => peer)]
    const zones = new Map(others.map(({ peer, zone }) => [peer, zone]))
    zones.set(table.self, next.ring.zoneOf(table.self))
    next = { ...next, ring: next.ring.filled(peers, (peer) => zones.get(peer)) }
  } else {
    const named = new Set(others.map(({ peer }) => peer))
    for (const { peer } of table.members.values()) {
      if (!named.has(peer)) next = withoutMember(next, peer)
    }
  }
  return applyEach(next, others, wall)
}

/**
 * Records that are new or say something new, and peers whose record is gone: the same as all records
 * would make, for the cost of these. Not while there are some beyond the limit: they are not known here.
 */
export const applyRecordChanges = (
  table: MemberTable,
  records: ReadonlyArray<MemberRecord>,
  gone: ReadonlyArray<PeerKey>,
  wall: number
): MemberTable => {
  if (table.members.size === 0) return applyRecords(table, records, wall)
  let next = withOwnZone(table, records)
  for (const peer of gone) if (next.members.has(peer)) next = withoutMember(next, peer)
  return applyEach(
    next,
    records.filter(({ peer }) => peer !== table.self),
    wall
  )
}

const applyEach = (
  table: MemberTable,
  others: ReadonlyArray<MemberRecord>,
  wall: number
): MemberTable => {
  let next = table
  let beyondLimit = 0
  for (const record of others) {
    const full = next.members.size >= maxMembers
    if (full && !next.members.has(record.peer)) beyondLimit++
    else next = applyRecord(next, record, wall)
  }
  return beyondLimit === next.beyondLimit ? next : { ...next, beyondLimit }
}
