/** Counts the calls that a program has in work, so that its end can wait for theirs. */
import { Deferred, Effect, Fiber } from "effect"
import { Waiters } from "../model/Waiters.ts"

export class CallCount {
  readonly #idle = new Waiters()
  #running = 0

  begin(): void {
    this.#running++
  }

  end(): void {
    this.#running--
    if (this.#running === 0) this.#idle.wake()
  }

  /**
   * Done when none is in work, or after so many milliseconds. For finalizers: they cannot be
   * interrupted, and run in fibers that may have been so already, so another waits out the time.
   */
  ended(patience: number): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const done = yield* Deferred.make<void>()
      const late = yield* Effect.sleep(patience).pipe(
        Effect.zipRight(Deferred.succeed(done, undefined)),
        Effect.interruptible,
        Effect.forkDaemon
      )
      const stop = this.#idle.add(() => Deferred.unsafeDone(done, Effect.void))
      if (this.#running === 0) this.#idle.wake()
      yield* Deferred.await(done)
      stop()
      yield* Fiber.interruptFork(late)
    })
  }
}
