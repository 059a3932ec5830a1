/**
 * Exponential back-off with full jitter: random(0, min(max, base·2^retry)). Full jitter spreads
 * callers that failed together best (Brooker, "Exponential Backoff And Jitter", 2015).
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
