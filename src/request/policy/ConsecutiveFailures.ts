/** When to break: after so many failures with no success between them. */
export class ConsecutiveFailures {
  readonly #threshold: number
  #count = 0

  constructor(threshold: number) {
    this.#threshold = threshold
  }

  get count(): number {
    return this.#count
  }

  success(): void {
    this.#count = 0
  }

  /** True when this one reaches the threshold. */
  failure(): boolean {
    return ++this.#count >= this.#threshold
  }

  reset(): void {
    this.#count = 0
  }
}
