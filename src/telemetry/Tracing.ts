/**
 * Spans to a collector over OTLP/HTTP. Loaded only when one is configured. A collector that is
 * slow or gone costs spans, never requests: the queue is bounded, what does not fit or does not
 * arrive is counted, and one log line a minute tells of it.
 */
import type { Tracer } from "@opentelemetry/api"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { resourceFromAttributes } from "@opentelemetry/resources"
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  type ReadableSpan,
  type Span,
  type SpanExporter,
  type SpanProcessor
} from "@opentelemetry/sdk-trace-base"
import { Effect, type Scope } from "effect"
import type { ExchangeInfo } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import { HttpSpan, SpanClock } from "./HttpSpan.ts"
import type { Counter, MetricRegistry } from "./Metrics.ts"
import type { ExchangeSpan, SpanSource } from "./Spans.ts"
import type { TraceContext } from "./TraceContext.ts"

export interface TracingOptions {
  /** The collector, e.g. `http://127.0.0.1:4318`; `/v1/traces` is added unless it is there. */
  readonly otlp: string
  readonly node: string
  readonly mesh: string
  readonly version: string
  readonly ticker: Ticker
  readonly registry: MetricRegistry
  /** Called when spans are lost, at most once a minute. */
  readonly onLoss: (message: string) => void
  /** Ended spans waiting or on their way, at most. Default 2,048 (about 4 MB). */
  readonly maxQueue?: number
  /** Longest wait before a batch goes out, ms. Default 1 s. */
  readonly sendEvery?: number
}

/** At close: how long the collector has to take the rest, ms. */
const flushDeadline = 2_000
/** One attempt to hand over a batch, with its retries, ms. */
const exportTimeout = 3_000
const batchSize = 256
const quietFor = 60_000

/** The URL that takes spans. */
export const tracesUrl = (otlp: string): string => {
  const url = new URL(otlp)
  if (!url.pathname.endsWith("/v1/traces")) {
    url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`
  }
  return url.href
}

/**
 * Stands before the batches: admits spans while fewer than `limit` are held, whether they wait or
 * are being sent, so that memory is bounded whatever the collector does.
 */
class BoundedSpans implements SpanProcessor {
  readonly #next: SpanProcessor
  readonly #limit: number
  readonly #onFull: () => void
  held = 0

  constructor(next: SpanProcessor, limit: number, onFull: () => void) {
    this.#next = next
    this.#limit = limit
    this.#onFull = onFull
  }

  onStart(span: Span, context: Parameters<SpanProcessor["onStart"]>[1]): void {
    this.#next.onStart(span, context)
  }

  onEnd(span: ReadableSpan): void {
    if (this.held >= this.#limit) {
      this.#onFull()
      return
    }
    this.held++
    this.#next.onEnd(span)
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

type ExportCallback = Parameters<SpanExporter["export"]>[1]

/** Tells what became of each batch. */
class WatchedExporter implements SpanExporter {
  readonly #next: SpanExporter
  readonly #onSettled: (spans: number, error: Error | undefined) => void

  constructor(next: SpanExporter, onSettled: (spans: number, error: Error | undefined) => void) {
    this.#next = next
    this.#onSettled = onSettled
  }

  export(spans: Array<ReadableSpan>, callback: ExportCallback): void {
    const count = spans.length
    this.#next.export(spans, (result) => {
      const failed = result.code !== 0 // ExportResultCode.SUCCESS
      this.#onSettled(count, failed ? (result.error ?? new Error("refused")) : undefined)
      callback(result)
    })
  }

  forceFlush(): Promise<void> {
    return this.#next.forceFlush?.() ?? Promise.resolve()
  }

  shutdown(): Promise<void> {
    return this.#next.shutdown()
  }
}

/** Counts lost spans and speaks of them seldom. */
class LossReport {
  readonly #options: TracingOptions
  readonly #lost: { readonly queue: Counter; readonly collector: Counter }
  #spokeAt = Number.NEGATIVE_INFINITY
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
    const now = this.#options.ticker.now()
    if (now - this.#spokeAt < quietFor) return
    this.#spokeAt = now
    this.#options.onLoss(
      `${this.#unspoken} spans did not reach the collector ${this.#options.otlp} (${cause}). ` +
        "Requests are not affected. Is the collector running and its OTLP/HTTP port right?"
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

  constructor(tracer: Tracer, node: string, clock: SpanClock) {
    this.#tracer = tracer
    this.#node = node
    this.#clock = clock
  }

  start(info: ExchangeInfo, parent: TraceContext | undefined, at: number): ExchangeSpan {
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

    const provider = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const maxQueue = options.maxQueue ?? 2_048
        const maxExportBatchSize = Math.min(batchSize, maxQueue)
        const exporter = new WatchedExporter(
          new OTLPTraceExporter({
            url: tracesUrl(options.otlp),
            timeoutMillis: exportTimeout,
            // At close all that waits goes out at once, besides the batch under way.
            concurrencyLimit: Math.ceil(maxQueue / maxExportBatchSize) + 1
          }),
          (spans, error) => {
            bounded.held -= spans
            if (error === undefined) {
              exported.inc(spans)
              report.lastError = undefined
            } else report.lost("collector", spans, causeOf(error))
          }
        )
        const bounded = new BoundedSpans(
          new BatchSpanProcessor(exporter, {
            maxQueueSize: maxQueue,
            maxExportBatchSize,
            scheduledDelayMillis: options.sendEvery ?? 1_000,
            // Longer than the exporter's own, so that a batch is settled exactly once.
            exportTimeoutMillis: exportTimeout + 1_000
          }),
          maxQueue,
          () => report.lost("queue", 1, "the queue is full")
        )
        registry.onCollect(() => queued.set(bounded.held))
        return new BasicTracerProvider({
          // Whether to sample is the observer's decision; a span that is started is sampled.
          sampler: new AlwaysOnSampler(),
          spanLimits: { attributeValueLengthLimit: 1_024, eventCountLimit: 64 },
          resource: resourceFromAttributes({
            "service.name": "skein",
            "service.version": options.version,
            "service.instance.id": options.node,
            "skein.node": options.node,
            "skein.mesh": options.mesh
          }),
          spanProcessors: [bounded]
        })
      }),
      (provider) =>
        // A failed flush was counted and told by the exporter already.
        Effect.tryPromise(() => provider.shutdown()).pipe(
          Effect.disconnect,
          Effect.interruptible, // a finalizer is not, and then a timeout waits
          Effect.timeoutOption(flushDeadline),
          Effect.ignore
        )
    )
    const tracer = provider.getTracer("skein", options.version)
    return {
      spans: new Tracing(tracer, options.node, new SpanClock(ticker)),
      status: () => ({
        collector: options.otlp,
        reachable: report.lastError !== undefined ? false : exported.value > 0 ? true : null,
        dropped: report.total,
        lastError: report.lastError ?? null
      })
    }
  })
