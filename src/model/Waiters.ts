/** Those who wait for something to be over, as callbacks. Each is called once, or stops waiting. */

export class Waiters {
  readonly #waiting = new Set<{ readonly then: () => void }>()

  get size(): number {
    return this.#waiting.size
  }

  /** Returns how to stop waiting; harmless when it is over. */
  add(then: () => void): () => void {
    const waiter = { then }
    this.#waiting.add(waiter)
    return () => void this.#waiting.delete(waiter)
  }

  /**
   * It is over for all that wait now; who begins to wait meanwhile waits for the next time. What one
   * of them throws is thrown on when all have been called.
   */
  wake(): void {
    // Mostly nobody waits, and this may be at the end of every request.
    if (this.#waiting.size === 0) return
    let failure: { readonly error: unknown } | undefined
    for (const waiter of [...this.#waiting]) {
      // One that was called may have stopped another.
      if (!this.#waiting.delete(waiter)) continue
      try {
        waiter.then()
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure !== undefined) throw failure.error
  }
}
