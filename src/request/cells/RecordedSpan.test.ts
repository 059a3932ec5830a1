import { describe, expect, test } from "vitest"
import { hostCaller } from "../../model/Caller.ts"
import { NodeName, ServiceName } from "../../model/Names.ts"
import type { ExchangeInfo } from "../../model/Observer.ts"
import type { Ticker } from "../../model/Time.ts"
import { RecordedSpans } from "./RecordedSpan.ts"
import { SpanBatch } from "./SpanBatch.ts"
import { SpanIds } from "./SpanIds.ts"
import type { SpanRecord } from "./SpanRecord.ts"

const setUp = () => {
  const clock = { now: 100, wall: 1_700_000_000_000 }
  const ticker: Ticker = {
    now: () => clock.now,
    wall: () => clock.wall,
    random: () => 0,
    after: () => {
      throw new Error("spans set no timers")
    }
  }
  let block = 0
  const batch = new SpanBatch({ spans: 3, bytes: 1_000_000 })
  const spans = new RecordedSpans({
    sink: batch,
    ticker,
    node: "host-a",
    ids: new SpanIds((bytes) => bytes.fill(++block))
  })
  const only = (): SpanRecord => {
    const [span, ...more] = batch.takeSpans().spans
    if (span === undefined || more.length > 0) throw new Error("not one span")
    return span
  }
  return { clock, batch, spans, only }
}

const info = (more: Partial<ExchangeInfo> = {}): ExchangeInfo => ({
  direction: "outbound",
  kind: "http",
  service: ServiceName.make("payments"),
  caller: "host-a",
  identity: hostCaller(NodeName.make("host-a")),
  method: "GET",
  target: "/pay?card=1234",
  fields: [],
  ...more
})

const id = (byte: string, bytes: number) => byte.repeat(bytes)

describe("a span", () => {
  test("is plain data when it has ended, and nothing before", () => {
    const { batch, clock, spans, only } = setUp()
    const parent = { traceId: id("cc", 16), spanId: id("dd", 8), flags: 3 }
    const span = spans.start(info(), { parent, state: "a=1" }, 100.25)
    span.event("retry", { attempt: 1 }, 101)
    span.endpoint("peer/0", "host-b")
    span.responded(200, 102.5)
    expect(batch.isWaiting).toBe(false)
    clock.now += 4
    clock.wall += 4
    span.end({ kind: "complete", status: 200 }, 1, 2, 104)
    const record = only()
    expect(structuredClone(record)).toEqual(record)
    expect(record).toEqual({
      traceId: id("cc", 16),
      spanId: id("01", 8),
      parent: { spanId: id("dd", 8), flags: 3 },
      state: "a=1",
      kind: "client",
      name: "GET payments",
      startedAt: 1_700_000_000_000.25,
      endedAt: 1_700_000_000_004,
      attributes: {
        "skein.node": "host-a",
        "skein.service": "payments",
        "skein.caller": "host-a",
        "skein.as": "host/host-a",
        "skein.endpoint": "peer/0",
        "skein.endpoint.node": "host-b",
        "peer.service": "payments",
        "server.address": "payments.mesh",
        "server.port": 80,
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.request.body.size": 1,
        "http.response.body.size": 2,
        "url.scheme": "http",
        "url.path": "/pay",
        "url.full": "http://payments.mesh/pay"
      },
      events: [
        { name: "retry", at: 1_700_000_000_001, attributes: { attempt: 1 } },
        { name: "response head", at: 1_700_000_000_002.5, attributes: {} }
      ],
      droppedEvents: 0,
      status: { isError: false }
    })
    expect(span.context).toEqual({
      parent: { traceId: id("cc", 16), spanId: id("01", 8), flags: 3 },
      state: "a=1"
    })
  })

  test("without a parent begins a trace", () => {
    const { spans, only } = setUp()
    const span = spans.start(info(), undefined, 100)
    expect(span.context.parent).toEqual({ traceId: id("01", 16), spanId: id("01", 8), flags: 1 })
    span.end({ kind: "complete", status: 200 }, 0, 0, 101)
    expect(only()).toMatchObject({ parent: undefined, state: "" })
  })

  test.each([
    ["outbound", 399, undefined],
    ["outbound", 404, "404"],
    ["inbound", 404, undefined],
    ["inbound", 503, "503"]
  ] as const)("%s that ends with %i has the error %s", (direction, status, error) => {
    const { spans, only } = setUp()
    spans.start(info({ direction }), undefined, 100).end({ kind: "complete", status }, 0, 0, 101)
    const span = only()
    expect(span.status).toEqual({ isError: error !== undefined })
    expect(span.attributes["error.type"]).toBe(error)
  })

  test("of a tunnel has no method and no status", () => {
    const { spans, only } = setUp()
    const tcp = info({ kind: "tcp", method: "", target: "", direction: "inbound" })
    const span = spans.start(tcp, undefined, 100)
    span.responded(200, 101)
    span.end({ kind: "fault", code: "upstream_reset", message: "it broke" }, 3, 4, 102)
    expect(only()).toMatchObject({
      name: "tcp payments",
      kind: "server",
      status: { isError: true, message: "it broke" },
      attributes: {
        "skein.node": "host-a",
        "skein.service": "payments",
        "skein.caller": "host-a",
        "skein.as": "host/host-a",
        "network.transport": "tcp",
        "http.request.body.size": 3,
        "http.response.body.size": 4,
        "error.type": "upstream_reset"
      }
    })
  })

  test("holds no more than it may, whatever clients send and however often it is tried", () => {
    const { spans, only } = setUp()
    const span = spans.start(
      info({ target: `/${"x".repeat(5_000)}`, method: "m".repeat(5_000) }),
      undefined,
      100
    )
    for (let attempt = 1; attempt <= 70; attempt++) {
      span.event("retry", { attempt, why: "y".repeat(5_000) }, 100)
    }
    span.end({ kind: "complete", status: 200 }, 0, 0, 101)
    const { attributes, events, droppedEvents, name } = only()
    for (const value of [
      ...Object.values(attributes),
      ...events.flatMap((event) => Object.values(event.attributes))
    ]) {
      expect(String(value).length).toBeLessThanOrEqual(1_024)
    }
    expect(name).toBe("HTTP payments")
    expect(attributes["http.request.method"]).toBe("_OTHER")
    expect([events.length, droppedEvents, events[0]?.attributes["attempt"]]).toEqual([64, 6, 7])
  })

  test("never ends before it began, whatever is done to the wall clock", () => {
    const { clock, spans, only } = setUp()
    const span = spans.start(info(), undefined, 100)
    clock.wall -= 60_000
    span.end({ kind: "complete", status: 200 }, 0, 0, 101)
    const { startedAt, endedAt } = only()
    expect(endedAt).toBe(startedAt)
  })
})

describe("SpanBatch", () => {
  const end = (spans: RecordedSpans) =>
    spans.start(info(), undefined, 100).end({ kind: "complete", status: 200 }, 0, 0, 101)

  test("is bounded: what does not fit is counted, and not begun when that is known before", () => {
    const { batch, spans } = setUp()
    const late = Array.from({ length: 4 }, () => spans.start(info(), undefined, 100))
    for (const span of late) span.end({ kind: "complete", status: 200 }, 0, 0, 101)
    end(spans)
    const { spans: taken, dropped } = batch.takeSpans()
    expect([taken.length, dropped]).toEqual([3, 2])
    expect(batch.isWaiting).toBe(false)
    end(spans)
    expect(batch.takeSpans()).toMatchObject({ spans: [{ name: "GET payments" }], dropped: 0 })
  })

  test("begins nothing while whoever takes them has no room; the trace goes on", () => {
    const { batch, spans } = setUp()
    batch.takerFull = true
    const { context } = spans.start(info(), undefined, 100)
    expect(context.parent).toMatchObject({ traceId: id("01", 16), flags: 1 })
    expect(batch.takeSpans()).toEqual({ spans: [], dropped: 1 })
    batch.takerFull = false
    end(spans)
    expect(batch.takeSpans().spans.length).toBe(1)
  })
})

describe("SpanIds", () => {
  test("differ over blocks and are never all zero", () => {
    const ids = new SpanIds()
    const seen = new Set(Array.from({ length: 2_000 }, () => ids.traceId()))
    expect(seen.size).toBe(2_000)
    for (const id of seen) expect(id).toMatch(/^[0-9a-f]{32}$/)
    const zeros = new SpanIds((block) => block.fill(0))
    expect([zeros.traceId(), zeros.spanId()]).toEqual([`${"0".repeat(31)}1`, `${"0".repeat(15)}1`])
  })
})
