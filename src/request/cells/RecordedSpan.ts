/**
 * One exchange as a span: CLIENT at the caller's node, SERVER at the endpoint's, named and labelled by
 * OpenTelemetry's semantic conventions for HTTP and RPC. Query strings are left out: that is where secrets
 * travel. What clients choose is cut to a length, and events to a number.
 */
import { formatCaller } from "../../model/Caller.ts"
import { type FaultCode, faultKinds } from "../../model/Fault.ts"
import { grpcStatusName, isGrpcFailure } from "../../model/GrpcStatus.ts"
import { meshDomain } from "../../model/Names.ts"
import type { ExchangeInfo, Outcome } from "../../model/Observer.ts"
import type { Ticker } from "../../model/Time.ts"
import { SpanIds } from "./SpanIds.ts"
import type { SpanAttributes, SpanEventRecord, SpanRecord, SpanSink } from "./SpanRecord.ts"
import type { ExchangeSpan, SpanSource } from "./Spans.ts"
import { sampledFlag, type TraceContext } from "./TraceContext.ts"
import { UnrecordedSpan } from "./UnrecordedSpan.ts"

/** Characters of an attribute's value. */
const longestValue = 1_024
/** Events of a span; of more, the last ones. */
const mostEvents = 64

type Attributes = Record<string, string | number | boolean>

// Everything else is `_OTHER`, so that a client cannot make up label values.
const knownMethods: ReadonlySet<string> = new Set(
  "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split(" ")
)

/**
 * Wall-clock stamps with the monotonic clock's resolution: two hops on one host lie microseconds
 * apart. Anchored anew whenever the wall clock was set.
 */
export class SpanClock {
  readonly #ticker: Ticker
  #offset: number

  constructor(ticker: Ticker) {
    this.#ticker = ticker
    this.#offset = ticker.wall() - ticker.now()
  }

  /** Wall clock, ms with a fraction, of the ticker's `at`. */
  stamp(at: number): number {
    const offset = this.#ticker.wall() - this.#ticker.now()
    if (Math.abs(offset - this.#offset) > 2) this.#offset = offset
    return this.#offset + at
  }
}

const pathOf = (target: string): string => {
  const query = target.indexOf("?")
  return query === -1 ? target : target.slice(0, query)
}

const attributesOf = (info: ExchangeInfo, node: string): Attributes => {
  const attributes: Attributes = {
    "skein.node": node,
    "skein.service": info.service,
    "skein.caller": info.caller,
    "skein.as": formatCaller(info.identity)
  }
  if (info.direction === "outbound") {
    attributes["peer.service"] = info.service
    attributes["server.address"] = `${info.service}.${meshDomain}`
    attributes["server.port"] = 80
  }
  if (info.kind === "tcp") {
    attributes["network.transport"] = "tcp"
    return attributes
  }
  if (knownMethods.has(info.method)) attributes["http.request.method"] = info.method
  else {
    attributes["http.request.method"] = "_OTHER"
    attributes["http.request.method_original"] = info.method
  }
  attributes["url.scheme"] = "http"
  const path = pathOf(info.target)
  attributes["url.path"] = path
  if (info.direction === "outbound") {
    attributes["url.full"] = `http://${info.service}.${meshDomain}${path}`
  }
  return attributes
}

const nameOf = (info: ExchangeInfo): string => {
  if (info.kind === "tcp") return `tcp ${info.service}`
  return `${knownMethods.has(info.method) ? info.method : "HTTP"} ${info.service}`
}

const cut = (attributes: SpanAttributes | undefined): SpanAttributes => {
  const within: Attributes = {}
  for (const name in attributes) {
    const value = attributes[name]!
    within[name] = typeof value === "string" ? value.slice(0, longestValue) : value
  }
  return within
}

export class RecordedSpan implements ExchangeSpan {
  readonly context: TraceContext
  readonly #sink: SpanSink
  readonly #clock: SpanClock
  readonly #info: ExchangeInfo
  readonly #parent: TraceContext | undefined
  readonly #startedAt: number
  readonly #attributes: Attributes
  readonly #events: Array<SpanEventRecord> = []
  #droppedEvents = 0

  constructor(
    { sink, clock, ids, node }: RecordedSpanOptions,
    info: ExchangeInfo,
    parent: TraceContext | undefined,
    at: number
  ) {
    this.#sink = sink
    this.#clock = clock
    this.#info = info
    this.#parent = parent
    this.#startedAt = clock.stamp(at)
    this.#attributes = attributesOf(info, node)
    this.context = {
      parent: {
        traceId: parent?.parent.traceId ?? ids.traceId(),
        spanId: ids.spanId(),
        flags: (parent?.parent.flags ?? 0) | sampledFlag
      },
      state: parent?.state ?? ""
    }
  }

  responded(status: number, at: number): void {
    if (this.#info.kind === "http") this.#attributes["http.response.status_code"] = status
    this.event("response head", undefined, at)
  }

  endpoint(key: string, node: string): void {
    this.#attributes["skein.endpoint"] = key
    this.#attributes["skein.endpoint.node"] = node
  }

  event(name: string, attributes: SpanAttributes | undefined, at: number): void {
    if (this.#events.length >= mostEvents) {
      this.#events.shift()
      this.#droppedEvents++
    }
    this.#events.push({ name, at: this.#clock.stamp(at), attributes: cut(attributes) })
  }

  end(outcome: Outcome, bytesIn: number, bytesOut: number, at: number): void {
    const { kind, direction } = this.#info
    this.#attributes["http.request.body.size"] = bytesIn
    this.#attributes["http.response.body.size"] = bytesOut
    if (this.#info.grpc === true) this.#grpc(outcome)
    if (outcome.kind === "fault") {
      this.#add(outcome.code, { isError: true, message: outcome.message }, at)
      return
    }
    if (kind === "http") this.#attributes["http.response.status_code"] = outcome.status
    const { grpc } = outcome
    if (grpc !== undefined) {
      const isError = direction === "outbound" ? grpc !== 0 : isGrpcFailure(grpc)
      this.#add(isError ? grpcStatusName(grpc) : undefined, { isError }, at)
      return
    }
    // A 4xx is the client's fault, so not the server's error.
    const isError = kind === "http" && outcome.status >= (direction === "outbound" ? 400 : 500)
    this.#add(isError ? String(outcome.status) : undefined, { isError }, at)
  }

  /** By the conventions for RPC: `/package.Service/Method`. */
  #grpc(outcome: Outcome): void {
    const [, service, method] = /^\/([^/]+)\/([^/]+)$/.exec(pathOf(this.#info.target)) ?? []
    this.#attributes["rpc.system"] = "grpc"
    if (service !== undefined) this.#attributes["rpc.service"] = service
    if (method !== undefined) this.#attributes["rpc.method"] = method
    const status = outcome.kind === "fault" ? faultKinds[outcome.code].grpc : outcome.grpc
    if (status !== undefined) this.#attributes["rpc.grpc.status_code"] = status
  }

  #add(
    errorType: FaultCode | (string & {}) | undefined,
    status: SpanRecord["status"],
    at: number
  ): void {
    if (errorType !== undefined) this.#attributes["error.type"] = errorType
    const { traceId, spanId } = this.context.parent
    const from = this.#parent?.parent
    this.#sink.add({
      traceId,
      spanId,
      parent: from === undefined ? undefined : { spanId: from.spanId, flags: from.flags },
      state: this.context.state,
      kind: this.#info.direction === "outbound" ? "client" : "server",
      name: nameOf(this.#info),
      startedAt: this.#startedAt,
      // The wall clock may have been set back meanwhile.
      endedAt: Math.max(this.#startedAt, this.#clock.stamp(at)),
      attributes: cut(this.#attributes),
      events: this.#events,
      droppedEvents: this.#droppedEvents,
      status
    })
  }
}

interface RecordedSpanOptions {
  readonly sink: SpanSink
  readonly clock: SpanClock
  readonly ids: SpanIds
  /** Name of this node. */
  readonly node: string
}

export interface RecordedSpansOptions {
  readonly sink: SpanSink
  readonly ticker: Ticker
  readonly node: string
  readonly ids?: SpanIds
}

/** Whether to sample is the observer's decision; what is started here is sampled. */
export class RecordedSpans implements SpanSource {
  readonly #options: RecordedSpanOptions

  constructor({ sink, ticker, node, ids = new SpanIds() }: RecordedSpansOptions) {
    this.#options = { sink, clock: new SpanClock(ticker), ids, node }
  }

  start(info: ExchangeInfo, parent: TraceContext | undefined, at: number): ExchangeSpan {
    const { sink, ids } = this.#options
    // Whatever is made of a span that will be dropped is made for nothing, and has to be collected.
    if (sink.full) {
      sink.drop()
      return new UnrecordedSpan(ids, parent)
    }
    return new RecordedSpan(this.#options, info, parent, at)
  }
}
