/**
 * Sends batches to the collector, tells what became of each, and leaves a collector that took none
 * alone for a while: what waits meanwhile waits where it is. Trying all the time would turn every
 * span there is into garbage, a second old, which is what fills a heap.
 */
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"

type ExportCallback = Parameters<SpanExporter["export"]>[1]

/** The pause after a batch that was not taken, ms: twice as long after each, ± a quarter. */
const basePause = 1_000
const maxPause = 10_000
/** The longest there is. */
export const longestPause = maxPause * 1.25

export interface CollectorExporterOptions {
  readonly exporter: SpanExporter
  readonly ticker: Pick<Ticker, "now" | "after" | "random">
  /** What became of a batch. */
  readonly onSettled: (spans: ReadonlyArray<ReadableSpan>, error: Error | undefined) => void
}

export class CollectorExporter implements SpanExporter {
  readonly #options: CollectorExporterOptions
  /** Those that wait for the end of the pause. */
  readonly #waiting = new Set<() => void>()
  #timer: Timer | undefined = undefined
  #failures = 0
  #notBefore = Number.NEGATIVE_INFINITY
  #closing = false

  constructor(options: CollectorExporterOptions) {
    this.#options = options
  }

  export(spans: Array<ReadableSpan>, callback: ExportCallback): void {
    const { ticker } = this.#options
    const send = () => this.#send(spans, callback)
    const pause = this.#notBefore - ticker.now()
    if (this.#closing || pause <= 0) {
      send()
      return
    }
    this.#waiting.add(send)
    this.#timer ??= ticker.after(pause, () => this.#resume())
  }

  /** What waits is tried now, once more, since there will be no other time. */
  close(): void {
    this.#closing = true
    this.#resume()
  }

  forceFlush(): Promise<void> {
    return this.#options.exporter.forceFlush?.() ?? Promise.resolve()
  }

  shutdown(): Promise<void> {
    this.close()
    return this.#options.exporter.shutdown()
  }

  #resume(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const send of waiting) send()
  }

  #send(spans: Array<ReadableSpan>, callback: ExportCallback): void {
    const { exporter, onSettled, ticker } = this.#options
    exporter.export(spans, (result) => {
      const failed = result.code !== 0 // ExportResultCode.SUCCESS
      if (failed) {
        const pause = Math.min(maxPause, basePause * 2 ** this.#failures)
        this.#failures = Math.min(this.#failures + 1, 16)
        this.#notBefore = ticker.now() + pause * (0.75 + ticker.random() / 2)
      } else {
        this.#failures = 0
        this.#notBefore = Number.NEGATIVE_INFINITY
      }
      onSettled(spans, failed ? (result.error ?? new Error("refused")) : undefined)
      callback(result)
    })
  }
}
