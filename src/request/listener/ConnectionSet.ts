/** The open connections of one listener. */
import type { Ticker } from "../../model/Time.ts"
import { Waiters } from "../../model/Waiters.ts"

export class ConnectionSet<C extends { destroy(): void }> {
  readonly #open = new Set<C>()
  readonly #waiters = new Waiters()

  get size(): number {
    return this.#open.size
  }

  add(connection: C): void {
    this.#open.add(connection)
  }

  delete(connection: C): void {
    if (this.#open.delete(connection) && this.#open.size === 0) this.#waiters.wake()
  }

  /** Each of them, also after one has thrown; that is thrown on at the end. It may be removed meanwhile. */
  each(what: (connection: C) => void): void {
    let failure: { readonly error: unknown } | undefined
    for (const connection of [...this.#open]) {
      try {
        what(connection)
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure !== undefined) throw failure.error
  }

  /** The oldest, at most `count` of them; nothing may be removed meanwhile. */
  *first(count: number): Iterable<C> {
    for (const connection of this.#open) {
      if (count-- <= 0) return
      yield connection
    }
  }

  destroyAll(): void {
    this.each((connection) => connection.destroy())
  }

  /**
   * Waits for the connections to end by themselves; after `deadline` ms destroys the others. Done
   * by then, whatever they do.
   */
  finish(deadline: number, ticker: Ticker): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const stop = this.#waiters.add(() => {
        timer.cancel()
        resolve()
      })
      const timer = ticker.after(deadline, () => {
        stop()
        try {
          this.destroyAll()
          resolve()
        } catch (defect) {
          // Whoever drains is told, not the clock.
          reject(defect)
        }
      })
    })
  }
}
