/**
 * What this node believes of the others, and the rules by which it changes its mind. Pure.
 *
 * Every belief belongs to an incarnation, a number that only the member itself raises: it begins
 * at the epoch of its record and grows by one with each denial. Between two statements the higher
 * incarnation wins; at the same one, suspicion beats life, and death beats both.
 *
 * An accusation counts at the incarnation that we have from the member itself and at no other, so
 * that nobody can push it anywhere; from those who watch the member; and not alone from somebody
 * whom the member has just refuted.
 */
import type { NodeName, PeerKey } from "../../model/Names.ts"
import { isAstray } from "./Incarnation.ts"
import { ObserverRing } from "./ObserverRing.ts"
import { OrderedPeers } from "./OrderedPeers.ts"
import { PeerMap } from "./PeerMap.ts"
import {
  beginSuspicion,
  confirm,
  dueAt,
  noneRefuted,
  openUntil,
  type Refuted,
  refute,
  type Suspicion,
  type SuspicionOptions,
  verdictOf
} from "./Suspicion.ts"

export type MemberState = "alive" | "suspect" | "dead" | "left"

export interface Member {
  readonly peer: PeerKey
  readonly name: NodeName
  /** As its record says; undefined: unknown. */
  readonly zone: string | undefined
  readonly state: MemberState
  readonly incarnation: number
  /** Wall clock, ms, when this node came to believe it. */
  readonly since: number
  /**
   * While suspect, and kept when dead, as the evidence that convinces others. One that is alive has
   * it when nobody but refuted accusers, or one to whom nobody agreed, hold something against it.
   */
  readonly suspicion: Suspicion | undefined
  readonly refuted: Refuted
  /** The member's own signed denial at this incarnation, if there was one. */
  readonly denial: Uint8Array | undefined
}

/** Peers whose state or zone is another than it was, or that came or went; the last one first. */
export interface Moved {
  readonly peer: PeerKey
  readonly rest: Moved | undefined
}

export interface MemberTable {
  readonly self: PeerKey
  /** The others. */
  readonly members: PeerMap<Member>
  /** Who is alive or suspect, and this node. */
  readonly ring: ObserverRing
  readonly suspects: OrderedPeers
  readonly dead: OrderedPeers
  /** Monotonic ms before which no suspicion's time is up, as the ring is now. */
  readonly judgeAt: number
  /** Nodes with a record for which there was no room at the last look. */
  readonly beyondLimit: number
  /** Since whoever follows the table took note: the actor begins each step with none. */
  readonly moved: Moved | undefined
}

/** `nobody`: the empty ring that its own come of. */
export const makeMemberTable = (self: PeerKey, nobody = ObserverRing.empty): MemberTable => ({
  self,
  members: PeerMap.of(),
  ring: nobody.with(self),
  suspects: OrderedPeers.none,
  dead: OrderedPeers.none,
  judgeAt: Number.POSITIVE_INFINITY,
  beyondLimit: 0,
  moved: undefined
})

export const memberOf = (table: MemberTable, peer: PeerKey): Member | undefined =>
  table.members.get(peer)

export const movedIn = ({ moved }: Pick<MemberTable, "moved">): ReadonlySet<PeerKey> => {
  const peers = new Set<PeerKey>()
  for (let at = moved; at !== undefined; at = at.rest) peers.add(at.peer)
  return peers
}

const membership = (peers: OrderedPeers, peer: PeerKey, belongs: boolean): OrderedPeers =>
  belongs ? peers.with(peer) : peers.without(peer)

const isPresent = (state: MemberState): boolean => state === "alive" || state === "suspect"

const place = (
  ring: ObserverRing,
  peer: PeerKey,
  zone: string | undefined,
  present: boolean
): ObserverRing => (present ? ring.with(peer, zone) : ring.without(peer))

export const withMember = <Table extends MemberTable>(
  table: Table,
  member: Member,
  judgeAt = table.judgeAt
): Table => {
  const { peer, zone, state } = member
  const held = memberOf(table, peer)
  const isSame = held?.state === state
  const stays = isSame && held.zone === zone
  const present = isPresent(state)
  const isPlaced = held !== undefined && held.zone === zone && isPresent(held.state) === present
  const ring = isPlaced ? table.ring : place(table.ring, peer, zone, present)
  return {
    ...table,
    members: table.members.with(member),
    ring,
    suspects: isSame ? table.suspects : membership(table.suspects, peer, state === "suspect"),
    dead: isSame ? table.dead : membership(table.dead, peer, state === "dead"),
    judgeAt: ring.size < table.ring.size ? Number.NEGATIVE_INFINITY : judgeAt,
    moved: stays ? table.moved : { peer, rest: table.moved }
  }
}

/** Suspects of whom one thinks otherwise now, all at once: when a network is cut that is half of the mesh. */
const withVerdicts = <Table extends MemberTable>(
  table: Table,
  judged: ReadonlyArray<Member>
): Table => {
  let { dead, members, moved, suspects } = table
  for (const member of judged) {
    const { peer, state } = member
    members = members.with(member)
    suspects = suspects.without(peer)
    if (state === "dead") dead = dead.with(peer)
    moved = { peer, rest: moved }
  }
  const ring = table.ring.withoutAll(dead)
  // In a smaller mesh the others have less time.
  return { ...table, members, ring, suspects, dead, moved, judgeAt: Number.NEGATIVE_INFINITY }
}

export const withoutMember = (table: MemberTable, peer: PeerKey): MemberTable => ({
  ...table,
  members: table.members.without(peer),
  ring: table.ring.without(peer),
  suspects: membership(table.suspects, peer, false),
  dead: membership(table.dead, peer, false),
  judgeAt: Number.NEGATIVE_INFINITY,
  moved: { peer, rest: table.moved }
})

/** Alive at an incarnation, nothing held against it. */
export const reborn = (
  member: Pick<Member, "peer" | "name"> & Partial<Pick<Member, "zone" | "refuted">>,
  incarnation: number,
  wall: number,
  denial?: Uint8Array
): Member => ({
  peer: member.peer,
  name: member.name,
  zone: member.zone,
  state: "alive",
  incarnation,
  since: wall,
  suspicion: undefined,
  refuted: member.refuted ?? noneRefuted,
  denial
})

/** The member itself says that it lives. The same table when that is no news. */
export const applyAlive = <Table extends MemberTable>(
  table: Table,
  subject: PeerKey,
  incarnation: number,
  denial: Uint8Array | undefined,
  now: number,
  wall: number
): Table => {
  const known = memberOf(table, subject)
  if (known === undefined || known.state === "left" || isAstray(incarnation, wall)) return table
  if (incarnation > known.incarnation || isAstray(known.incarnation, wall)) {
    const member = reborn(known, incarnation, wall, denial)
    // Kept, it had been alive all the time.
    const since = known.state === "alive" ? known.since : wall
    const refuted = refute(known.refuted, known.suspicion, now)
    return withMember(table, { ...member, since, refuted })
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

/** May this member speak against that one? Those who watch it may, and who is about to. */
export const mayAccuse = (table: MemberTable, by: PeerKey, subject: PeerKey): boolean =>
  by === table.self || table.ring.isNear(by, subject)

/** Does it speak of an incarnation of which the member itself has not told us? */
export const isAhead = (
  table: MemberTable,
  { subject, incarnation, by }: Pick<Accusation, "subject" | "incarnation" | "by">
): boolean => {
  const known = memberOf(table, subject)
  return (
    (known?.state === "alive" || known?.state === "suspect") &&
    incarnation > known.incarnation &&
    mayAccuse(table, by, subject)
  )
}

/** The same table when it changes nothing. Not for accusations of this node itself. */
export const applySuspect = <Table extends MemberTable>(
  table: Table,
  accusation: Accusation,
  options: SuspicionOptions,
  now: number,
  wall: number
): Table => {
  const { subject, incarnation, by, bytes } = accusation
  const known = memberOf(table, subject)
  if (known === undefined || known.state === "left" || known.state === "dead") return table
  if (by === subject || incarnation !== known.incarnation) return table
  if (!mayAccuse(table, by, subject)) return table
  if (known.suspicion === undefined) {
    const possible = table.ring.observersOf(subject).length
    const suspicion = beginSuspicion(options, now, incarnation, by, bytes, possible)
    // Our own eyes are believed all the same.
    const doubted = by !== table.self && (known.refuted.get(by) ?? now) > now
    return withMember(
      table,
      doubted ? { ...known, suspicion } : { ...known, state: "suspect", since: wall, suspicion },
      soonest(table, options, suspicion)
    )
  }
  const suspicion = confirm(known.suspicion, by, bytes)
  if (suspicion === known.suspicion) return table
  if (known.state === "suspect") {
    return withMember(table, { ...known, suspicion }, soonest(table, options, suspicion))
  }
  // Another one agrees with whom we doubted: the suspicion begins now.
  const begun = { ...suspicion, startedAt: now }
  const member: Member = { ...known, state: "suspect", since: wall, suspicion: begun }
  return withMember(table, member, soonest(table, options, begun))
}

/** When time may be up for somebody, now that there is this suspicion, too. */
const soonest = (
  { judgeAt }: MemberTable,
  options: SuspicionOptions,
  suspicion: Suspicion
): number => Math.min(judgeAt, openUntil(options, suspicion))

/** Is there somebody who watches the member, could speak against it, and does not? This node itself counts. */
const othersCould = (table: MemberTable, { peer, suspicion }: Member): boolean =>
  table.ring
    .observersOf(peer)
    .some(
      (other) =>
        suspicion?.accusers.has(other) === false &&
        (other === table.self || memberOf(table, other)?.state === "alive")
    )

/** Suspicions whose time is up make their subjects dead, or, where one spoke alone, are not heeded any more. */
export const applyTime = <Table extends MemberTable>(
  table: Table,
  options: SuspicionOptions,
  now: number,
  wall: number
): Table => {
  // Asked at every tick, and of half of the mesh when a network is cut.
  if (now < table.judgeAt) return table
  const judged: Array<Member> = []
  let judgeAt = Number.POSITIVE_INFINITY
  for (const peer of table.suspects) {
    const member = memberOf(table, peer)
    if (member?.suspicion === undefined) continue
    const { suspicion } = member
    const others = () => othersCould(table, member)
    const verdict = verdictOf(options, suspicion, table.ring.size, others, now)
    // Our own eyes are believed all the same.
    if (verdict === "open" || (verdict === "unheeded" && suspicion.accusers.has(table.self))) {
      judgeAt = Math.min(judgeAt, dueAt(options, suspicion, table.ring.size))
      continue
    }
    const state = verdict === "dead" ? "dead" : "alive"
    judged.push({ ...member, state, since: wall })
  }
  return judged.length === 0 ? { ...table, judgeAt } : withVerdicts(table, judged)
}

/** Time in which this node could not listen does not count against those it suspects. */
export const postpone = <Table extends MemberTable>(table: Table, duration: number): Table => {
  let next = table
  for (const peer of table.suspects) {
    const member = memberOf(table, peer)
    if (member?.suspicion === undefined) continue
    const startedAt = member.suspicion.startedAt + duration
    next = withMember(next, { ...member, suspicion: { ...member.suspicion, startedAt } })
  }
  return next
}

/**
 * Signed statements that let another node come to the same beliefs: denials first, since an
 * accusation counts only at an incarnation that is known. `about`: only of these; none: of all.
 */
export const evidenceOf = (
  table: MemberTable,
  about: ReadonlyArray<PeerKey> = []
): ReadonlyArray<Uint8Array> => {
  const accusations: Array<Uint8Array> = []
  const denials: Array<Uint8Array> = []
  const add = ({ state, suspicion, denial }: Member): void => {
    // What a refuted accuser says alone convinced nobody here, and a newcomer could not know why.
    if (suspicion !== undefined && state !== "alive")
      accusations.push(...suspicion.accusers.values())
    if (denial !== undefined) denials.push(denial)
  }
  if (about.length === 0) table.members.each(add)
  for (const peer of new Set(about)) {
    const member = memberOf(table, peer)
    if (member !== undefined) add(member)
  }
  return [...denials, ...accusations]
}
