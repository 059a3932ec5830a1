/**
 * Every exchange of a node, observed: counted always, logged when there is an access log, traced
 * when sampled. Not sampled and not logged it costs one object, two clock reads and some
 * additions; the request's fields pass through untouched.
 */
import { formatCaller } from "../../model/Caller.ts"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Fields } from "../../model/Exchange.ts"
import { faultKinds } from "../../model/Fault.ts"
import type { ExchangeInfo, ExchangeObservation, Observer, Outcome } from "../../model/Observer.ts"
import type { Ticker } from "../../model/Time.ts"
import type { AccessLogSink } from "./AccessLogEntry.ts"
import { type ExchangeCells, ExchangeCellTable } from "./ExchangeCells.ts"
import type { MetricRegistry } from "./Metrics.ts"
import type { ExchangeSpan, SpanSource } from "./Spans.ts"
import { sampledFlag, type TraceContext, traceContextOf, withTraceContext } from "./TraceContext.ts"

/** Label of all services that nobody offers: made-up names must not crowd out real ones. */
const unknownService = "unknown"

export interface NodeObserverOptions {
  /** Name of this node. */
  readonly node: string
  readonly registry: MetricRegistry
  readonly ticker: Ticker
  /** Undefined: no collector is configured, nothing is traced. */
  readonly spans: SpanSource | undefined
  readonly accessLog: AccessLogSink | undefined
  /** Share of requests without trace context that start a trace, 0–1. */
  readonly sample: number
  /**
   * Hears when a span or the access log throws: the exchange is counted all the same. Default: it is
   * thrown on.
   */
  readonly onDefect?: OnDefect | undefined
}

/** Where spans and the access log throw. */
const where = "a span or a line of the access log"

export class NodeObserver implements Observer {
  readonly node: string
  readonly ticker: Ticker
  readonly accessLog: AccessLogSink | undefined
  readonly #onDefect: OnDefect
  readonly #cells: ExchangeCellTable
  readonly #spans: SpanSource | undefined
  #sample: number

  constructor(options: NodeObserverOptions) {
    this.node = options.node
    this.ticker = options.ticker
    this.accessLog = options.accessLog
    this.#onDefect = options.onDefect ?? uncontained
    this.#spans = options.spans
    this.#sample = options.sample
    this.#cells = new ExchangeCellTable(options.registry)
    options.registry.onCollect(() => this.#cells.sweep(options.ticker.now()))
  }

  setSample(sample: number): void {
    this.#sample = sample
  }

  begin(info: ExchangeInfo): ExchangeObservation {
    const now = this.ticker.now()
    const service = info.unknown === true ? unknownService : info.service
    const cells = this.#cells.of(info.direction, service, info.caller, now)
    const span = this.#startSpan(info, now)
    cells.inFlight.value++
    return new ObservedExchange(this, cells, info, now, span)
  }

  defect(error: unknown): void {
    this.#onDefect(error, where)
  }

  /**
   * The caller's decision holds for the whole trace. Who has made none, asks us to: most have no
   * tracing of their own, and the first node of the mesh decides for them.
   */
  #startSpan(info: ExchangeInfo, now: number): ExchangeSpan | undefined {
    if (this.#spans === undefined) return undefined
    try {
      return this.#sampledSpan(this.#spans, info, now)
    } catch (error) {
      this.defect(error)
      return undefined
    }
  }

  #sampledSpan(spans: SpanSource, info: ExchangeInfo, now: number): ExchangeSpan | undefined {
    const parent: TraceContext | undefined = traceContextOf(info.fields)
    const sampled =
      parent === undefined
        ? this.#sample > 0 && this.ticker.random() < this.#sample
        : (parent.parent.flags & sampledFlag) !== 0
    return sampled ? spans.start(info, parent, now) : undefined
  }
}

/** What a caller by gRPC was told. */
const grpcOf = (outcome: Outcome): number | undefined =>
  outcome.kind === "fault" ? faultKinds[outcome.code].grpc : outcome.grpc

class ObservedExchange implements ExchangeObservation {
  readonly forwardFields: Fields
  readonly #observer: NodeObserver
  readonly #cells: ExchangeCells
  readonly #info: ExchangeInfo
  readonly #begun: number
  readonly #span: ExchangeSpan | undefined
  /** 0 until a response head arrived. */
  #status = 0
  #endpoint: string | undefined = undefined
  #decision: string | undefined = undefined
  #rule: string | undefined = undefined
  #ended = false

  constructor(
    observer: NodeObserver,
    cells: ExchangeCells,
    info: ExchangeInfo,
    begun: number,
    span: ExchangeSpan | undefined
  ) {
    this.#observer = observer
    this.#cells = cells
    this.#info = info
    this.#begun = begun
    this.#span = span
    this.forwardFields =
      span === undefined ? info.fields : withTraceContext(info.fields, span.context)
  }

  responded(status: number): void {
    if (this.#ended || this.#status !== 0) return
    this.#status = status
    const now = this.#observer.ticker.now()
    this.#cells.firstByte.record(now - this.#begun)
    if (this.#span !== undefined) this.#tell((span) => span.responded(status, now))
  }

  decided(decision: string, rule: string): void {
    if (this.#ended) return
    this.#decision = decision
    this.#rule = rule
  }

  endpoint(key: string, node: string): void {
    if (this.#ended) return
    this.#endpoint = key
    if (this.#span !== undefined) this.#tell((span) => span.endpoint(key, node))
  }

  event(name: string, attributes?: Readonly<Record<string, string | number | boolean>>): void {
    if (this.#span === undefined || this.#ended) return
    this.#tell((span) => span.event(name, attributes, this.#observer.ticker.now()))
  }

  end(outcome: Outcome, bytesIn: number, bytesOut: number): void {
    // A second end is a caller's bug, but counting an exchange twice would hide it behind wrong
    // numbers, and a negative gauge would stay wrong for ever.
    if (this.#ended) return
    this.#ended = true
    const now = this.#observer.ticker.now()
    const cells = this.#cells
    cells.inFlight.value--
    cells.count(outcome, this.#status)
    const grpc = this.#info.grpc === true ? grpcOf(outcome) : undefined
    if (grpc !== undefined) cells.countGrpc(grpc)
    cells.requestBytes.value += bytesIn
    cells.responseBytes.value += bytesOut
    if (this.#info.kind === "http" && this.#status !== 101) cells.duration.record(now - this.#begun)
    if (this.#span !== undefined) this.#tell((span) => span.end(outcome, bytesIn, bytesOut, now))
    if (this.#observer.accessLog === undefined) return
    try {
      this.#log(this.#observer.accessLog, outcome, bytesIn, bytesOut, now)
    } catch (error) {
      this.#observer.defect(error)
    }
  }

  /** Only where there is a span, so that who has none pays nothing for it. */
  #tell(what: (span: ExchangeSpan) => void): void {
    try {
      if (this.#span !== undefined) what(this.#span)
    } catch (error) {
      this.#observer.defect(error)
    }
  }

  #log(log: AccessLogSink, outcome: Outcome, bytesIn: number, bytesOut: number, now: number): void {
    const { direction, kind, service, caller, identity, method, target, fields } = this.#info
    const trace = this.#span?.context ?? traceContextOf(fields)
    const query = target.indexOf("?")
    const ended =
      outcome.kind === "complete"
        ? outcome.status
        : kind === "http"
          ? faultKinds[outcome.code].status
          : 0
    const status = this.#status === 0 ? ended : this.#status
    log.log({
      time: new Date(this.#observer.ticker.wall()).toISOString(),
      direction,
      service,
      caller,
      as: formatCaller(identity),
      method,
      target: query === -1 ? target : target.slice(0, query),
      status: status === 0 ? null : status,
      code: outcome.kind === "fault" ? outcome.code : null,
      grpc: this.#info.grpc === true ? (grpcOf(outcome) ?? null) : null,
      access: this.#decision ?? null,
      rule: this.#rule ?? null,
      durationMs: Math.round((now - this.#begun) * 1_000) / 1_000,
      bytesIn,
      bytesOut,
      endpoint: this.#endpoint ?? null,
      node: this.#observer.node,
      trace: trace?.parent.traceId ?? null
    })
  }
}
