/** The most that something was lately: by spans of time, of which this one and the last count. */
export class RecentMost {
  readonly #span: number
  #turn = Number.NEGATIVE_INFINITY
  #now = 0
  #before = 0

  /** `span`: milliseconds for which a value counts at least; it is forgotten before twice as long. */
  constructor(span: number) {
    this.#span = span
  }

  /** `now` is monotonic, ms. */
  note(now: number, value: number): void {
    this.#follow(now)
    this.#now = Math.max(this.#now, value)
  }

  /** 0 when there was nothing. */
  at(now: number): number {
    this.#follow(now)
    return Math.max(this.#now, this.#before)
  }

  #follow(now: number): void {
    const turn = Math.floor(now / this.#span)
    if (turn === this.#turn) return
    this.#before = turn === this.#turn + 1 ? this.#now : 0
    this.#now = 0
    this.#turn = turn
  }
}
