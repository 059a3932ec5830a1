/**
 * What this node says of itself, and when it says it again. Pure.
 *
 * Versions are never used twice for different content: the epoch is the wall clock at the start,
 * made larger than the one stored at the start before, and is stored before the first record is
 * signed; the version counts up within it. Should the mesh hold a newer record of ours all the
 * same (a data directory restored from a backup, a clock set back), the next one goes above it.
 */
import type { NodeRecord } from "../../model/NodeRecord.ts"
import type { EntryOrder } from "./RecordEntry.ts"
import { maxAhead } from "./RecordTime.ts"

/** What the owner decides of its record; the rest counts and dates it. */
export type OwnFacts = Omit<NodeRecord, "peer" | "epoch" | "version" | "signedAt">

export const ownTimes = {
  /** Changes that come faster than this are told together (ms). */
  coalesce: 20,
  /**
   * A record is signed anew this often (ms), well within its life of 72 h and a certificate's. Everybody hears it:
   * more often, and this alone is most of what a node of ten thousand at rest hears.
   */
  resign: 6 * 3_600_000,
  /** One with a life of its own, so many times within that: it may get lost, and who forgot it hears of it again. */
  resigns: 6,
  /** Records of ours that others wrote are answered no faster than this (ms). */
  contest: 1_000
} as const

export interface OwnRecord {
  readonly facts: OwnFacts
  /** Nothing is told before the owner has something to say. */
  readonly wanted: boolean
  readonly epoch: number
  /** The epoch that is on disk. */
  readonly storedEpoch: number
  /** The last one used in this epoch; -1 before the first. */
  readonly version: number
  /** Monotonic ms; undefined before the first. */
  readonly publishedAt: number | undefined
  /** Monotonic ms when it is to be told again, because something changed. */
  readonly dueAt: number | undefined
  /** How often the mesh held a record of ours that this process did not write. */
  readonly contested: number
}

/**
 * The epoch of a start: grows from start to start, also when the clock was set back. One far ahead
 * comes from a clock that was wrong at the start before, or from one that is behind now; which of the
 * two is known when others have told the time (`isEpochAstray`).
 */
export const nextEpoch = (stored: number | undefined, wall: number): number =>
  Math.max(wall, (stored ?? -1) + 1)

/** `epoch`: of this start, and stored. */
export const makeOwnRecord = (facts: OwnFacts, epoch: number): OwnRecord => ({
  facts,
  wanted: false,
  epoch,
  storedEpoch: epoch,
  version: -1,
  publishedAt: undefined,
  dueAt: undefined,
  contested: 0
})

const sameFacts = (a: OwnFacts, b: OwnFacts): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Due at once, or at the end of the time within which changes are gathered. */
const schedule = (own: OwnRecord, now: number, apart: number): OwnRecord => {
  const dueAt = Math.max(now, (own.publishedAt ?? Number.NEGATIVE_INFINITY) + apart)
  return { ...own, wanted: true, dueAt: Math.min(dueAt, own.dueAt ?? dueAt) }
}

/** The same value when nothing changes. `apart`: ms at least from the last record to the next. */
export const changeOwn = (
  own: OwnRecord,
  change: Partial<OwnFacts>,
  now: number,
  apart: number = ownTimes.coalesce
): OwnRecord => {
  const merged = { ...own.facts, ...change }
  // A node that has left offers nothing: its record is the tombstone.
  const facts = merged.state === "left" ? { ...merged, services: [] } : merged
  if (own.wanted && sameFacts(facts, own.facts)) return own
  return schedule({ ...own, facts }, now, Math.max(ownTimes.coalesce, apart))
}

/** Sign anew though nothing changed: the certificate did, or the time has come. */
export const resignOwn = (own: OwnRecord, now: number): OwnRecord =>
  own.wanted ? schedule(own, now, ownTimes.coalesce) : own

/** Monotonic ms at which the record is to be signed anew, if nothing changes before. */
export const resignDueAt = ({ facts, publishedAt }: OwnRecord): number =>
  publishedAt === undefined || facts.state === "left"
    ? Number.POSITIVE_INFINITY
    : publishedAt + resignEvery(facts)

export const isResignDue = (own: OwnRecord, now: number): boolean => now >= resignDueAt(own)

const resignEvery = ({ lifetime }: OwnFacts): number =>
  lifetime === undefined ? ownTimes.resign : Math.min(ownTimes.resign, lifetime / ownTimes.resigns)

/** Somebody holds a record of ours at or above our last one, which we did not write. */
export const contestOwn = (own: OwnRecord, seen: EntryOrder, now: number): OwnRecord => {
  const above = seen.epoch > own.epoch || (seen.epoch === own.epoch && seen.version >= own.version)
  if (!above) return own
  const jumped = {
    ...own,
    epoch: seen.epoch,
    version: seen.version,
    contested: own.contested + 1
  }
  return own.wanted ? schedule(jumped, now, ownTimes.contest) : jumped
}

/**
 * A clock that was far ahead at a start was set right: the epoch taken from it has to go, since others
 * refuse it. Only to be asked of a clock that is known to be right.
 */
export const isEpochAstray = (own: OwnRecord, wall: number): boolean => own.epoch > wall + maxAhead

export const restartEpoch = (own: OwnRecord, wall: number, now: number): OwnRecord =>
  schedule({ ...own, epoch: wall, version: -1 }, now, 0)

/** The record to be signed now. Its epoch is to be stored before anybody is told. */
export const publishOwn = (
  own: OwnRecord,
  peer: NodeRecord["peer"],
  now: number,
  wall: number
): readonly [OwnRecord, NodeRecord] => {
  const version = own.version + 1
  return [
    { ...own, version, storedEpoch: own.epoch, publishedAt: now, dueAt: undefined },
    { ...own.facts, peer, epoch: own.epoch, version, signedAt: wall }
  ]
}
