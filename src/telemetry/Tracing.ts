/**
 * Spans to a collector over OTLP/HTTP. Loaded only when one is configured. A collector that is
 * slow or gone costs spans, never requests: what waits is bounded in number and bytes, what does not
 * fit is not even begun, what does not arrive is counted, and the log says once when that begins and
 * once when it is over.
 */
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { resourceFromAttributes } from "@opentelemetry/resources"
import { BatchSpanProcessor, type SpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect, type Scope } from "effect"
import type { Ticker } from "../model/Time.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { SpanRecord, SpanSink } from "../request/cells/SpanRecord.ts"
import { defaultSpanLimits, type SpanLimits, SpanRoom } from "../request/cells/SpanRoom.ts"
import { CollectedSpan, type SpanOrigin } from "./CollectedSpan.ts"
import { CollectorExporter, longestPause } from "./CollectorExporter.ts"

export interface TracingOptions {
  /** The collector, e.g. `http://127.0.0.1:4318`; `/v1/traces` is added unless it is there. */
  readonly otlp: string
  readonly node: string
  readonly mesh: string
  readonly version: string
  readonly ticker: Ticker
  readonly registry: MetricRegistry
  /** Called when the first spans are lost, and `onRecovered` when no more are; then from the start. */
  readonly onLoss: (message: string) => void
  readonly onRecovered: (message: string) => void
  /** Ended spans waiting or on their way, at most. */
  readonly room?: SpanLimits
  /** Longest wait before a batch goes out, ms. Default 1 s. */
  readonly sendEvery?: number
}

/** At close: how long the collector has to take the rest, ms. */
const flushDeadline = 2_000
/** One attempt to hand over a batch, with its retries, ms. */
const exportTimeout = 3_000
const batchSize = 256
/** Losses are over when none was seen for so long and a batch was taken, ms. */
const calmFor = 10_000

/** The URL that takes spans. */
export const tracesUrl = (otlp: string): string => {
  const url = new URL(otlp)
  if (!url.pathname.endsWith("/v1/traces")) {
    url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`
  }
  return url.href
}

/** How sending goes. `reachable` is null until a batch was tried. */
export interface ExportStatus {
  readonly collector: string | null
  readonly reachable: boolean | null
  readonly dropped: number
  readonly lastError: string | null
}

/** Counts lost spans, and says when the losing begins and when it is over. */
class LossReport {
  readonly #options: TracingOptions
  readonly #lost: { readonly queue: Counter; readonly collector: Counter }
  /** It was told that spans are lost, and not yet that this is over. */
  #told = false
  #lastLossAt = Number.NEGATIVE_INFINITY
  #unspoken = 0
  /** Why the last batch was not taken; undefined after one that was. */
  lastError: string | undefined = undefined
  total = 0

  constructor(options: TracingOptions) {
    const family = options.registry.counter(
      "skein_spans_dropped_total",
      "Spans that did not reach the collector: queue (full) or collector (did not take them).",
      ["reason"]
    )
    this.#options = options
    this.#lost = {
      queue: family.cell({ reason: "queue" }),
      collector: family.cell({ reason: "collector" })
    }
  }

  lost(reason: "queue" | "collector", spans: number, cause: string): void {
    this.#lost[reason].inc(spans)
    this.total += spans
    if (reason === "collector") this.lastError = cause
    this.#unspoken += spans
    this.#lastLossAt = this.#options.ticker.now()
    if (this.#told) return
    this.#told = true
    this.#options.onLoss(
      `${this.#unspoken} spans did not reach the collector ${this.#options.otlp} (${cause}), and so on until this log says that it is over. ` +
        "Requests are not affected. Is the collector running and its OTLP/HTTP port right?"
    )
    this.#unspoken = 0
  }

  /** The collector took a batch. It is over when nothing was lost for a while either. */
  taken(): void {
    this.lastError = undefined
    if (!this.#told || this.#options.ticker.now() - this.#lastLossAt < calmFor) return
    this.#told = false
    this.#options.onRecovered(
      `the collector ${this.#options.otlp} takes spans again; ${this.#unspoken} more were lost`
    )
    this.#unspoken = 0
  }
}

const causeOf = (error: Error): string => {
  // A refused connection to a host with two addresses is an AggregateError without a message.
  const code = "code" in error && error.code !== undefined ? String(error.code) : undefined
  return error.message !== "" ? error.message : (code ?? error.name)
}

/** Stands before the batches: admits spans while there is room for them. */
class CollectorQueue implements SpanSink {
  readonly #next: SpanProcessor
  readonly #origin: SpanOrigin
  readonly #room: SpanRoom
  readonly #report: LossReport

  constructor(next: SpanProcessor, origin: SpanOrigin, room: SpanRoom, report: LossReport) {
    this.#next = next
    this.#origin = origin
    this.#room = room
    this.#report = report
  }

  get full(): boolean {
    return this.#room.full
  }

  add(record: SpanRecord): void {
    // Asked first: what is dropped need not be made.
    if (!this.#room.take(record)) this.drop()
    else this.#next.onEnd(new CollectedSpan(record, this.#origin))
  }

  drop(spans = 1): void {
    if (spans > 0) this.#report.lost("queue", spans, "the queue is full")
  }
}

export interface Tracing {
  /** Takes what has ended, in this thread or in another, and how much another has dropped. */
  readonly queue: SpanSink & { readonly drop: (spans?: number) => void }
  readonly status: () => ExportStatus
}

/** The way to the collector, until the scope closes: then the rest is sent, with a deadline. */
export const makeTracing = (options: TracingOptions): Effect.Effect<Tracing, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { registry, ticker } = options
    const exported = registry
      .counter("skein_spans_exported_total", "Spans the collector took.", [])
      .cell({})
    const queued = registry.gauge("skein_spans_queued", "Ended spans not yet sent.", []).cell({})
    const report = new LossReport(options)
    const limits = options.room ?? defaultSpanLimits
    const room = new SpanRoom(limits)

    const { processor } = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const maxExportBatchSize = Math.min(batchSize, limits.spans)
        const exporter = new CollectorExporter({
          ticker,
          exporter: new OTLPTraceExporter({
            url: tracesUrl(options.otlp),
            timeoutMillis: exportTimeout,
            // At close all that waits goes out at once, besides the batch under way.
            concurrencyLimit: Math.ceil(limits.spans / maxExportBatchSize) + 1
          }),
          onSettled: (spans, error) => {
            room.give(spans)
            if (error === undefined) {
              exported.inc(spans.length)
              report.taken()
            } else report.lost("collector", spans.length, causeOf(error))
          }
        })
        registry.onCollect(() => queued.set(room.spans))
        return {
          exporter,
          processor: new BatchSpanProcessor(exporter, {
            maxQueueSize: limits.spans,
            maxExportBatchSize,
            scheduledDelayMillis: options.sendEvery ?? 1_000,
            // Longer than a pause and the exporter's own, so that a batch is settled exactly once.
            exportTimeoutMillis: longestPause + exportTimeout + 1_000
          })
        }
      }),
      ({ processor: closing, exporter }) =>
        // A failed flush was counted and told by the exporter already.
        Effect.tryPromise(() => {
          exporter.close()
          return closing.shutdown()
        }).pipe(
          Effect.disconnect,
          Effect.interruptible, // a finalizer is not, and then a timeout waits
          Effect.timeoutOption(flushDeadline),
          Effect.ignore
        )
    )
    const origin: SpanOrigin = {
      resource: resourceFromAttributes({
        "service.name": "skein",
        "service.version": options.version,
        "service.instance.id": options.node,
        "skein.node": options.node,
        "skein.mesh": options.mesh
      }),
      instrumentationScope: { name: "skein", version: options.version }
    }
    return {
      queue: new CollectorQueue(processor, origin, room, report),
      status: () => ({
        collector: options.otlp,
        reachable: report.lastError !== undefined ? false : exported.value > 0 ? true : null,
        dropped: report.total,
        lastError: report.lastError ?? null
      })
    }
  })
