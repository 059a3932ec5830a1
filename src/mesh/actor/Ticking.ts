/** Ticks in plain callbacks, for what looks at something all the time. */
import { Effect, type Scope } from "effect"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"

export type TickTimers = Pick<Ticker, "after" | "now">

/**
 * Milliseconds until the next tick. All that ticks in a process does so at the same multiples of their
 * intervals: it wakes up once for them, and not for each. A timer that fires early must not tick twice.
 */
export const untilTick = (every: number, now: number): number => {
  const left = every - (now % every)
  return left < every / 4 ? left + every : left
}

export class Ticking {
  readonly #timers: TickTimers
  readonly #every: number
  readonly #tick: () => void
  #timer: Timer

  /** Ticks until it is stopped, for the first time after one interval. */
  constructor(timers: TickTimers, every: number, tick: () => void) {
    this.#timers = timers
    this.#every = every
    this.#tick = tick
    this.#timer = this.#next()
  }

  stop(): void {
    this.#timer.cancel()
  }

  #next(): Timer {
    return this.#timers.after(untilTick(this.#every, this.#timers.now()), () => {
      // First, so that a tick that throws is not the last one.
      this.#timer = this.#next()
      this.#tick()
    })
  }
}

/** Until the scope closes. */
export const ticking = (
  timers: TickTimers,
  every: number,
  tick: () => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => new Ticking(timers, every, tick)),
      (it) => Effect.sync(() => it.stop())
    )
  )
