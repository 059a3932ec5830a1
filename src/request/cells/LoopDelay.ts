/** How late the event loop of a thread runs: what every request through it waits beside its work. */
import { untilTick } from "../../model/Time.ts"
import type { Histogram } from "./Cells.ts"
import type { MetricRegistry } from "./Metrics.ts"
import { RecentMost } from "./RecentMost.ts"

/** Milliseconds between two looks. Seldom enough not to keep a host awake. */
const lookEvery = 1_000

/** Milliseconds the loop came too late. */
const delayBounds: ReadonlyArray<number> = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000]

/** For so long others are told that it was late, ms. */
const lateFor = 10_000

export class LoopDelay {
  readonly #delay: Histogram
  readonly #late = new RecentMost(lateFor)
  #expected = 0
  #timer: NodeJS.Timeout

  /** `thread`: `mesh`, or the number of a request thread. Looks until it is stopped. */
  constructor(registry: MetricRegistry, thread: string) {
    this.#delay = registry
      .histogram(
        "skein_event_loop_delay_seconds",
        `How late a timer of a second fired: the time one turn of a thread's event loop took. thread: mesh, or the number of a request thread.`,
        ["thread"],
        delayBounds
      )
      .cell({ thread })
    this.#timer = this.#next(performance.now())
  }

  /** The 99th percentile since the start, ms. */
  get p99(): number {
    return this.#delay.quantile(0.99)
  }

  /** The most that it was late within the last 10 to 20 s, ms. */
  get recent(): number {
    return this.#late.at(performance.now())
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** When this thread wakes for its other ticks, too. */
  #next(now: number): NodeJS.Timeout {
    const wait = Math.ceil(untilTick(lookEvery, now))
    this.#expected = now + wait
    return setTimeout(() => this.#look(), wait).unref()
  }

  #look(): void {
    const now = performance.now()
    const late = Math.max(0, now - this.#expected)
    this.#timer = this.#next(now)
    this.#delay.record(late)
    this.#late.note(now, late)
  }
}
