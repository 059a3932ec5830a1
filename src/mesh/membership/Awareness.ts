/**
 * How far this node trusts its own judgement (Lifeguard, §IV-A): a score from 0 (healthy) to 8.
 * Whatever may be our own fault counts against us, and a doubtful node waits longer before it
 * suspects others: timeouts are multiplied by the score plus one.
 */
export const maxAwareness = 8

/** Changes of the score. */
export const awarenessDelta = {
  /** A probe was answered in time. */
  probeAnswered: -1,
  /** Neither the subject nor those who were to help answered: it may be us. */
  probeUnanswered: 1,
  /** Somebody suspected us, and was wrong. */
  accused: 1
} as const

/** Lateness of our own clock tick beyond which it counts as one more point each (ms). */
export const latePerPoint = 500

/**
 * For how long a node that was late accuses nobody, ms: what it did not hear in time may have waited
 * here. Twice as long as it was late, and not so long that a host which slept is blind for minutes.
 */
export const lateFor = (late: number): number => Math.min(10_000, 2 * late)

export const applyDelta = (score: number, delta: number): number =>
  Math.min(maxAwareness, Math.max(0, score + delta))

/** A tick came this much later than it was due: the event loop was blocked, or the host slept. */
export const lateDelta = (late: number): number => Math.max(0, Math.floor(late / latePerPoint))

export const scaled = (score: number, duration: number): number => duration * (score + 1)
