/** Traces at a real OTLP receiver, access log lines, and a collector that is down. */
import { readFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
}

const mesh = new TestMesh()
const spans: Array<Span> = []
let collector: Server
let a: Host
let app: App
const log = join(mesh.directory, "access.log")

beforeAll(async () => {
  collector = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8"))
      for (const resource of body.resourceSpans ?? []) {
        for (const scope of resource.scopeSpans ?? []) spans.push(...(scope.spans ?? []))
      }
      response.setHeader("content-type", "application/json")
      response.end("{}")
    })
  })
  const port = await freePort()
  await new Promise<void>((resolve) => collector.listen(port, "127.0.0.1", resolve))
  const otlp = `http://127.0.0.1:${port}`
  app = await httpApp("echo")
  a = await mesh.first("host-a", { telemetry: { otlp, sample: 0, accessLog: log } })
  await mesh.join("host-b", {
    services: [{ name: "echo", address: app.address }],
    telemetry: { otlp, sample: 0 }
  })
  await until("host-a knows echo", async () =>
    JSON.stringify(await a.api("services")).includes("echo") ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  collector.closeAllConnections()
  await new Promise((resolve) => collector.close(resolve))
  await stopAll()
})

const get = (...args: ReadonlyArray<string>) =>
  run(program("curl"), ["-sS", "-x", a.proxy, ...args, "http://echo.mesh/path?secret=1"])

describe("traces", () => {
  it("a sampled caller's trace goes on through both nodes to the endpoint", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
    const { stdout } = await get("-H", `traceparent: 00-${traceId}-00f067aa0ba902b7-01`)
    const client = await until("the client span", () =>
      spans.find((span) => span.traceId === traceId && span.kind === 3)
    )
    const server = await until("the server span", () =>
      spans.find((span) => span.traceId === traceId && span.kind === 2)
    )
    expect(client.parentSpanId).toBe("00f067aa0ba902b7")
    expect(server.parentSpanId).toBe(client.spanId)
    expect(JSON.parse(stdout).headers.traceparent).toBe(`00-${traceId}-${server.spanId}-01`)
  })

  it("an unsampled context passes untouched and makes no span", async () => {
    const context = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00"
    const { stdout } = await get("-H", `traceparent: ${context}`, "-H", "tracestate: x=1")
    expect(JSON.parse(stdout).headers).toMatchObject({ traceparent: context, tracestate: "x=1" })
    // Spans are sent in order: one of the former would be here before this one.
    const traceId = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    await get("-H", `traceparent: 00-${traceId}-00f067aa0ba902b7-01`)
    await until("both spans of a later trace", () =>
      spans.filter((span) => span.traceId === traceId).length === 2 ? true : undefined
    )
    expect(spans.some((span) => span.traceId.startsWith("aaaa"))).toBe(false)
  })
})

describe("access log", () => {
  it("one JSON line per request, without the query", async () => {
    await get()
    const line = await until("a line", () =>
      readFileSync(log, "utf8")
        .split("\n")
        .find((text) => text.includes('"echo"'))
    )
    const entry = JSON.parse(line)
    expect(entry).toMatchObject({ service: "echo", method: "GET", status: 200, node: "host-a" })
    expect(line).not.toContain("secret")
  })
})

describe("a collector that is down", () => {
  it("is one log line; requests go on", async () => {
    const lonely = await mesh.join("host-c", {
      telemetry: { otlp: `http://127.0.0.1:${await freePort()}`, sample: 1 }
    })
    await until("host-c knows echo", async () =>
      JSON.stringify(await lonely.api("services")).includes("echo") ? true : undefined
    )
    for (let i = 0; i < 50; i++) {
      const { code } = await run(program("curl"), [
        ...["-sSf", "-o", "/dev/null", "-x", lonely.proxy, "http://echo.mesh/"]
      ])
      expect(code).toBe(0)
    }
    const lines = await until(
      "the log line",
      () => {
        const text = lonely.process?.output() ?? ""
        const found = text.split("\n").filter((line) => /collector|otlp/i.test(line))
        return found.length > 0 ? found : undefined
      },
      30
    )
    expect(lines.length).toBe(1)
  })
})
