/**
 * How often something happens, with four numbers and no timer: what was counted in this window of time, and
 * in the one before it, of which that part counts which the last ten seconds reach into.
 */

/** Milliseconds. */
const window = 10_000
/** What has just begun is not told by a few milliseconds. */
const shortest = 1_000

export class RateWindow {
  #since = 0
  #begins = Number.NEGATIVE_INFINITY
  #here = 0
  #before = 0

  /** `now` in milliseconds. */
  count(now: number): void {
    this.#turn(now)
    this.#here++
  }

  /** Over the last ten seconds, or since it began after a pause as long. */
  perSecond(now: number): number {
    this.#turn(now)
    const reached = 1 - (now - this.#begins) / window
    const span = Math.min(window, Math.max(shortest, now - this.#since))
    return ((this.#here + this.#before * reached) * 1_000) / span
  }

  #turn(now: number): void {
    const next = this.#begins + window
    if (now >= this.#begins && now < next) return
    // Neither after a long pause, nor when the clock was set back, is there anything before this.
    const follows = now >= next && now < next + window
    this.#before = follows ? this.#here : 0
    this.#here = 0
    this.#begins = follows ? next : now
    if (!follows) this.#since = now
  }
}
