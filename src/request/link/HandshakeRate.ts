/**
 * How many handshakes a thread does a second, whoever asks for them. Each is two operations on a
 * curve, dearer than anything else a peer can ask for; who comes too soon is told when to come back,
 * before there was any cryptography. The generic cell rate algorithm: one number is all its state.
 */
export class HandshakeRate {
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

  /** The turn cost next to nothing after all. */
  giveBack(): void {
    this.#due -= this.#interval
  }
}
