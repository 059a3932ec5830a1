/**
 * Latency of an endpoint as a moving average that believes bad news at once (Finagle's PeakEwma).
 * A measurement above the estimate replaces it; one below pulls it down, the more the longer the
 * last one is ago:
 *
 *     estimate' = estimate·w + latency·(1 − w),  w = exp(−elapsed / decay)
 *
 * Between measurements the estimate decays towards 0, so an endpoint that was avoided is tried
 * again in time.
 */

export interface PeakEwmaParameters {
  /** Assumed latency, in milliseconds, while the first answer is awaited. */
  readonly initial: number
  /** Time constant, in milliseconds. */
  readonly decay: number
}

/**
 * A failure, or "too many requests", comes back fast from an endpoint one should stay away from;
 * it counts as at least this many times the initial latency.
 */
const penaltyFactor = 10

/** Of the last measurement in the mean, which does not ask how long ago it was. */
const meanWeight = 1 / 8

export class PeakEwma {
  readonly #initial: number
  readonly #decay: number
  #estimate = 0
  #mean = 0
  #stamp = 0
  #measured = false

  constructor(parameters: PeakEwmaParameters) {
    this.#initial = parameters.initial
    this.#decay = Math.max(parameters.decay, 1)
  }

  get measured(): boolean {
    return this.#measured
  }

  /** What is left at `now` of the estimate: a factor. */
  fade(now: number): number {
    const elapsed = now - this.#stamp
    return elapsed <= 0 ? 1 : Math.exp(-elapsed / this.#decay)
  }

  /** The estimate in milliseconds, decayed to `now`; 0 when nothing was measured yet. */
  value(now: number): number {
    return this.#estimate * this.fade(now)
  }

  /**
   * The latency to expect, in milliseconds, when `fade` of the estimate is left. Unmeasured it is
   * 0 while idle, so that the endpoint is tried at once, and the assumed one while its first
   * answer is awaited, so that it is not tried by everybody.
   */
  expected(fade: number, inFlight: number): number {
    if (this.#measured) return this.#estimate * fade
    return inFlight === 0 ? 0 : this.#initial
  }

  /** The same by the mean of the last answers, about eight of them, in place of the estimate. */
  expectedMean(fade: number, inFlight: number): number {
    return this.#measured ? this.#mean * fade : this.expected(fade, inFlight)
  }

  observe(latency: number, now: number): void {
    this.#mean = this.#measured ? this.#mean + (latency - this.#mean) * meanWeight : latency
    if (!this.#measured || latency >= this.#estimate) this.#estimate = latency
    else {
      const weight = this.fade(now)
      this.#estimate = this.#estimate * weight + latency * (1 - weight)
    }
    this.#measured = true
    this.#stamp = now
  }

  /** An answer that must not look fast. */
  penalize(latency: number, now: number): void {
    this.observe(Math.max(latency, this.#initial * penaltyFactor), now)
  }

  /** It took at least this long and nobody waited for the end: only bad news counts. */
  observeAtLeast(latency: number, now: number): void {
    if (latency > this.value(now) && latency > this.#initial) this.observe(latency, now)
  }

  /** Back to unmeasured: what was known is from before an outage. */
  forget(): void {
    this.#measured = false
    this.#estimate = 0
  }
}
