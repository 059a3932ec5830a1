import { describe, expect, test } from "vitest"
import { hostCaller } from "../model/Caller.ts"
import { NodeName, ServiceName } from "../model/Names.ts"
import type { ExchangeInfo } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import { TimerWheel } from "../model/TimerWheel.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { PlaneTelemetry } from "../request/cells/PlaneTelemetry.ts"
import type { SpanRecord } from "../request/cells/SpanRecord.ts"
import type { ThreadOrder, ThreadReport } from "../request/cells/ThreadReport.ts"
import { AccessLog } from "./AccessLog.ts"
import { prometheusText } from "./PrometheusText.ts"
import { ThreadReports } from "./ThreadReports.ts"

const info: ExchangeInfo = {
  direction: "outbound",
  kind: "http",
  service: ServiceName.make("payments"),
  caller: "host-a",
  identity: hostCaller(NodeName.make("host-a")),
  method: "GET",
  target: "/pay",
  fields: []
}

/** A mesh thread and request threads on one clock; what they say crosses when `deliver` says so. */
const setUp = () => {
  let now = 0
  const wheel = new TimerWheel(now)
  const ticker: Ticker = {
    now: () => now,
    wall: () => 1_700_000_000_000 + now,
    random: () => 0,
    after: (ms, run) => wheel.schedule(now, ms, run)
  }
  const registry = new MetricRegistry()
  const written: Array<string> = []
  const accessLog = new AccessLog({
    registry,
    soon: (flush) => flush(),
    onError: () => {},
    sink: {
      write: (text, done) => {
        written.push(text)
        done(undefined)
      },
      reopen: () => {},
      close: () => {}
    }
  })
  const queue = {
    full: false,
    spans: [] as SpanRecord[],
    dropped: 0,
    add: (span: SpanRecord) => queue.spans.push(span),
    drop: (spans = 1) => {
      queue.dropped += spans
    }
  }
  const reports = new ThreadReports({ registry, ticker, accessLog, queue })
  const begin = () => {
    const toMesh: Array<ThreadReport> = []
    const toThread: Array<ThreadOrder> = []
    const mesh = reports.begin((order) => toThread.push(order))
    const plane = new PlaneTelemetry({
      ...{ node: "host-a", ticker, traces: true, accessLog: true, sample: 1 },
      log: () => undefined,
      post: (report) => toMesh.push(report)
    })
    return {
      plane,
      mesh,
      toMesh,
      call: () => plane.observer.begin(info).end({ kind: "complete", status: 200 }, 1, 2),
      /** The mesh thread has a turn. */
      meshTurn: () => {
        for (const report of toMesh.splice(0)) mesh.receive(structuredClone(report))
      },
      threadTurn: () => {
        for (const order of toThread.splice(0)) plane.obey(structuredClone(order))
      }
    }
  }
  const scrape = () => {
    const texts: Array<string> = []
    reports.scrape((metrics) => texts.push(prometheusText(metrics)))
    return texts
  }
  const pass = (ms: number) => {
    now += ms
    wheel.advance(now)
  }
  return { begin, reports, scrape, pass, queue, ticker, written, wheel }
}

const labels = '{direction="outbound",service="payments",caller="host-a"'

describe("ThreadReports", () => {
  test("a call in a thread is counted, logged and traced by the node", () => {
    const { begin, pass, queue, scrape, written } = setUp()
    const thread = begin()
    thread.call()
    expect(thread.toMesh).toEqual([])
    pass(30)
    expect(thread.toMesh.length).toBe(1)
    thread.meshTurn()
    expect(queue.spans.map(({ name }) => name)).toEqual(["GET payments"])
    expect(written.length).toBe(1)
    expect(JSON.parse(written[0]!)).toMatchObject({ service: "payments", status: 200 })
    const texts = scrape()
    expect(texts).toEqual([])
    thread.threadTurn()
    thread.meshTurn()
    expect(texts[0]).toContain(
      `skein_requests_total${labels},result="success",status_class="2xx"} 1\n`
    )
    expect(texts[0]).toContain('skein_access_log_lines_total{result="written"} 1\n')
  })

  test("a mesh thread that begins anew is told all that a thread has, whatever the last had taken in", () => {
    const { begin, pass, ticker } = setUp()
    const thread = begin()
    thread.call()
    pass(30)
    // This report was under way when the mesh thread ended.
    expect(thread.toMesh.splice(0)).toHaveLength(1)
    thread.call()
    pass(30)
    expect(thread.toMesh).toEqual([])

    const registry = new MetricRegistry()
    const later = new ThreadReports({ registry, ticker, accessLog: undefined, queue: undefined })
    const orders: Array<ThreadOrder> = []
    const mesh = later.begin((order) => orders.push(order))
    thread.plane.obey({ kind: "anew" })
    pass(30)
    for (const report of thread.toMesh.splice(0)) mesh.receive(structuredClone(report))
    expect(prometheusText(later.metrics)).toContain(
      `skein_requests_total${labels},result="success",status_class="2xx"} 2\n`
    )
    for (const order of orders.splice(0)) thread.plane.obey(order)
    thread.call()
    pass(30)
    expect(thread.toMesh).toHaveLength(1)
  })

  test("gauges that are only set for a scrape are set for it, in cells that are new as well", () => {
    const { begin, scrape } = setUp()
    const thread = begin()
    let open = 7
    thread.plane.registry.onCollect(() =>
      thread.plane.registry.gauge("skein_open", "", []).cell({}).set(open++)
    )
    for (const value of [7, 8]) {
      const texts = scrape()
      thread.threadTurn()
      thread.meshTurn()
      expect(texts[0]).toContain(`skein_open ${value}\n`)
    }
  })

  test("a stalled thread costs a scrape 100 ms, and what it counted so far is told", () => {
    const { begin, pass, scrape } = setUp()
    const [stalled, well] = [begin(), begin()]
    for (const thread of [stalled, well]) {
      thread.call()
      pass(30)
      thread.meshTurn()
      thread.threadTurn()
    }
    const texts = scrape()
    well.threadTurn()
    well.meshTurn()
    pass(90)
    expect(texts).toEqual([])
    pass(20)
    expect(texts[0]).toContain(`status_class="2xx"} 2\n`)
  })

  test("a stalled mesh thread costs reports, of which one waits for it, and no memory", () => {
    const { begin, pass, queue, written } = setUp()
    const thread = begin()
    for (let i = 0; i < 5_000; i++) {
      thread.call()
      pass(10)
    }
    expect(thread.toMesh.length).toBe(1)
    thread.meshTurn()
    thread.threadTurn()
    pass(30)
    thread.meshTurn()
    expect(queue.spans.length + queue.dropped).toBe(5_000)
    expect(queue.spans.length).toBeGreaterThanOrEqual(2_048)
    expect(queue.spans.length).toBeLessThan(2_060)
    const lines = written.join("").trimEnd().split("\n").length
    expect(lines).toBeGreaterThan(2_000)
  })

  test("while there is no room for spans none are made, until the mesh thread says otherwise", () => {
    const { begin, pass, queue } = setUp()
    const thread = begin()
    const turns = () => {
      pass(30)
      thread.meshTurn()
      thread.threadTurn()
    }
    queue.full = true
    thread.call()
    turns()
    expect(queue.spans.length).toBe(1)
    thread.call()
    turns()
    expect([queue.spans.length, queue.dropped]).toEqual([1, 1])
    queue.full = false
    for (let i = 0; i < 40; i++) turns() // nothing is to be told, and still it learns
    thread.call()
    turns()
    expect([queue.spans.length, queue.dropped]).toEqual([2, 1])
  })

  test("a plane in this very thread is scraped at once", () => {
    const { reports, scrape, ticker } = setUp()
    const mesh = reports.begin((order) => plane.obey(order))
    const plane = new PlaneTelemetry({
      ...{ node: "host-a", ticker, traces: true, accessLog: true, sample: 1 },
      log: () => undefined,
      post: (report) => mesh.receive(report)
    })
    for (const calls of [1, 2]) {
      plane.observer.begin(info).end({ kind: "complete", status: 200 }, 1, 2)
      expect(scrape()[0]).toContain(`status_class="2xx"} ${calls}\n`)
    }
  })

  test("an idle thread sets no timer and says nothing", () => {
    const { begin, pass, wheel } = setUp()
    const thread = begin()
    pass(30)
    thread.meshTurn()
    thread.threadTurn()
    pass(10_000)
    expect(thread.toMesh).toEqual([])
    expect(wheel.size).toBe(0)
  })

  test("what is on its way when a thread ends is not lost, and nobody waits for it", () => {
    const { begin, pass, queue, scrape, written } = setUp()
    const thread = begin()
    thread.call()
    pass(30)
    thread.meshTurn()
    thread.threadTurn()
    thread.call()
    thread.plane.stop()
    const texts = scrape()
    thread.mesh.end()
    expect(texts[0]).toContain(`status_class="2xx"} 2\n`)
    expect(texts[0]).not.toContain("skein_requests_in_flight{")
    thread.meshTurn()
    expect([queue.spans.length, written.length]).toEqual([2, 2])
    expect(scrape()[0]).toContain(`status_class="2xx"} 2\n`)
  })
})
