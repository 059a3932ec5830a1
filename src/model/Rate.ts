/**
 * So many a second and no more, evenly, but for a burst. The generic cell rate algorithm: one number
 * is all its state.
 */
export class Rate {
  readonly #interval: number
  readonly #burst: number
  /** When the last one that was taken would have been due, had they come evenly. */
  #due = Number.NEGATIVE_INFINITY

  /** `burst`: as many may come at once. */
  constructor(perSecond: number, burst: number) {
    this.#interval = 1_000 / perSecond
    this.#burst = burst
  }

  /** Takes a turn. Returns 0, or how long to wait instead, ms. `now` is monotonic. */
  take(now: number): number {
    const due = Math.max(this.#due, now)
    const wait = due - now - (this.#burst - 1) * this.#interval
    // Sums of fractions: what is off by less than a thousandth is on time.
    if (wait > 1e-3) return wait
    this.#due = due + this.#interval
    return 0
  }

  /** Takes a turn that is not put off: those that come later wait for it. */
  force(now: number): void {
    this.#due = Math.max(this.#due, now) + this.#interval
  }

  /** The turn cost next to nothing after all. */
  giveBack(): void {
    this.#due -= this.#interval
  }
}
