/** How late the event loop of a thread runs: what every request through it waits beside its work. */
import type { Ticker } from "../../model/Time.ts"
import type { Histogram } from "./Cells.ts"
import type { MetricRegistry } from "./Metrics.ts"
import { RecentMost } from "./RecentMost.ts"

/** Milliseconds between two looks at least… */
const lookEvery = 1_000

/** …and at most: a thread that nothing else wakes is not woken more often for this. */
const restEvery = 5_000

/** Milliseconds the loop came too late. */
const delayBounds: ReadonlyArray<number> = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000]

/** For so long others are told that it was late, ms. */
const lateFor = 10_000

export class LoopDelay {
  readonly #delay: Histogram
  readonly #late = new RecentMost(lateFor)
  readonly #deaf: () => void
  readonly #longest: number
  #noted: number
  #expected = 0
  #timer: NodeJS.Timeout

  /**
   * `thread`: `mesh`, or the number of a request thread. Looks until it is stopped, at alarms of the `ticker` that ring
   * anyway where it tells of them.
   */
  constructor(registry: MetricRegistry, thread: string, ticker: Pick<Ticker, "onAlarm">) {
    this.#delay = registry
      .histogram(
        "skein_event_loop_delay_seconds",
        `How late a timer fired, looked at once a second, and every five while the thread rests: the time one turn of a thread's event loop took. thread: mesh, or the number of a request thread.`,
        ["thread"],
        delayBounds
      )
      .cell({ thread })
    const { onAlarm } = ticker
    this.#deaf = onAlarm?.((late) => this.#rang(late)) ?? (() => undefined)
    this.#longest = onAlarm === undefined ? lookEvery : restEvery
    this.#noted = performance.now()
    this.#timer = this.#next(this.#noted)
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
    this.#deaf()
    clearTimeout(this.#timer)
  }

  #next(now: number): NodeJS.Timeout {
    this.#expected = now + this.#longest
    return setTimeout(() => this.#look(), this.#longest).unref()
  }

  #rang(late: number): void {
    const now = performance.now()
    if (now - this.#noted >= lookEvery) this.#note(now, late)
  }

  #look(): void {
    const now = performance.now()
    const late = Math.max(0, now - this.#expected)
    this.#timer = this.#next(now)
    if (now - this.#noted >= this.#longest) this.#note(now, late)
  }

  #note(now: number, late: number): void {
    this.#noted = now
    this.#delay.record(late)
    this.#late.note(now, late)
  }
}
