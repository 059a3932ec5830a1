/** Telemetry of real threads: what they count, log and trace is the node's, whatever becomes of them. */

import { Worker } from "node:worker_threads"
import { afterEach, describe, expect, it } from "vitest"
import type { Ticker } from "../../src/model/Time.ts"
import { MetricRegistry } from "../../src/request/cells/Metrics.ts"
import type { SpanRecord } from "../../src/request/cells/SpanRecord.ts"
import { AccessLog } from "../../src/telemetry/AccessLog.ts"
import { prometheusText } from "../../src/telemetry/PrometheusText.ts"
import { ThreadReports } from "../../src/telemetry/ThreadReports.ts"
import type { FromCounting, ToCounting } from "../fixtures/CountingThread.ts"
import { until } from "../fixtures/Processes.ts"

const ticker: Ticker = {
  now: () => performance.now(),
  wall: () => Date.now(),
  random: () => 0,
  after: (delay, callback) => {
    const timeout = setTimeout(callback, delay)
    return { cancel: () => clearTimeout(timeout) }
  }
}

const running = new Set<Worker>()
afterEach(async () => {
  await Promise.all(Array.from(running, (worker) => worker.terminate()))
})

const setUp = () => {
  const registry = new MetricRegistry()
  const log = { text: "" }
  const accessLog = new AccessLog({
    registry,
    soon: setImmediate,
    onError: () => {},
    sink: {
      write: (text, done) => {
        log.text += text
        setImmediate(done, undefined)
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
    const worker = new Worker(new URL("../fixtures/CountingThread.ts", import.meta.url))
    running.add(worker)
    const tell = (message: ToCounting) => worker.postMessage(message)
    const thread = reports.begin((order) => tell({ type: "telemetry", order }))
    const seen = { done: 0, reports: 0, collected: 0, error: "" }
    worker.on("message", (message: FromCounting) => {
      if (message.type === "done") seen.done += message.calls
      else {
        seen.reports++
        if (message.report.collected) seen.collected++
        thread.receive(message.report)
      }
    })
    worker.on("error", (error) => {
      seen.error = error instanceof Error ? error.message : String(error)
    })
    const ended = new Promise<void>((resolve) =>
      worker.on("exit", () => {
        running.delete(worker)
        thread.end()
        resolve()
      })
    )
    return { tell, seen, ended }
  }
  const scrape = () =>
    new Promise<string>((resolve) => reports.scrape((metrics) => resolve(prometheusText(metrics))))
  return { begin, scrape, log, queue }
}

/** Of the only line of this name with these labels. */
const value = (text: string, name: string, labels = ""): number => {
  const line = text.split("\n").find((one) => one.startsWith(`${name}{`) && one.includes(labels))
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(" ")))
}

const counted = (text: string) => value(text, "skein_requests_total", 'result="success"')

// Threads take their time to begin on a busy machine.
describe("threads", { timeout: 60_000 }, () => {
  it("count, log and trace for the node, scraped all the time, and no count goes down", async () => {
    const { begin, log, queue, scrape } = setUp()
    const threads = Array.from({ length: 4 }, begin)
    const [rounds, calls] = [20, 500]
    for (let round = 0; round < rounds; round++) {
      for (const { tell } of threads) tell({ type: "calls", calls })
    }
    let last = 0
    const wrong: Array<string> = []
    await until("all calls are done", async () => {
      const text = await scrape()
      const now = counted(text)
      if (now < last) wrong.push(`${last} went down to ${now}`)
      last = now
      const count = value(text, "skein_request_duration_seconds_count")
      const all = value(text, "skein_request_duration_seconds_bucket", 'le="+Inf"')
      if (count !== all) wrong.push(`${count} of ${all} recordings`)
      return threads.every(({ seen }) => seen.done === rounds * calls) ? true : undefined
    })
    expect(wrong).toEqual([])
    const total = threads.length * rounds * calls
    for (const { tell } of threads) tell({ type: "stop" })
    await Promise.all(threads.map(({ ended }) => ended))
    await until("all lines are written", async () => {
      const lines = await scrape()
      const told = ["written", "dropped"].map((result) =>
        value(lines, "skein_access_log_lines_total", `result="${result}"`)
      )
      return (told[0] ?? 0) + (told[1] ?? 0) === total ? true : undefined
    })
    const text = await scrape()
    expect(counted(text)).toBe(total)
    expect(value(text, "skein_response_body_bytes_total")).toBe(2 * total)
    expect(text).not.toContain("skein_requests_in_flight{")
    const lines = log.text.trimEnd().split("\n")
    expect(lines.length).toBe(value(text, "skein_access_log_lines_total", 'result="written"'))
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ service: "payments" })
    expect(queue.spans.length + queue.dropped).toBe(total)
    expect(queue.spans.every(({ name }) => name === "GET payments")).toBe(true)
    expect(threads.every(({ seen }) => seen.error === "")).toBe(true)
  })

  it("that stall are scraped without their answer, and with it when they are back", async () => {
    const { begin, scrape } = setUp()
    const [stalled, well] = [begin(), begin()]
    for (const { tell } of [stalled, well]) tell({ type: "calls", calls: 10 })
    await until("both are counted", async () => (counted(await scrape()) === 20 ? true : undefined))
    const flag = new Int32Array(new SharedArrayBuffer(4))
    stalled.tell({ type: "stall", until: flag, calls: 5 })
    await until("it stalls", async () => (stalled.seen.done === 15 ? true : undefined))
    const { collected } = stalled.seen
    const gauge = /^skein_test_open (\d+)$/m
    const asked = Number(gauge.exec(await scrape())?.[1])
    expect(asked).toBeGreaterThan(1)
    for (let i = 0; i < 3; i++) expect(counted(await scrape())).toBe(25)
    expect(stalled.seen.collected).toBe(collected)
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
    await until("it answers", async () => {
      await scrape()
      return stalled.seen.collected > collected + 1 ? true : undefined
    })
  })

  it("that crash leave what they counted, and their successors count on", async () => {
    const { begin, scrape } = setUp()
    const first = begin()
    first.tell({ type: "calls", calls: 7 })
    await until("it is counted", async () => (counted(await scrape()) === 7 ? true : undefined))
    first.tell({ type: "crash" })
    await first.ended
    expect(first.seen.error).toBe("as asked")
    const second = begin()
    expect(counted(await scrape())).toBe(7)
    second.tell({ type: "calls", calls: 3 })
    await until("both are counted", async () => (counted(await scrape()) === 10 ? true : undefined))
  })
})
