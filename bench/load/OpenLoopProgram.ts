/**
 * An open-loop load, in a process of its own. Requests leave at moments that were fixed up front,
 * and a latency counts from that moment, not from when a connection became free: waiting that the
 * server causes is the server's (no coordinated omission). Settings come as JSON in OPEN_LOOP, the
 * report is one line on stdout.
 */
import { Worker } from "node:worker_threads"
import { Schema } from "effect"
import { quantile } from "../Statistics.ts"
import { type Answered, OpenLoopConnection } from "./OpenLoopConnection.ts"
import { LoopReport, LoopSettings } from "./OpenLoopReport.ts"
import { dueAt, scheduledAt } from "./Schedule.ts"

const settings = Schema.decodeSync(Schema.parseJson(LoopSettings))(process.env["OPEN_LOOP"] ?? "")
const { entry, host, rate, seconds, warmUpSeconds, connections, mix } = settings
const at = entry.lastIndexOf(":")
const [address, port] = [entry.slice(0, at), Number(entry.slice(at + 1))]

const requests = mix.map(({ method, path, bodyBytes }) => {
  const length = bodyBytes === 0 ? "" : `Content-Length: ${bodyBytes}\r\n`
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${length}\r\n`
  return Buffer.from(head + "x".repeat(bodyBytes))
})

/** Sent before anything counts: connections get opened, code compiled. */
const warmUp = Math.ceil(rate * warmUpSeconds)
const total = warmUp + Math.ceil(rate * seconds)
const latencies = new Float64Array(total).fill(Number.NaN)
const lateness = new Float64Array(total)
let sent = 0
let ended = 0
let errors = 0
let start = 0

const free: Array<OpenLoopConnection> = []
/** Due, and waiting for a connection: at most `total`, which is fixed. */
const waiting: Array<number> = []
let open = 0

const connect = (): OpenLoopConnection => {
  open++
  return new OpenLoopConnection(address, port, finished)
}

const finished = (self: OpenLoopConnection, index: number, answer: Answered | undefined): void => {
  const now = performance.now()
  if (answer === undefined || answer.status >= 400) errors++
  else latencies[index] = now - start - scheduledAt(index, rate)
  ended++
  if (self.closed) open--
  const next = waiting.shift()
  if (next !== undefined) launch(self.closed ? connect() : self, next)
  else if (!self.closed) free.push(self)
  if (ended === total) report()
}

const launch = (connection: OpenLoopConnection, index: number): void => {
  lateness[index] = performance.now() - start - scheduledAt(index, rate)
  const request = requests[index % requests.length]
  if (request !== undefined) connection.send(index, request)
}

const takeFree = (): OpenLoopConnection | undefined => {
  for (;;) {
    const connection = free.pop()
    if (connection === undefined) return open < connections ? connect() : undefined
    if (!connection.closed) return connection
    open--
  }
}

const sendDue = (): void => {
  const due = dueAt(performance.now() - start, rate, total)
  while (sent < due) {
    const index = sent++
    const connection = takeFree()
    if (connection === undefined) waiting.push(index)
    else launch(connection, index)
  }
  if (sent === total) void pacer.terminate()
}

/**
 * Timers of the event loop come in whole milliseconds. A thread that sleeps in Atomics.wait and
 * knocks is exact to some tens of microseconds, and costs no core as spinning would. It is told when
 * the first one leaves, and goes on until it is ended: threads do not start together.
 */
const pacer = new Worker(
  `const { parentPort, workerData } = require("node:worker_threads")
   const cell = new Int32Array(new SharedArrayBuffer(4))
   parentPort.once("message", (start) => {
     const begin = start - performance.timeOrigin
     for (let i = 1; ; i++) {
       const wait = begin + i * workerData.interval - performance.now()
       if (wait > 0) Atomics.wait(cell, 0, 0, wait)
       parentPort.postMessage(i)
     }
   })`,
  { eval: true, workerData: { interval: 1_000 / rate } }
)

const report = (): void => {
  const good = Array.from(latencies.subarray(warmUp)).filter((value) => !Number.isNaN(value))
  const line = Schema.encodeSync(Schema.parseJson(LoopReport))({
    requests: total,
    errors,
    p50: good.length === 0 ? 0 : quantile(good, 0.5),
    p99: good.length === 0 ? 0 : quantile(good, 0.99),
    p999: good.length === 0 ? 0 : quantile(good, 0.999),
    lateness: quantile(Array.from(lateness.subarray(warmUp)), 0.5)
  })
  process.stdout.write(`${line}\n`, () => process.exit(0))
}

// What has no answer long after the last departure never gets one.
setTimeout(
  () => {
    errors += total - ended
    report()
  },
  (total / rate) * 1_000 + 15_000
)

pacer.on("message", sendDue)
pacer.once("online", () => {
  start = performance.now()
  pacer.postMessage(performance.timeOrigin + start)
  sendDue()
})
