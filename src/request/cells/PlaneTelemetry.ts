/**
 * The telemetry of a request plane that has a thread of its own: counted here and read from there,
 * spans and lines made here and sent from there.
 */
import type { OnDefect } from "../../model/Defect.ts"
import type { Log } from "../../model/Log.ts"
import type { Ticker } from "../../model/Time.ts"
import { AccessLines } from "./AccessLines.ts"
import { DefectLog } from "./DefectLog.ts"
import { MetricRegistry } from "./Metrics.ts"
import { NodeObserver } from "./NodeObserver.ts"
import { RecordedSpans } from "./RecordedSpan.ts"
import { SpanBatch } from "./SpanBatch.ts"
import type { ThreadOrder, ThreadReport } from "./ThreadReport.ts"
import { ThreadReporter } from "./ThreadReporter.ts"

export interface PlaneTelemetryOptions {
  /** Name of this node. */
  readonly node: string
  readonly ticker: Ticker
  /** There is a collector. */
  readonly traces: boolean
  /** There is an access log. */
  readonly accessLog: boolean
  /** Share of requests without trace context that start a trace, 0–1. */
  readonly sample: number
  /** Where defects are told. */
  readonly log: Log
  /** To the mesh thread. */
  readonly post: (report: ThreadReport) => void
}

export class PlaneTelemetry {
  readonly registry = new MetricRegistry()
  readonly observer: NodeObserver
  /** Where what throws in the thread is counted and told. */
  readonly onDefect: OnDefect
  readonly #reporter: ThreadReporter

  constructor(options: PlaneTelemetryOptions) {
    const { node, ticker, traces, accessLog, sample, log, post } = options
    const { registry } = this
    const onDefect = new DefectLog({ registry, log, now: () => ticker.now() }).report
    this.onDefect = onDefect
    const sink = traces ? new SpanBatch() : undefined
    const lines = accessLog ? new AccessLines() : undefined
    const spans = sink === undefined ? undefined : new RecordedSpans({ sink, ticker, node })
    this.observer = new NodeObserver({
      ...{ node, registry, ticker, spans, accessLog: lines, sample, onDefect }
    })
    this.#reporter = new ThreadReporter({ registry, spans: sink, lines, ticker, post })
  }

  /** What the mesh thread says. */
  obey(order: ThreadOrder): void {
    this.#reporter.obey(order)
  }

  /** The last report, when all exchanges have ended. */
  stop(): void {
    this.#reporter.stop()
  }
}
