import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Logger, Runtime, Scope } from "effect"
import { hostCaller } from "../model/Caller.ts"
import { NodeName, ServiceName } from "../model/Names.ts"
import type { ExchangeInfo } from "../model/Observer.ts"
import type { Ticker } from "../model/Time.ts"
import { makeTelemetry, type TelemetryOptions } from "./Telemetry.ts"
import { tracesUrl } from "./Tracing.ts"

const ticker: Ticker = {
  now: () => performance.now(),
  wall: () => Date.now(),
  random: () => 0,
  after: (delay, callback) => {
    const timeout = setTimeout(callback, delay)
    return { cancel: () => clearTimeout(timeout) }
  }
}

interface OtlpAttribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: number }
}

interface OtlpSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<OtlpAttribute>
  readonly events: ReadonlyArray<{ readonly name: string }>
  readonly status: { readonly code: number; readonly message?: string }
}

interface OtlpBody {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<OtlpAttribute> }
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<OtlpSpan> }>
  }>
}

const attributesOf = (attributes: ReadonlyArray<OtlpAttribute>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]))

/** A server on an ephemeral port; `answer` gets each request with its body. */
const server = (
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void
) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const http = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8")
        request.on("data", (text: string) => {
          body += text
        })
        request.on("end", () => answer(request, response, body))
      })
      http.listen(0, "127.0.0.1", () => {
        const address = http.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => {
          http.closeAllConnections()
          http.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const options = (more: Partial<TelemetryOptions>): TelemetryOptions => ({
  node: "host-a",
  mesh: "demo",
  version: "1.2.3",
  sample: 1,
  accessLog: "off",
  ticker,
  ...more
})

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

describe("traces", () => {
  it("the collector's address may be given with or without the path", () => {
    expect(tracesUrl("http://127.0.0.1:4318")).toBe("http://127.0.0.1:4318/v1/traces")
    expect(tracesUrl("http://c/otlp/")).toBe("http://c/otlp/v1/traces")
    expect(tracesUrl("http://c/v1/traces")).toBe("http://c/v1/traces")
  })

  it.scopedLive("both hops of a call reach the collector as one trace when the node closes", () =>
    Effect.gen(function* () {
      const bodies: Array<OtlpBody> = []
      const collector = yield* server((request, response, body) => {
        expect(request.url).toBe("/v1/traces")
        bodies.push(JSON.parse(body))
        response.end("{}")
      })
      const scope = yield* Scope.make()
      const { observer, registry } = yield* makeTelemetry(options({ otlp: collector.url })).pipe(
        Scope.extend(scope)
      )
      const outbound = observer.begin(info())
      const inbound = observer.begin(
        info({ direction: "inbound", caller: "host-b", fields: outbound.forwardFields })
      )
      inbound.responded(503)
      inbound.end({ kind: "complete", status: 503 }, 1, 2)
      outbound.endpoint("peer/0", "host-b")
      outbound.event("retry", { attempt: 1 })
      outbound.end({ kind: "fault", code: "upstream_timeout", message: "over 2 s" }, 1, 0)
      yield* Scope.close(scope, Exit.void)

      const resource = bodies[0]!.resourceSpans[0]!
      expect(attributesOf(resource.resource.attributes)).toMatchObject({
        "service.name": "skein",
        "service.instance.id": "host-a",
        "service.version": "1.2.3"
      })
      const [server_, client] = resource.scopeSpans[0]!.spans
      expect(server_!.parentSpanId).toBe(client!.spanId)
      expect(server_!.traceId).toBe(client!.traceId)
      expect([client!.kind, server_!.kind]).toEqual([3, 2]) // CLIENT, SERVER
      expect(client!.name).toBe("GET payments")
      expect(client!.status).toEqual({ code: 2, message: "over 2 s" })
      expect(client!.events.map(({ name }) => name)).toEqual(["retry"])
      expect(attributesOf(client!.attributes)).toEqual({
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
        "http.request.body.size": 1,
        "http.response.body.size": 0,
        "url.scheme": "http",
        "url.path": "/pay",
        "url.full": "http://payments.mesh/pay",
        "error.type": "upstream_timeout"
      })
      expect(attributesOf(server_!.attributes)).toMatchObject({
        "http.response.status_code": 503,
        "error.type": "503",
        "skein.caller": "host-b",
        "skein.as": "host/host-a"
      })
      const took = (span: OtlpSpan) =>
        Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano))
      expect(took(server_!)).toBeGreaterThan(0)
      expect(took(client!)).toBeGreaterThan(took(server_!))
      expect(registry.counter("skein_spans_exported_total", "").cell({}).value).toBe(2)
    })
  )

  it.scopedLive(
    "a collector that is down: one log line, spans counted, closing does not hang",
    () =>
      Effect.gen(function* () {
        const gone = yield* server(() => {})
        gone.close()
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => {
          lines.push(String(message))
        })
        const scope = yield* Scope.make()
        const { observer, registry, exportStatus } = yield* makeTelemetry(
          options({ otlp: gone.url })
        ).pipe(Scope.extend(scope), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
        expect(exportStatus()).toMatchObject({ collector: gone.url, reachable: null, dropped: 0 })
        for (let i = 0; i < 3_000; i++) {
          observer.begin(info()).end({ kind: "complete", status: 200 }, 0, 0)
        }
        const dropped = registry.counter("skein_spans_dropped_total", "")
        expect(dropped.cell({ reason: "queue" }).value).toBe(3_000 - 2_048)
        registry.collect()
        expect(registry.gauge("skein_spans_queued", "").cell({}).value).toBe(2_048)
        // Whatever the exporter would still try.
        yield* Scope.close(scope, Exit.void).pipe(Effect.timeout("6 seconds"))
        expect(lines.length).toBe(1)
        expect(lines[0]).toContain(`did not reach the collector ${gone.url}`)
        expect(exportStatus().dropped).toBeGreaterThanOrEqual(3_000 - 2_048)
      })
  )

  it.scopedLive("what waits is bounded by bytes too", () =>
    Effect.gen(function* () {
      const gone = yield* server(() => {})
      gone.close()
      const { observer, registry, exportStatus } = yield* makeTelemetry(
        options({ otlp: gone.url })
      ).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
      const target = `/${"long".repeat(1_000)}`
      for (let i = 0; i < 2_000; i++) {
        const observation = observer.begin(info({ target }))
        for (let retry = 0; retry < 10; retry++) observation.event("retry", { attempt: retry })
        observation.end({ kind: "complete", status: 200 }, 0, 0)
      }
      registry.collect()
      // Each is cut to about 6 KiB, of which 4 MiB hold some 700.
      const queued = registry.gauge("skein_spans_queued", "").cell({}).value
      expect(queued).toBeGreaterThan(500)
      expect(queued).toBeLessThan(1_000)
      expect(exportStatus().dropped).toBe(2_000 - queued)
      // The trace goes on, for nodes that have room.
      const { forwardFields } = observer.begin(info({ fields: [] }))
      expect(forwardFields[1]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    })
  )

  it.scopedLive("the log says once that spans are lost, and once that this is over", () =>
    Effect.gen(function* () {
      let status = 400
      const asked: Array<number> = []
      const collector = yield* server((_, response) => {
        asked.push(status)
        response.statusCode = status
        response.end("{}")
      })
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      let ahead = 0
      const hurried: Ticker = {
        ...ticker,
        now: () => performance.now() + ahead,
        after: (_, callback) => ticker.after(0, callback)
      }
      const { observer, exportStatus } = yield* makeTelemetry(
        options({ otlp: collector.url, ticker: hurried })
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const batch = (wanted: boolean) =>
        Effect.gen(function* () {
          for (let i = 0; i < 256; i++) {
            observer.begin(info()).end({ kind: "complete", status: 200 }, 0, 0)
          }
          const before = asked.length
          while (asked.length === before || exportStatus().reachable !== wanted) {
            yield* Effect.sleep("5 millis")
          }
        })
      yield* batch(false)
      yield* batch(false)
      status = 200
      yield* batch(true)
      expect(lines.length).toBe(1)
      ahead = 10_000
      yield* batch(true)
      while (lines.length < 2) yield* Effect.sleep("5 millis")
      expect(lines[0]).toContain(`256 spans did not reach the collector ${collector.url}`)
      expect(lines[1]).toContain("takes spans again; 256 more were lost")
    })
  )

  it.scopedLive("a collector that never answers does not hold up closing", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const runtime = yield* Effect.runtime<never>()
      const mute = yield* server(() => Runtime.runFork(runtime)(Deferred.succeed(asked, undefined)))
      const scope = yield* Scope.make()
      const { observer } = yield* makeTelemetry(options({ otlp: mute.url })).pipe(
        Scope.extend(scope),
        Effect.provide(Logger.remove(Logger.defaultLogger))
      )
      observer.begin(info()).end({ kind: "complete", status: 200 }, 0, 0)
      const begun = performance.now()
      yield* Scope.close(scope, Exit.void)
      // Before the exporter itself gives up.
      expect(performance.now() - begun).toBeLessThan(3_000)
      yield* Deferred.await(asked)
    })
  )
})

describe("the rest", () => {
  it.scopedLive("the access log is on disk when the node has closed", () =>
    Effect.gen(function* () {
      const directory = mkdtempSync(join(tmpdir(), "skein-telemetry-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      const file = join(directory, "access.log")
      const scope = yield* Scope.make()
      const { observer } = yield* makeTelemetry(options({ accessLog: { file } })).pipe(
        Scope.extend(scope)
      )
      observer.begin(info()).end({ kind: "complete", status: 200 }, 0, 0)
      yield* Scope.close(scope, Exit.void)
      expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ service: "payments" })
    })
  )

  it.scopedLive("a scrape tells of the process", () =>
    Effect.gen(function* () {
      const { prometheus } = yield* makeTelemetry(options({}))
      const text = yield* prometheus
      const value = (name: string) =>
        Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "m").exec(text)?.[1])
      expect(value("process_resident_memory_bytes")).toBeGreaterThan(10e6)
      expect(value("process_cpu_seconds_total")).toBeGreaterThan(0)
      expect(value("process_start_time_seconds")).toBeGreaterThan(1.7e9)
      expect(value("process_open_fds")).toBeGreaterThan(2)
      expect(value("process_max_fds")).toBeGreaterThan(value("process_open_fds"))
      expect(value("skein_uptime_seconds")).toBeGreaterThanOrEqual(0)
      expect(text).toContain('skein_build_info{node="host-a",mesh="demo",version="1.2.3"')
    })
  )
})
