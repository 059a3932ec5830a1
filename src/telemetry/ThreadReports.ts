/**
 * The telemetry of request threads, as the mesh thread has it: what they report is taken in, and a
 * scrape tells the metrics of all.
 */
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { ThreadOrder, ThreadReport } from "../request/cells/ThreadReport.ts"
import type { AccessLog } from "./AccessLog.ts"
import { CollectRound } from "./CollectRound.ts"
import { MergedMetrics } from "./MergedMetrics.ts"
import type { TextSource } from "./PrometheusText.ts"
import type { ThreadCells } from "./ThreadCells.ts"
import type { Tracing } from "./Tracing.ts"

export interface ThreadReportsOptions {
  /** Of the mesh thread itself. */
  readonly registry: MetricRegistry
  readonly ticker: Pick<Ticker, "now" | "after">
  readonly accessLog: AccessLog | undefined
  readonly queue: Tracing["queue"] | undefined
  /** Ms that a scrape waits for threads. Default 100. */
  readonly patience?: number
}

/** One request thread, from its begin to its end. */
export interface ReportingThread {
  receive(report: ThreadReport): void
  /** It is no more. What it counted stays. */
  end(): void
}

type Post = (order: ThreadOrder) => void

export class ThreadReports {
  readonly #options: ThreadReportsOptions
  readonly #merged: MergedMetrics
  readonly #round: CollectRound<Post>
  readonly #posts = new Set<Post>()

  constructor(options: ThreadReportsOptions) {
    const { registry, ticker, patience } = options
    this.#options = options
    this.#merged = new MergedMetrics({ own: registry, now: () => ticker.now() })
    this.#round = new CollectRound({ ticker, ...(patience === undefined ? {} : { patience }) })
  }

  /** `to`: carries an order to it. May be called before the thread listens; must not throw. */
  begin(to: Post): ReportingThread {
    // One of its own, so that it tells this thread from the others.
    const post: Post = (order) => to(order)
    const cells = this.#merged.thread()
    this.#posts.add(post)
    return {
      receive: (report) => this.#receive(report, cells, post),
      end: () => {
        if (!this.#posts.delete(post)) return
        cells.end()
        this.#round.ended(post)
      }
    }
  }

  /** What `/metrics` tells, when all threads have answered or the patience is over. */
  scrape(done: (metrics: TextSource) => void): void {
    this.#round.begin(
      this.#posts,
      (post) => post({ kind: "collect" }),
      () => done(this.#merged)
    )
  }

  /** The same with the gauges of the threads as they are. */
  get metrics(): TextSource {
    return this.#merged
  }

  #receive(report: ThreadReport, to: ThreadCells, post: Post): void {
    const { accessLog, queue } = this.#options
    const { serial, cells, spans, lines, collected } = report
    if (lines !== undefined) accessLog?.write(lines)
    if (spans !== undefined && queue !== undefined) {
      for (const span of spans.spans) queue.add(span)
      queue.drop(spans.dropped)
    }
    // What was on its way when a thread ended may come after its end; its cells are in the base then.
    if (!this.#posts.has(post)) return
    if (cells !== undefined) to.apply(cells)
    post({ kind: "taken", serial, cells: cells?.serial, spansFull: queue?.full ?? false })
    if (collected) this.#round.answered(post)
  }
}
