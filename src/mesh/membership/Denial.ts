/**
 * What this node answers when it is accused: a denial, its own signed word one incarnation higher.
 * Pure.
 *
 * One denial answers every accusation below it, so there is a new one only for an accusation at the
 * very incarnation that was said last, and at most one a second, whoever accuses and however often.
 * That is soon enough: the shortest suspicion lasts four seconds, and observers ask again each second.
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
}

export const noDenials: Denials = {
  deniedAt: Number.NEGATIVE_INFINITY,
  outsiderAt: Number.NEGATIVE_INFINITY,
  askAt: Number.NEGATIVE_INFINITY
}

/** The denials after one more for this accuser; undefined: it gets none now. */
export const denialFor = (
  table: MemberTable,
  { deniedAt, outsiderAt, askAt }: Denials,
  by: PeerKey,
  toOurFace: boolean,
  now: number
): Denials | undefined => {
  if (now - deniedAt < denialTimes.apart) return undefined
  if (mayAccuse(table, by, table.self)) return { deniedAt: now, outsiderAt, askAt }
  return toOurFace && now - outsiderAt >= denialTimes.outsiders
    ? { deniedAt: now, outsiderAt: now, askAt }
    : undefined
}
