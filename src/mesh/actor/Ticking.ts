/** Ticks in plain callbacks, for what looks at something all the time. */
import { Effect, Runtime, type Scope } from "effect"
import { atTime, type Ticker, untilTick } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"

export type TickTimers = Pick<Ticker, "after" | "at" | "now">

export class Ticking {
  readonly #timers: TickTimers
  readonly #every: number
  readonly #tick: (at: number) => void
  readonly #patience: number
  #timer: Timer

  /**
   * Ticks until it is stopped, for the first time after one interval. `tick` is told for when it was meant, by
   * the clock of the timers. `patience`: it may be so much later, ms, for something else to wake the thread.
   */
  constructor(timers: TickTimers, every: number, tick: (at: number) => void, patience = 0) {
    this.#timers = timers
    this.#every = every
    this.#tick = tick
    this.#patience = patience
    this.#timer = this.#next()
  }

  stop(): void {
    this.#timer.cancel()
  }

  #next(): Timer {
    const now = this.#timers.now()
    const at = now + untilTick(this.#every, now)
    const tick = () => {
      // First, so that a tick that throws is not the last one.
      this.#timer = this.#next()
      this.#tick(at)
    }
    return atTime(this.#timers, at, tick, this.#patience)
  }
}

export interface DueTicks {
  readonly every: number
  /** Something is looked at so often all the same, a multiple of `every`. */
  readonly atLeast: number
  /** Milliseconds until there is something to do; none or less: now. */
  readonly dueIn: () => number
  /**
   * What is due within so many ms may be done where the thread is awake for something else, which saves the wake of
   * its own; once between two multiples. Default: 0, none.
   */
  readonly early?: number | undefined
}

/** Ticks at multiples of an interval, too, but only at those at which there is something to do, or before them. */
export class DueTicking {
  readonly #timers: TickTimers
  readonly #options: DueTicks
  readonly #tick: (at: number) => void
  /** The last multiple at or after which it ticked, or was made. */
  #ticked: number
  /** The next at which it ticks… */
  #at: number
  /** …or from then on, as soon as something else wakes the thread. */
  #from: number
  #timer: Timer

  /** `tick` is told for when it was meant, by the clock of the timers. */
  constructor(timers: TickTimers, options: DueTicks, tick: (at: number) => void) {
    this.#timers = timers
    this.#options = options
    this.#tick = tick
    this.#ticked = this.#before(timers.now())
    this.#at = this.#ticked + options.every
    this.#from = this.#at
    this.#timer = this.#arm(this.#at)
  }

  /** To be called when there may be something to do at another time than before. */
  look(): void {
    const { atLeast, dueIn, early = 0, every } = this.#options
    const now = this.#timers.now()
    // It is late already, as after the loop stood still, and is to tell so: moved, it would come on time.
    if (this.#at <= now) return
    const due = Math.min(now + Math.max(0, dueIn()), this.#ticked + atLeast)
    const at = Math.max(every * Math.ceil(due / every), this.#ticked + every)
    const from = early === 0 ? at : Math.min(at, Math.max(due - early, this.#ticked + every))
    if (at === this.#at && from === this.#from) return
    this.#timer.cancel()
    this.#timer = this.#arm(at, from)
  }

  stop(): void {
    this.#timer.cancel()
  }

  #before(now: number): number {
    return this.#options.every * Math.floor(now / this.#options.every)
  }

  #arm(at: number, from = at): Timer {
    this.#at = at
    this.#from = from
    const tick = () => {
      const now = this.#timers.now()
      const isEarly = at - now > this.#options.every / 4
      this.#ticked = isEarly ? this.#before(now) : Math.max(at, this.#before(now))
      // First, so that a tick that throws, or after which nobody looks, is not the last one.
      this.#timer = this.#arm(this.#ticked + this.#options.atLeast)
      this.#tick(at)
    }
    return atTime(this.#timers, from, tick, at - from)
  }
}

/** Until the scope closes. */
export const ticking = (
  timers: TickTimers,
  every: number,
  tick: (at: number) => void,
  patience = 0
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => new Ticking(timers, every, tick, patience)),
      (it) => Effect.sync(() => it.stop())
    )
  )

/**
 * Between two looks of a fiber at what seldom changes: `time` ms, and up to half as much again, until something else
 * wakes the thread. Without timers: by the clock of the fiber.
 */
export const restFor = (time: number, timers: TickTimers | undefined): Effect.Effect<void> =>
  timers === undefined
    ? Effect.sleep(time)
    : Effect.async((resume) => {
        const timer = timers.after(time, () => resume(Effect.void), time / 2)
        return Effect.sync(() => timer.cancel())
      })

/**
 * Until the scope closes: looks each `time` ms, and up to half as much again, as `restFor` rests. `look` is plain code,
 * for a fiber each time is most of what a look costs that finds nothing; what it answers with is done, and then rested
 * anew. What it answers with does not fail; one that throws is a defect of the timers, and looks again.
 */
export const lookingAfter = (
  timers: TickTimers,
  time: number,
  look: () => Effect.Effect<void> | undefined
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    const scope = yield* Effect.scope
    let timer: Timer | undefined
    let isOver = false
    const rest = (): void => {
      if (!isOver) timer = timers.after(time, go, time / 2)
    }
    const go = (): void => {
      let work: ReturnType<typeof look>
      try {
        work = look()
      } catch (cause) {
        rest()
        throw cause
      }
      if (work === undefined) rest()
      else Runtime.runFork(runtime)(Effect.ensuring(work, Effect.sync(rest)), { scope })
    }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isOver = true
        timer?.cancel()
      })
    )
    rest()
  })
