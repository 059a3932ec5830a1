/** The open connections of one listener. */
import { Effect } from "effect"

export class ConnectionSet<C extends { destroy(): void }> {
  readonly #open = new Set<C>()
  readonly #waiters = new Set<() => void>()

  get size(): number {
    return this.#open.size
  }

  add(connection: C): void {
    this.#open.add(connection)
  }

  delete(connection: C): void {
    if (!this.#open.delete(connection) || this.#open.size > 0) return
    for (const wake of this.#waiters) wake()
    this.#waiters.clear()
  }

  /** A copy: what is done to a connection may remove it. */
  all(): ReadonlyArray<C> {
    return [...this.#open]
  }

  /** The oldest, at most `count` of them; nothing may be removed meanwhile. */
  *first(count: number): Iterable<C> {
    for (const connection of this.#open) {
      if (count-- <= 0) return
      yield connection
    }
  }

  destroyAll(): void {
    for (const connection of this.all()) connection.destroy()
  }

  /** Done as soon as none is open. */
  readonly whenEmpty: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.#open.size === 0) {
      resume(Effect.void)
      return
    }
    const wake = () => resume(Effect.void)
    this.#waiters.add(wake)
    return Effect.sync(() => {
      this.#waiters.delete(wake)
    })
  })

  /** Waits for the connections to end by themselves; after `deadline` ms destroys the others. */
  finish(deadline: number): Effect.Effect<void> {
    return this.whenEmpty.pipe(
      // Also in a finalizer, where a timeout would otherwise wait for what it is to cut short.
      Effect.interruptible,
      Effect.timeoutTo({
        duration: deadline,
        onSuccess: () => undefined,
        onTimeout: () => this.destroyAll()
      })
    )
  }
}
