/** How often something may be done: at once so often, and over time at a rate. */

export interface RateSizes {
  readonly burst: number
  readonly perSecond: number
}

export class Allowance {
  readonly #sizes: RateSizes
  #left: number
  /** Undefined: nothing was taken yet. */
  #since: number | undefined = undefined

  constructor(sizes: RateSizes) {
    this.#sizes = sizes
    this.#left = sizes.burst
  }

  /** More may be done, up to the burst. */
  earn(count: number): void {
    this.#left = Math.min(this.#sizes.burst, this.#left + count)
  }

  /** False: too often. `now` in milliseconds. */
  take(now: number): boolean {
    if (this.#left < 1) {
      const passed = now - (this.#since ?? now)
      this.#left += (passed * this.#sizes.perSecond) / 1_000
      this.#since = now
      if (this.#left > this.#sizes.burst) this.#left = this.#sizes.burst
      if (this.#left < 1) return false
    }
    this.#since ??= now
    this.#left--
    return true
  }
}
