/** A small OTLP/HTTP receiver (JSON), and a trace as a tree that a person can read. */
import { createServer } from "node:http"
import { Effect, Either, Schema, type Scope } from "effect"
import { StepFailed } from "./StepFailed.ts"

const Attribute = Schema.Struct({
  key: Schema.String,
  value: Schema.Struct({ stringValue: Schema.optional(Schema.String) })
})

const OtlpSpan = Schema.Struct({
  traceId: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optional(Schema.String),
  name: Schema.String,
  kind: Schema.Number,
  startTimeUnixNano: Schema.BigInt,
  endTimeUnixNano: Schema.BigInt,
  attributes: Schema.Array(Attribute),
  events: Schema.optionalWith(Schema.Array(Schema.Struct({ name: Schema.String })), {
    default: () => []
  })
})

const OtlpTraces = Schema.parseJson(
  Schema.Struct({
    resourceSpans: Schema.Array(
      Schema.Struct({
        scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(OtlpSpan) }))
      })
    )
  })
)
const decodeTraces = Schema.decodeUnknownEither(OtlpTraces)

export interface TraceSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly side: "caller" | "callee"
  readonly node: string
  readonly service: string
  /** Unix time, ns. */
  readonly start: bigint
  readonly durationMs: number
  readonly retries: number
}

/** Spans kept; the oldest go first. */
const keptSpans = 10_000

export class TraceCollector {
  readonly url: string
  readonly spans: ReadonlyArray<TraceSpan>

  constructor(url: string, spans: ReadonlyArray<TraceSpan>) {
    this.url = url
    this.spans = spans
  }

  /** Spans of one trace, each once, in order of their start. */
  trace(traceId: string): ReadonlyArray<TraceSpan> {
    return this.spans
      .filter((span) => span.traceId === traceId)
      .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
  }
}

const toSpan = (span: typeof OtlpSpan.Type): TraceSpan => {
  const attribute = (name: string): string =>
    span.attributes.find(({ key }) => key === name)?.value.stringValue ?? "?"
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
    side: span.kind === 3 ? "caller" : "callee", // SPAN_KIND_CLIENT
    node: attribute("skein.node"),
    service: attribute("skein.service"),
    start: span.startTimeUnixNano,
    durationMs: Number(span.endTimeUnixNano - span.startTimeUnixNano) / 1e6,
    retries: span.events.filter(({ name }) => name === "retry").length
  }
}

export const startCollector: Effect.Effect<TraceCollector, StepFailed, Scope.Scope> =
  Effect.acquireRelease(
    Effect.async<{ readonly collector: TraceCollector; readonly close: () => void }, StepFailed>(
      (resume) => {
        const spans: Array<TraceSpan> = []
        const server = createServer((request, response) => {
          let body = ""
          request.setEncoding("utf8")
          request.on("data", (text: string) => {
            body += text
          })
          request.on("end", () => {
            const traces = decodeTraces(body)
            if (Either.isLeft(traces)) {
              response.writeHead(400).end(String(traces.left))
              return
            }
            for (const { scopeSpans } of traces.right.resourceSpans) {
              for (const scope of scopeSpans) spans.push(...scope.spans.map(toSpan))
            }
            spans.splice(0, spans.length - keptSpans)
            response.writeHead(200, { "content-type": "application/json" }).end("{}")
          })
        })
        server.once("error", (cause) =>
          resume(new StepFailed({ message: `the trace receiver cannot listen: ${cause.message}` }))
        )
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          const close = (): void => {
            server.closeAllConnections()
            server.close()
          }
          const collector = new TraceCollector(`http://127.0.0.1:${port}`, spans)
          resume(Effect.succeed({ collector, close }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ collector }) => collector))

/** `order at host-a  12.3 ms`, its callees indented below it. */
export const traceTree = (spans: ReadonlyArray<TraceSpan>): ReadonlyArray<string> => {
  const known = new Set(spans.map(({ spanId }) => spanId))
  const lines: Array<string> = []
  const add = (span: TraceSpan, depth: number): void => {
    const what =
      span.side === "caller"
        ? `${span.node} sends it to ${span.service}`
        : `${span.node} hands it to its ${span.service}`
    const retried = span.retries === 0 ? "" : `, ${span.retries} retried`
    const text = `${"  ".repeat(depth)}${what}`
    lines.push(`${text.padEnd(56)} ${span.durationMs.toFixed(1).padStart(7)} ms${retried}`)
    for (const child of spans) if (child.parentSpanId === span.spanId) add(child, depth + 1)
  }
  for (const span of spans) {
    if (span.parentSpanId === undefined || !known.has(span.parentSpanId)) add(span, 0)
  }
  return lines
}
