/**
 * Spans to a collector over OTLP/HTTP. Loaded only when one is configured. A collector that is
 * slow or gone costs spans, never requests: what waits is bounded in number and bytes, what does not
 * fit is not even begun, what does not arrive is counted, and the log says once when that begins and
 * once when it is over.
 */
import type { Tracer } from "@opentelemetry/api"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { resourceFromAttributes } from "@opentelemetry/resources"
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  RandomIdGenerator,
  type ReadableSpan,
  type Span,
  type SpanProcessor
} from "@opentelemetry/sdk-trace-base"
import { Effect, type Scope } from "effect"
import type { ExchangeInfo } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { ExchangeSpan, SpanSource } from "../request/cells/Spans.ts"
import type { TraceContext } from "../request/cells/TraceContext.ts"
import { UnrecordedSpan } from "../request/cells/UnrecordedSpan.ts"
import { CollectorExporter, longestPause } from "./CollectorExporter.ts"
import { HttpSpan, SpanClock } from "./HttpSpan.ts"
import { defaultSpanLimits, type SpanLimits, SpanRoom } from "./SpanRoom.ts"

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

/** Stands before the batches: admits spans while there is room for them. */
class BoundedSpans implements SpanProcessor {
  readonly #next: SpanProcessor
  readonly #room: SpanRoom
  readonly #onFull: () => void

  constructor(next: SpanProcessor, room: SpanRoom, onFull: () => void) {
    this.#next = next
    this.#room = room
    this.#onFull = onFull
  }

  onStart(span: Span, context: Parameters<SpanProcessor["onStart"]>[1]): void {
    this.#next.onStart(span, context)
  }

  onEnd(span: ReadableSpan): void {
    if (this.#room.take(span)) this.#next.onEnd(span)
    else this.#onFull()
  }

  forceFlush(): Promise<void> {
    return this.#next.forceFlush()
  }

  shutdown(): Promise<void> {
    return this.#next.shutdown()
  }
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

class Tracing implements SpanSource {
  readonly #tracer: Tracer
  readonly #node: string
  readonly #clock: SpanClock
  readonly #room: SpanRoom
  readonly #onFull: () => void
  readonly #ids = new RandomIdGenerator()

  constructor(tracer: Tracer, node: string, clock: SpanClock, room: SpanRoom, onFull: () => void) {
    this.#tracer = tracer
    this.#node = node
    this.#clock = clock
    this.#room = room
    this.#onFull = onFull
  }

  start(info: ExchangeInfo, parent: TraceContext | undefined, at: number): ExchangeSpan {
    // Whatever is made of a span that will be dropped is made for nothing, and has to be collected.
    if (this.#room.full) {
      this.#onFull()
      return new UnrecordedSpan(this.#ids, parent)
    }
    return new HttpSpan(this.#tracer, this.#clock, this.#node, info, parent, at)
  }
}

/** The way to the collector, until the scope closes: then the rest is sent, with a deadline. */
export const makeTracing = (
  options: TracingOptions
): Effect.Effect<
  { readonly spans: SpanSource; readonly status: () => ExportStatus },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const { registry, ticker } = options
    const exported = registry
      .counter("skein_spans_exported_total", "Spans the collector took.", [])
      .cell({})
    const queued = registry.gauge("skein_spans_queued", "Ended spans not yet sent.", []).cell({})
    const report = new LossReport(options)
    const limits = options.room ?? defaultSpanLimits
    const room = new SpanRoom(limits)
    const onFull = () => report.lost("queue", 1, "the queue is full")

    const { provider } = yield* Effect.acquireRelease(
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
        const bounded = new BoundedSpans(
          new BatchSpanProcessor(exporter, {
            maxQueueSize: limits.spans,
            maxExportBatchSize,
            scheduledDelayMillis: options.sendEvery ?? 1_000,
            // Longer than a pause and the exporter's own, so that a batch is settled exactly once.
            exportTimeoutMillis: longestPause + exportTimeout + 1_000
          }),
          room,
          onFull
        )
        registry.onCollect(() => queued.set(room.spans))
        const made = new BasicTracerProvider({
          // Whether to sample is the observer's decision; a span that is started is sampled.
          sampler: new AlwaysOnSampler(),
          spanLimits: {
            attributeCountLimit: 32,
            attributeValueLengthLimit: 1_024,
            attributePerEventCountLimit: 16,
            eventCountLimit: 64
          },
          resource: resourceFromAttributes({
            "service.name": "skein",
            "service.version": options.version,
            "service.instance.id": options.node,
            "skein.node": options.node,
            "skein.mesh": options.mesh
          }),
          spanProcessors: [bounded]
        })
        return { provider: made, exporter }
      }),
      ({ provider: made, exporter }) =>
        // A failed flush was counted and told by the exporter already.
        Effect.tryPromise(() => {
          exporter.close()
          return made.shutdown()
        }).pipe(
          Effect.disconnect,
          Effect.interruptible, // a finalizer is not, and then a timeout waits
          Effect.timeoutOption(flushDeadline),
          Effect.ignore
        )
    )
    const tracer = provider.getTracer("skein", options.version)
    return {
      spans: new Tracing(tracer, options.node, new SpanClock(ticker), room, onFull),
      status: () => ({
        collector: options.otlp,
        reachable: report.lastError !== undefined ? false : exported.value > 0 ? true : null,
        dropped: report.total,
        lastError: report.lastError ?? null
      })
    }
  })
