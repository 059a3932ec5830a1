/**
 * Does this host reach its store? Told what came of asking it, with the time passed in. It says no only when the
 * store was silent for a while, and yes again only when it has answered for a while: what the answer leads to
 * (the host's actors go elsewhere, and come back) is worth neither one lost packet nor a store that comes and goes.
 */

/** Milliseconds. */
export interface ReachTimes {
  /** Between two questions. */
  readonly every: number
  /** Who has not answered by then has failed. */
  readonly patience: number
  /** Failing for so long, with no answer in between, the store is out of reach. */
  readonly lost: number
  /** Answering for so long, with no failure in between, it is within reach again. */
  readonly back: number
}

/** So that it is known before leases end (15 s after they were renewed last). */
export const reachTimes: ReachTimes = { every: 2_000, patience: 3_000, lost: 5_000, back: 5_000 }

export class StoreReach {
  /** Why it does not answer at the moment; undefined: it does. */
  trouble: string | undefined
  #isLost = false
  /** Since when all answers were of the one kind that speaks against the state there is. */
  #since: number | undefined
  readonly #times: Pick<ReachTimes, "back" | "lost">

  constructor(times: Pick<ReachTimes, "back" | "lost"> = reachTimes) {
    this.#times = times
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** It was never reached: nothing is known that would speak for waiting. */
  beginsLost(trouble: string): void {
    this.trouble = trouble
    this.#isLost = true
  }

  /** It was asked at `asked`, and by `now` has answered (no trouble) or failed. True: `isLost` has changed. */
  told(trouble: string | undefined, asked: number, now: number): boolean {
    this.trouble = trouble
    if ((trouble !== undefined) === this.#isLost) {
      this.#since = undefined
      return false
    }
    this.#since ??= asked
    if (now - this.#since < (this.#isLost ? this.#times.back : this.#times.lost)) return false
    this.#isLost = !this.#isLost
    this.#since = undefined
    return true
  }
}
