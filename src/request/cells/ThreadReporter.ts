/**
 * Tells the mesh thread what there is to tell of a request thread's telemetry: a report every few
 * milliseconds at most, since each wakes another thread, and none before the last was taken in. When
 * the mesh thread is stalled, one report waits for it and the rest here, in batches that are bounded.
 */
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { AccessLines } from "./AccessLines.ts"
import type { MetricRegistry } from "./Metrics.ts"
import type { SpanBatch } from "./SpanBatch.ts"
import type { ThreadOrder, ThreadReport } from "./ThreadReport.ts"

/** While there is no room for spans: ms until the mesh thread is asked whether there is again. */
const askAgain = 1_000

export interface ThreadReporterOptions {
  readonly registry: MetricRegistry
  /** Undefined: nothing is traced. */
  readonly spans: SpanBatch | undefined
  /** Undefined: there is no access log. */
  readonly lines: AccessLines | undefined
  readonly ticker: Pick<Ticker, "after">
  /** To the mesh thread. */
  readonly post: (report: ThreadReport) => void
  /** Ms that what there is to tell may wait for more. Default 20. */
  readonly every?: number
}

export class ThreadReporter {
  readonly #options: ThreadReporterOptions
  readonly #every: number
  /** Of the last report, and of the last that was taken in. */
  #serial = 0
  #taken = 0
  /** For what there is to tell. */
  #timer: Timer | undefined
  /** For asking whether there is room for spans again. */
  #asking: Timer | undefined
  #stopped = false

  /** Reports by itself from now on, until `stop`. */
  constructor(options: ThreadReporterOptions) {
    this.#options = options
    this.#every = options.every ?? 20
    const { registry, spans, lines } = options
    const wake = () => this.#wake()
    registry.onJournal = wake
    if (spans !== undefined) spans.onWaiting = wake
    if (lines !== undefined) lines.onWaiting = wake
    wake()
  }

  /** What the mesh thread says. */
  obey(order: ThreadOrder): void {
    if (this.#stopped) return
    const { registry, spans } = this.#options
    if (order.kind === "anew") {
      this.#begin()
      return
    }
    if (order.kind === "collect") {
      registry.collect()
      // At once, whatever is on its way: somebody waits for it. One is asked for at a time.
      this.#report(true)
      return
    }
    this.#taken = Math.max(this.#taken, order.serial)
    if (order.cells !== undefined) registry.journalApplied(order.cells)
    if (spans !== undefined) spans.takerFull = order.spansFull
    if (this.#isWaiting) this.#wake()
    this.#asking?.cancel()
    this.#asking = order.spansFull
      ? this.#options.ticker.after(askAgain, () => this.#report(false))
      : undefined
  }

  /** What was on its way to who read them before is lost; nobody will say that it was taken in. */
  #begin(): void {
    const { registry, spans } = this.#options
    this.#taken = this.#serial
    this.#asking?.cancel()
    this.#asking = undefined
    if (spans !== undefined) spans.takerFull = false
    registry.tellAnew()
    this.#wake()
  }

  /** The last report: of what is counted in new cells, traced or logged from now on nobody learns. */
  stop(): void {
    this.#stopped = true
    const { registry, spans, lines } = this.#options
    registry.onJournal = undefined
    if (spans !== undefined) spans.onWaiting = undefined
    if (lines !== undefined) lines.onWaiting = undefined
    this.#timer?.cancel()
    this.#asking?.cancel()
    if (this.#isWaiting) this.#report(false)
  }

  get #isWaiting(): boolean {
    const { registry, spans, lines } = this.#options
    return registry.hasJournal || spans?.isWaiting === true || lines?.isWaiting === true
  }

  #wake(): void {
    this.#timer ??= this.#options.ticker.after(this.#every, () => {
      this.#timer = undefined
      if (this.#taken === this.#serial && this.#isWaiting) this.#report(false)
    })
  }

  #report(collected: boolean): void {
    const { registry, spans, lines, post } = this.#options
    post({
      serial: ++this.#serial,
      cells: registry.takeJournal(),
      spans: spans?.isWaiting === true ? spans.takeSpans() : undefined,
      lines: lines?.isWaiting === true ? lines.takeLines() : undefined,
      collected
    })
  }
}
