/**
 * The whole of a node's telemetry: metrics always, access log and traces when asked for. Nothing
 * in here can fail a node: a log that cannot be written or a collector that is away is told in
 * the node's own log, seldom, and counted.
 */
import { Effect, Runtime, type Scope } from "effect"
import type { Observer } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { NodeObserver } from "../request/cells/NodeObserver.ts"
import { RecordedSpans } from "../request/cells/RecordedSpan.ts"
import { AccessLog, FileSink, StandardSink } from "./AccessLog.ts"
import { observeProcess } from "./ProcessMetrics.ts"
import { ThreadReports } from "./ThreadReports.ts"
import type { ExportStatus } from "./Tracing.ts"

export interface TelemetryOptions {
  /** Name of this node. */
  readonly node: string
  /** Id or name of its mesh. */
  readonly mesh: string
  /** Version of the program. Default `unknown`. */
  readonly version?: string
  /** Base URL of an OTLP/HTTP collector; without it nothing of tracing is even loaded. */
  readonly otlp?: string
  /** Share of requests without trace context that start a trace, 0–1. */
  readonly sample: number
  readonly accessLog: "off" | "stdout" | "stderr" | { readonly file: string }
  readonly ticker: Ticker
}

export interface Telemetry {
  readonly registry: MetricRegistry
  readonly observer: Observer
  /**
   * What `/metrics` answers, with `prometheusContentType`: of this thread and all that report. Takes as
   * long as they need to set their gauges, at most 100 ms.
   */
  readonly prometheus: Effect.Effect<string>
  /** Where request threads report. */
  readonly reports: ThreadReports
  /** How the sending of traces goes. */
  readonly exportStatus: () => ExportStatus
  /** How late timers of this thread fire, 99th percentile since the start (ms). */
  readonly loopDelay: () => number
  /** The most that they were late within the last 10 to 20 s (ms). */
  readonly loopLate: () => number
  /** Takes effect with the next request. */
  readonly setSample: (sample: number) => void
  /** After a log rotator moved the access log away. */
  readonly reopenAccessLog: Effect.Effect<void>
}

const quietFor = 60_000

const makeAccessLog = (
  options: TelemetryOptions,
  registry: MetricRegistry,
  warn: (message: string) => void
): Effect.Effect<AccessLog | undefined, never, Scope.Scope> => {
  const { accessLog, ticker } = options
  if (accessLog === "off") return Effect.succeed(undefined)
  let warnedAt = Number.NEGATIVE_INFINITY
  return Effect.acquireRelease(
    Effect.sync(
      () =>
        new AccessLog({
          sink:
            typeof accessLog === "string"
              ? new StandardSink(accessLog)
              : new FileSink(accessLog.file),
          registry,
          soon: setImmediate,
          onError: (error) => {
            if (ticker.now() - warnedAt < quietFor) return
            warnedAt = ticker.now()
            const where = typeof accessLog === "string" ? accessLog : accessLog.file
            warn(
              `access log lines were lost: cannot write to ${where} (${error.message}). ` +
                "Requests are not affected. Is the directory there and writable, the disk not full?"
            )
          }
        })
    ),
    (log) =>
      // A disk that hangs must not keep the node from stopping.
      Effect.promise(() => log.close()).pipe(
        Effect.disconnect,
        Effect.interruptible, // a finalizer is not, and then a timeout waits
        Effect.timeoutOption("2 seconds"),
        Effect.asVoid
      )
  )
}

export const makeTelemetry = (
  options: TelemetryOptions
): Effect.Effect<Telemetry, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { node, mesh, ticker, otlp, sample } = options
    const version = options.version ?? "unknown"
    const runtime = yield* Effect.runtime<never>()
    const warn = (message: string): void => {
      Runtime.runFork(runtime)(Effect.logWarning(message))
    }
    const tell = (message: string): void => {
      Runtime.runFork(runtime)(Effect.logInfo(message))
    }
    const registry = new MetricRegistry()
    const loopDelay = yield* observeProcess(registry, ticker, { node, mesh, version })
    const accessLog = yield* makeAccessLog(options, registry, warn)
    const tracing =
      otlp === undefined
        ? undefined
        : yield* Effect.promise(() => import("./Tracing.ts")).pipe(
            Effect.flatMap(({ makeTracing }) =>
              makeTracing({
                otlp,
                node,
                mesh,
                version,
                ticker,
                registry,
                onLoss: warn,
                onRecovered: tell
              })
            )
          )
    const observer = new NodeObserver({
      node,
      registry,
      ticker,
      spans:
        tracing === undefined
          ? undefined
          : new RecordedSpans({ sink: tracing.queue, ticker, node }),
      accessLog,
      sample
    })
    const reports = new ThreadReports({ registry, ticker, accessLog, queue: tracing?.queue })
    return {
      registry,
      observer,
      // The first scrape loads what writes the text: most starts are waited for, and few scrapes.
      prometheus: Effect.flatMap(
        Effect.promise(() => import("./PrometheusText.ts")),
        ({ prometheusText }) =>
          Effect.async((resume) =>
            reports.scrape((metrics) => resume(Effect.succeed(prometheusText(metrics))))
          )
      ),
      reports,
      loopDelay: () => loopDelay.p99,
      loopLate: () => loopDelay.recent,
      exportStatus: () =>
        tracing?.status() ?? { collector: null, reachable: null, dropped: 0, lastError: null },
      setSample: (share) => observer.setSample(share),
      reopenAccessLog: Effect.sync(() => accessLog?.reopen())
    }
  })
