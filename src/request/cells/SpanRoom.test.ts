import { SpanStatusCode } from "@opentelemetry/api"
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor
} from "@opentelemetry/sdk-trace-base"
import { describe, expect, it } from "vitest"
import { SpanRoom, spanBytes } from "./SpanRoom.ts"

const ended = (text: string, events = 0): ReadableSpan => {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const span = provider.getTracer("test").startSpan("GET x", { attributes: { "url.path": text } })
  for (let i = 0; i < events; i++) span.addEvent("retry", { attempt: i })
  span.setStatus({ code: SpanStatusCode.ERROR, message: text })
  span.end()
  const [only] = exporter.getFinishedSpans()
  if (only === undefined) throw new Error("the span did not end")
  return only
}

describe("SpanRoom", () => {
  it("counts texts and events, and the same again when they are given back", () => {
    expect(spanBytes(ended("x".repeat(1_000))) - spanBytes(ended(""))).toBe(2_000)
    expect(spanBytes(ended("", 4))).toBeGreaterThan(spanBytes(ended("")) + 4 * 192)
    const room = new SpanRoom({ spans: 10, bytes: 1_000_000 })
    const spans = [ended("a"), ended("bb", 2)]
    for (const span of spans) expect(room.take(span)).toBe(true)
    expect(room.bytes).toBe(spans.reduce((sum, span) => sum + spanBytes(span), 0))
    room.give(spans)
    expect([room.spans, room.bytes]).toEqual([0, 0])
  })

  it("is full by number, however small they are", () => {
    const room = new SpanRoom({ spans: 2, bytes: 1_000_000 })
    expect([1, 2, 3].map(() => room.take(ended("")))).toEqual([true, true, false])
    expect(room.spans).toBe(2)
  })

  it("is full by bytes, however few they are", () => {
    const room = new SpanRoom({ spans: 1_000, bytes: 50_000 })
    let taken = 0
    while (room.take(ended("x".repeat(1_024), 10))) taken++
    expect(taken).toBeLessThan(12)
    expect(room.full).toBe(true)
    expect(room.bytes).toBeLessThan(60_000)
  })
})
