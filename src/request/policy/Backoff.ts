/**
 * Exponential back-off with full jitter: random(0, min(max, base·2^retry)). Full jitter spreads
 * callers that failed together best (Brooker, "Exponential Backoff And Jitter", 2015).
 *
 * Waits are fractions of milliseconds, down to 0. The request plane's timers have a grid of 10 ms
 * (TimerWheel) and fire at its next line, never early: a wait of up to 25 ms ends at one of three
 * or four lines, and one of less than 10 ms at one of two. So `base` and `max` below 10 ms make for
 * waits whose jitter is little but when the attempt failed. PolicyEffect's waits have no grid.
 */

export interface BackoffRange {
  /** Upper bound of the first wait, in milliseconds. */
  readonly base: number
  /** Upper bound of every wait. */
  readonly max: number
}

/** The upper bound of the wait before retry number `retry` (0 is the first retry). */
export const backoffCeiling = (range: BackoffRange, retry: number): number =>
  Math.min(range.max, range.base * 2 ** retry)

/** Milliseconds to wait before retry number `retry`; `random` in [0, 1). */
export const fullJitter = (range: BackoffRange, retry: number, random: number): number =>
  random * backoffCeiling(range, retry)
