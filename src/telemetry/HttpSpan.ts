/**
 * One exchange as an OpenTelemetry span: CLIENT at the caller's node, SERVER at the endpoint's,
 * named and labelled by the semantic conventions for HTTP. Query strings are left out: that is
 * where secrets travel.
 */
import {
  type Attributes,
  createTraceState,
  type HrTime,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace
} from "@opentelemetry/api"
import type { Fault } from "../model/Fault.ts"
import { meshDomain } from "../model/Names.ts"
import type { ExchangeInfo, Outcome } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import type { ExchangeSpan } from "../request/cells/Spans.ts"
import { sampledFlag, type TraceContext } from "../request/cells/TraceContext.ts"

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

  stamp(at: number): HrTime {
    const offset = this.#ticker.wall() - this.#ticker.now()
    if (Math.abs(offset - this.#offset) > 2) this.#offset = offset
    const ms = this.#offset + at
    const seconds = Math.floor(ms / 1_000)
    return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1_000) * 1e6))]
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
    "skein.caller": info.caller
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

export class HttpSpan implements ExchangeSpan {
  readonly context: TraceContext
  readonly #span: Span
  readonly #clock: SpanClock
  readonly #http: boolean
  /** From this status on it is an error: a 4xx is the client's fault, so not the server's error. */
  readonly #errorFrom: number

  constructor(
    tracer: Tracer,
    clock: SpanClock,
    node: string,
    info: ExchangeInfo,
    parent: TraceContext | undefined,
    at: number
  ) {
    const outbound = info.direction === "outbound"
    this.#clock = clock
    this.#http = info.kind === "http"
    this.#errorFrom = outbound ? 400 : 500
    const context =
      parent === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, {
            traceId: parent.parent.traceId,
            spanId: parent.parent.spanId,
            traceFlags: parent.parent.flags,
            isRemote: true,
            ...(parent.state === "" ? {} : { traceState: createTraceState(parent.state) })
          })
    this.#span = tracer.startSpan(
      nameOf(info),
      {
        kind: outbound ? SpanKind.CLIENT : SpanKind.SERVER,
        startTime: clock.stamp(at),
        attributes: attributesOf(info, node)
      },
      context
    )
    const { traceId, spanId } = this.#span.spanContext()
    const flags = (parent?.parent.flags ?? 0) | sampledFlag
    this.context = { parent: { traceId, spanId, flags }, state: parent?.state ?? "" }
  }

  responded(status: number, at: number): void {
    if (this.#http) this.#span.setAttribute("http.response.status_code", status)
    this.#span.addEvent("response head", this.#clock.stamp(at))
  }

  endpoint(key: string, node: string): void {
    this.#span.setAttribute("skein.endpoint", key)
    this.#span.setAttribute("skein.endpoint.node", node)
  }

  event(
    name: string,
    attributes: Readonly<Record<string, string | number | boolean>> | undefined,
    at: number
  ): void {
    this.#span.addEvent(name, { ...attributes }, this.#clock.stamp(at))
  }

  end(outcome: Outcome, bytesIn: number, bytesOut: number, at: number): void {
    this.#span.setAttribute("http.request.body.size", bytesIn)
    this.#span.setAttribute("http.response.body.size", bytesOut)
    if (outcome.kind === "fault") this.#failed(outcome.code, outcome.message)
    else if (this.#http) {
      this.#span.setAttribute("http.response.status_code", outcome.status)
      if (outcome.status >= this.#errorFrom) this.#failed(String(outcome.status), undefined)
    }
    this.#span.end(this.#clock.stamp(at))
  }

  #failed(type: Fault["code"] | (string & {}), message: string | undefined): void {
    this.#span.setAttribute("error.type", type)
    this.#span.setStatus({
      code: SpanStatusCode.ERROR,
      ...(message === undefined ? {} : { message })
    })
  }
}
