/**
 * Incarnations begin at the epoch of a node's record, which is a wall clock, and grow by one per
 * denial. What is ahead of our clock by more than clocks may differ is of a clock that was wrong: it
 * is taken from nobody, and what we hold of that kind gives way to what the member says now.
 */

/** How far an incarnation may be ahead of our wall clock (ms). */
export const maxIncarnationAhead = 10 * 60_000

export const isAstray = (incarnation: number, wall: number): boolean =>
  incarnation > wall + maxIncarnationAhead
