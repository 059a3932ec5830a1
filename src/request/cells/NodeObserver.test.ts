import { describe, expect, test } from "vitest"
import { hostCaller } from "../../model/Caller.ts"
import type { Fields } from "../../model/Exchange.ts"
import { NodeName, ServiceName } from "../../model/Names.ts"
import type { ExchangeInfo, Outcome } from "../../model/Observer.ts"
import type { Ticker } from "../../model/Time.ts"
import type { AccessLogEntry } from "./AccessLogEntry.ts"
import { MetricRegistry } from "./Metrics.ts"
import { NodeObserver } from "./NodeObserver.ts"
import type { ExchangeSpan, SpanSource } from "./Spans.ts"
import type { TraceContext } from "./TraceContext.ts"

class HandTicker implements Ticker {
  time = 1_000
  chance = 0.5
  now(): number {
    return this.time
  }
  wall(): number {
    return 1_700_000_000_000 + this.time
  }
  random(): number {
    return this.chance
  }
  after(): never {
    throw new Error("the observer sets no timers")
  }
}

/** Records what it is told, as text. */
class Spans implements SpanSource {
  readonly told: Array<string> = []
  readonly parents: Array<TraceContext | undefined> = []

  start(_: ExchangeInfo, parent: TraceContext | undefined): ExchangeSpan {
    this.parents.push(parent)
    const say = (text: string): void => {
      this.told.push(text)
    }
    const traceId = parent?.parent.traceId ?? "a".repeat(32)
    return {
      context: {
        parent: { traceId, spanId: "b".repeat(16), flags: 1 },
        state: parent?.state ?? ""
      },
      responded: (status, at) => say(`responded ${status} at ${at}`),
      endpoint: (key, node) => say(`endpoint ${key} on ${node}`),
      event: (name, attributes, at) => say(`${name} ${JSON.stringify(attributes)} at ${at}`),
      end: (outcome, bytesIn, bytesOut, at) =>
        say(`end ${outcome.kind} ${bytesIn} ${bytesOut} at ${at}`)
    }
  }
}

const make = (options: { sample?: number; traced?: boolean; logged?: boolean } = {}) => {
  const registry = new MetricRegistry()
  const ticker = new HandTicker()
  const spans = new Spans()
  const lines: Array<AccessLogEntry> = []
  const accessLog = { log: (entry: AccessLogEntry) => lines.push(entry) }
  const observer = new NodeObserver({
    node: "host-a",
    registry,
    ticker,
    spans: options.traced === false ? undefined : spans,
    accessLog: options.logged === true ? accessLog : undefined,
    sample: options.sample ?? 0
  })
  return { registry, ticker, spans, lines, observer }
}

const info = (fields: Fields, more: Partial<ExchangeInfo> = {}): ExchangeInfo => ({
  direction: "outbound",
  kind: "http",
  service: ServiceName.make("payments"),
  caller: "host-a",
  identity: hostCaller(NodeName.make("host-a")),
  method: "GET",
  target: "/pay?card=1234",
  fields,
  ...more
})

const parentFields = (flags: string): Fields => [
  "Traceparent",
  `00-${"c".repeat(32)}-${"d".repeat(16)}-${flags}`,
  "tracestate",
  "vendor=1"
]

const complete = (status: number): Outcome => ({ kind: "complete", status })

const counted = (registry: MetricRegistry): Record<string, number> =>
  Object.fromEntries(
    [...registry.counter("skein_requests_total", "").cells.values()].map(({ labels, cell }) => [
      `${labels["direction"]} ${labels["service"]} ${labels["caller"]} ${labels["result"]} ${labels["status_class"]}`,
      cell.value
    ])
  )

describe("metrics", () => {
  test("counts services that nobody offers together, whatever callers name", () => {
    const { observer, registry } = make()
    for (const name of ["made-up", "another"]) {
      const observed = observer.begin(info([], { service: ServiceName.make(name), unknown: true }))
      observed.end({ kind: "fault", code: "route_not_found", message: "" }, 0, 0)
    }
    expect(counted(registry)).toEqual({ "outbound unknown host-a route_not_found 4xx": 2 })
  })

  test("counts each end once, by result and status class", () => {
    const { observer, registry } = make()
    const run = (
      status: number | undefined,
      outcome: Outcome,
      more: Partial<ExchangeInfo> = {}
    ) => {
      const observed = observer.begin(info([], more))
      if (status !== undefined) observed.responded(status)
      observed.end(outcome, 3, 5)
      observed.end(outcome, 3, 5)
    }
    run(200, complete(200))
    run(404, complete(404))
    run(503, complete(503))
    run(undefined, { kind: "fault", code: "upstream_timeout", message: "" })
    run(200, { kind: "fault", code: "upstream_reset", message: "" })
    run(undefined, complete(0), { kind: "tcp", direction: "inbound", caller: "host-b" })
    expect(counted(registry)).toEqual({
      "outbound payments host-a success 2xx": 1,
      "outbound payments host-a success 4xx": 1,
      "outbound payments host-a failure 5xx": 1,
      "outbound payments host-a upstream_timeout 5xx": 1,
      "outbound payments host-a upstream_reset 2xx": 1,
      "inbound payments host-b success none": 1
    })
    const labels = { direction: "outbound", service: "payments", caller: "host-a" }
    expect(registry.gauge("skein_requests_in_flight", "").cell(labels).value).toBe(0)
    expect(registry.counter("skein_request_body_bytes_total", "").cell(labels).value).toBe(15)
    expect(registry.counter("skein_response_body_bytes_total", "").cell(labels).value).toBe(25)
  })

  test("times the first byte and the end; a tunnel's length is not a latency", () => {
    const { observer, registry, ticker } = make()
    const observed = observer.begin(info([]))
    const labels = { direction: "outbound", service: "payments", caller: "host-a" }
    expect(registry.gauge("skein_requests_in_flight", "").cell(labels).value).toBe(1)
    ticker.time += 4
    observed.responded(200)
    ticker.time += 6
    observed.end(complete(200), 0, 0)
    const upgraded = observer.begin(info([]))
    upgraded.responded(101)
    ticker.time += 60_000
    upgraded.end(complete(101), 0, 0)
    const duration = registry.histogram("skein_request_duration_seconds", "").cell(labels)
    const firstByte = registry.histogram("skein_request_first_byte_seconds", "").cell(labels)
    expect([firstByte.sum, firstByte.count]).toEqual([4, 2])
    expect([duration.sum, duration.count]).toEqual([10, 1])
  })

  test("a service unused for an hour is freed at the next scrape, one in flight is not", () => {
    const { observer, registry, ticker } = make()
    observer.begin(info([], { service: ServiceName.make("gone") })).end(complete(200), 0, 0)
    const open = observer.begin(info([], { service: ServiceName.make("open") }))
    ticker.time += 60 * 60_000
    registry.collect()
    const left = [...registry.families.values()].flatMap((family) =>
      [...family.cells.values()].map(({ labels }) => labels["service"])
    )
    expect(left).toContain("open")
    expect(left).not.toContain("gone")
    open.end(complete(200), 0, 0)
    expect(counted(registry)).toEqual({ "outbound open host-a success 2xx": 1 })
  })

  test("made-up service names cannot grow the table", () => {
    const { observer, registry } = make()
    for (let i = 0; i < 1_100; i++) {
      observer.begin(info([], { service: ServiceName.make(`s${i}`) })).end(complete(200), 0, 0)
    }
    expect(registry.gauge("skein_requests_in_flight", "").cells.size).toBe(1_025)
    expect(counted(registry)["outbound other other success 2xx"]).toBe(76)
  })
})

describe("tracing", () => {
  test("no context and not sampled: the same fields", () => {
    const { observer, spans, ticker } = make({ sample: 0.5 })
    ticker.chance = 0.5
    const fields = ["accept", "*/*"]
    expect(observer.begin(info(fields)).forwardFields).toBe(fields)
    expect(spans.parents).toEqual([])
  })

  test("no context and sampled: a new trace", () => {
    const { observer, spans, ticker } = make({ sample: 0.5 })
    ticker.chance = 0.49
    const { forwardFields } = observer.begin(info(["accept", "*/*"]))
    expect(forwardFields).toEqual([
      "accept",
      "*/*",
      "traceparent",
      `00-${"a".repeat(32)}-${"b".repeat(16)}-01`
    ])
    expect(spans.parents).toEqual([undefined])
  })

  test("the caller's decision holds, whatever the ratio", () => {
    const never = make({ sample: 0 })
    expect(never.observer.begin(info(parentFields("01"))).forwardFields).toEqual([
      "traceparent",
      `00-${"c".repeat(32)}-${"b".repeat(16)}-01`,
      "tracestate",
      "vendor=1"
    ])
    const always = make({ sample: 1 })
    const fields = parentFields("00")
    expect(always.observer.begin(info(fields)).forwardFields).toBe(fields)
    expect(always.spans.parents).toEqual([])
  })

  test("without a collector context passes through untouched", () => {
    const { observer } = make({ sample: 1, traced: false })
    const fields = parentFields("01")
    expect(observer.begin(info(fields)).forwardFields).toBe(fields)
  })

  test("the ratio can change while running", () => {
    const { observer, spans } = make({ sample: 0 })
    observer.begin(info([]))
    observer.setSample(1)
    observer.begin(info([]))
    expect(spans.parents.length).toBe(1)
  })

  test("a span hears everything once, in order, and nothing after its end", () => {
    const { observer, spans, ticker } = make({ sample: 1 })
    const observed = observer.begin(info([]))
    observed.event("retry", { attempt: 1 })
    observed.endpoint("peer/0", "host-b")
    ticker.time += 7
    observed.responded(200)
    observed.end(complete(200), 1, 2)
    observed.end(complete(200), 1, 2)
    observed.event("late")
    observed.endpoint("peer/1", "host-c")
    observed.responded(500)
    expect(spans.told).toEqual([
      'retry {"attempt":1} at 1000',
      "endpoint peer/0 on host-b",
      "responded 200 at 1007",
      "end complete 1 2 at 1007"
    ])
  })
})

describe("access log", () => {
  test("a line says who called what and how it ended, without the query string", () => {
    const { observer, lines, ticker } = make({ logged: true })
    const observed = observer.begin(info(parentFields("00")))
    observed.endpoint("peer/0", "host-b")
    ticker.time += 12.3456
    observed.responded(200)
    observed.end({ kind: "fault", code: "client_gone", message: "" }, 1, 2)
    expect(lines).toEqual([
      {
        time: new Date(1_700_000_001_012).toISOString(),
        direction: "outbound",
        service: "payments",
        caller: "host-a",
        as: "host/host-a",
        method: "GET",
        target: "/pay",
        status: 200,
        code: "client_gone",
        grpc: null,
        access: null,
        rule: null,
        durationMs: 12.346,
        bytesIn: 1,
        bytesOut: 2,
        endpoint: "peer/0",
        node: "host-a",
        trace: "c".repeat(32)
      }
    ])
  })

  test("nothing sent is null, not zero", () => {
    const { observer, lines } = make({ logged: true })
    const observed = observer.begin(info([]))
    observed.decided?.("deny", "payments-charge.deny[0]")
    observed.end({ kind: "fault", code: "denied", message: "" }, 0, 0)
    expect(lines[0]).toMatchObject({ status: 403, code: "denied", endpoint: null, trace: null })
    expect(lines[0]).toMatchObject({ access: "deny", rule: "payments-charge.deny[0]" })
  })
})

describe("what throws", () => {
  const broken = new Error("thrown by the test")
  const breaks = (): never => {
    throw broken
  }

  test.each(["start", "responded", "endpoint", "event", "end", "log"] as const)(
    "in spans or the access log (%s) leaves the counts right",
    (what) => {
      const defects: Array<unknown> = []
      const registry = new MetricRegistry()
      const spans = new Spans()
      const start = spans.start.bind(spans)
      spans.start = what === "start" ? breaks : (...told) => ({ ...start(...told), [what]: breaks })
      const observer = new NodeObserver({
        ...{ node: "host-a", registry, ticker: new HandTicker(), spans, sample: 1 },
        accessLog: { log: () => (what === "log" ? breaks() : undefined) },
        onDefect: (error) => defects.push(error)
      })
      const observation = observer.begin(info([]))
      observation.endpoint("key", "host-b")
      observation.event("retry")
      observation.responded(200)
      observation.end({ kind: "complete", status: 200 }, 1, 2)
      expect(defects).toEqual([broken])
      const counted: Array<readonly [string, number]> = []
      for (const { kind, name, cells } of registry.families.values()) {
        if (kind === "histogram") continue
        for (const { cell } of cells.values()) if ("value" in cell) counted.push([name, cell.value])
      }
      expect(counted).toContainEqual(["skein_requests_in_flight", 0])
      expect(counted).toContainEqual(["skein_requests_total", 1])
    }
  )
})
