/** Results of one kind with none of the other between them, as one policy counts them of one endpoint. */
export interface RunCount {
  /**
   * One more. True when `threshold` is reached by it: the count is then 0 again, and of several
   * threads one alone is told so.
   */
  add(threshold: number): boolean
  /** A result of the other kind, or whatever else ends the run. */
  clear(): void
  readonly value: number
}

/** Over the requests of this thread alone. */
export class OwnRunCount implements RunCount {
  #count = 0

  get value(): number {
    return this.#count
  }

  add(threshold: number): boolean {
    if (++this.#count < threshold) return false
    this.#count = 0
    return true
  }

  clear(): void {
    this.#count = 0
  }
}
