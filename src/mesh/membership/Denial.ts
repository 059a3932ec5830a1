/**
 * What this node answers when it is accused: a denial, its own signed word one incarnation higher.
 * Pure.
 *
 * One denial answers every accusation below it, so there is a new one only for an accusation at the
 * very incarnation that was said last, and at most one a second, whoever accuses and however often; what
 * comes too soon is denied when the second is over. That is soon enough: the shortest suspicion lasts four
 * seconds.
 *
 * Who watches this node is heard wherever it speaks. Others count only when they ask it directly,
 * which is how the two sides of a partition find each other alive, and that seldom.
 */
import type { PeerKey } from "../../model/Names.ts"
import { type MemberTable, mayAccuse } from "./MemberTable.ts"

/** Milliseconds at least… */
export const denialTimes = {
  /** …between two denials. */
  apart: 1_000,
  /** …between two that somebody provoked who does not watch this node. */
  outsiders: 10_000,
  /** …between two questions for the evidence of an accusation that is ahead of what we know. */
  asking: 10_000
} as const

/** The part of the state that is about denying. Monotonic ms. */
export interface Denials {
  readonly deniedAt: number
  readonly outsiderAt: number
  readonly askAt: number
  /** One who watches this node has accused it at its incarnation, too soon after the last denial. */
  readonly owed: boolean
}

export const noDenials: Denials = {
  deniedAt: Number.NEGATIVE_INFINITY,
  outsiderAt: Number.NEGATIVE_INFINITY,
  askAt: Number.NEGATIVE_INFINITY,
  owed: false
}

/** The denials after one more for this accuser; undefined: it gets none now. */
export const denialFor = (
  table: MemberTable,
  denials: Denials,
  by: PeerKey,
  toOurFace: boolean,
  now: number
): Denials | undefined => {
  const { askAt, outsiderAt } = denials
  if (isTooSoon(denials, now)) return undefined
  if (mayAccuse(table, by, table.self)) return { deniedAt: now, outsiderAt, askAt, owed: false }
  return toOurFace && now - outsiderAt >= denialTimes.outsiders
    ? { deniedAt: now, outsiderAt: now, askAt, owed: false }
    : undefined
}

/**
 * There was none for this accuser. Is there to be one as soon as may be? Who watches this node may be the only
 * one to hold it against it, and believe it, while everybody else waits for others to agree: nobody would
 * say it to this node again.
 */
export const owe = (table: MemberTable, denials: Denials, by: PeerKey, now: number): Denials =>
  !denials.owed && isTooSoon(denials, now) && mayAccuse(table, by, table.self)
    ? { ...denials, owed: true }
    : denials

/** The denials after the one that was owed and is due; undefined: there is none. */
export const dueDenial = (denials: Denials, now: number): Denials | undefined =>
  denials.owed && !isTooSoon(denials, now) ? { ...denials, deniedAt: now, owed: false } : undefined

const isTooSoon = ({ deniedAt }: Denials, now: number): boolean =>
  now - deniedAt < denialTimes.apart
