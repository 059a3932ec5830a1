/** What a scraper gets of real nodes: names and units that Prometheus' own tool finds no fault in. */
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

/** As much of it as is asked here; test/conformance/dashboard.test.ts looks closer. */
const Dashboard = Schema.Struct({
  panels: Schema.Array(
    Schema.Struct({
      title: Schema.String,
      targets: Schema.optionalWith(
        Schema.Array(Schema.Struct({ refId: Schema.String, expr: Schema.String })),
        { default: () => [] }
      )
    })
  )
})

/** Panels that show nothing as long as nothing of the kind has happened. */
const whenAllIsWell: ReadonlyArray<string> = [
  "Retries not made: budget spent A",
  "Contradictions between nodes A",
  "Records not taken in A",
  "Refused because of time A",
  "Refused and broken at listeners A",
  "Refused and broken at listeners B",
  "Refused and broken at listeners C"
]

/** No program here runs actors; actors-command.test.ts reads some of their numbers where one does. */
const ofActors: ReadonlyArray<string> = [
  "Messages per second, by what became of them A",
  "Time until messages are answered, p99 A",
  "Messages that wait A",
  "In memory A",
  "Shards A",
  "Shards B",
  "Crashes, what came to nothing, and states given A",
  "Crashes, what came to nothing, and states given B",
  "Crashes, what came to nothing, and states given C",
  "Crashes, what came to nothing, and states given D"
]

const mesh = new TestMesh()
let a: Host
let b: Host
let app: App

beforeAll(async () => {
  app = await httpApp("echo")
  a = await mesh.first("host-a", {
    telemetry: {
      otlp: `http://127.0.0.1:${await freePort()}`,
      accessLog: `${mesh.directory}/access.log`
    }
  })
  const dead = `127.0.0.1:${await freePort()}`
  b = await mesh.join("host-b", {
    services: [
      { name: "echo", address: app.address },
      { name: "gone", address: dead },
      { name: "sick", address: dead, health: { tcp: {} } }
    ]
  })
  await until("host-a knows all services", async () =>
    (await (await fetch(`http://${a.admin}/api/v1/services`)).text()).includes("sick")
      ? true
      : undefined
  )
  const call = (service: string) =>
    run(program("curl"), ["-sS", "-o", "/dev/null", "-x", a.proxy, `http://${service}.mesh/`])
  for (let i = 0; i < 3; i++) await call("echo")
  // Retries, an open circuit and an ejection.
  for (let i = 0; i < 10; i++) await call("gone")
  await call("nobody")
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

const scrape = async (host: Host) => (await fetch(`http://${host.admin}/metrics`)).text()

/** Values by name and labels, as they stand in the text. */
const values = (text: string) =>
  new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const at = line.lastIndexOf(" ")
        return [line.slice(0, at), Number(line.slice(at + 1))] as const
      })
  )

describe("the metrics of a node", () => {
  it.each(["host-a", "host-b"])("of %s are found faultless by promtool", async (name) => {
    const text = await scrape(name === "host-a" ? a : b)
    const { status, stdout, stderr } = spawnSync(program("promtool"), ["check", "metrics"], {
      input: text,
      encoding: "utf8"
    })
    expect(stdout + stderr).toBe("")
    expect(status).toBe(0)
  })

  it("tell of the mesh, of the process, and when the certificate ends", async () => {
    const seen = values(await scrape(a))
    expect(seen.get('skein_members{state="alive"}')).toBe(2)
    expect(seen.get('skein_links{state="open",wanted="true"}')).toBe(1)
    expect(seen.get("skein_ready")).toBe(1)
    expect(seen.get("process_open_fds")).toBeGreaterThan(10)
    const left = seen.get("skein_certificate_expiry_timestamp_seconds")! - Date.now() / 1_000
    expect(left).toBeGreaterThan(3_600)
    expect(left).toBeLessThanOrEqual(86_400)
    const rtt = [...seen].find(([key]) => key.startsWith('skein_link_rtt_seconds{node="host-b"'))
    expect(rtt?.[1]).toBeLessThan(60)
  })

  it("count calls in seconds", async () => {
    const seen = values(await scrape(a))
    const of = (name: string, more = "") =>
      seen.get(`${name}{direction="outbound",service="echo",caller="host-a"${more}}`)
    expect(of("skein_request_duration_seconds_count")).toBe(3)
    expect(of("skein_request_duration_seconds_sum")).toBeLessThan(60)
    expect(of("skein_request_duration_seconds_bucket", ',le="0.0075"')).toBeLessThanOrEqual(3)
    expect(of("skein_request_duration_seconds_bucket", ',le="+Inf"')).toBe(3)
  })
})

describe("Prometheus", () => {
  const port = freePort()
  const ask = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${await port}/api/v1/${path}`)
    const body: unknown = await response.json()
    if (!response.ok) throw new Error(JSON.stringify(body))
    return body
  }
  const Answer = Schema.Struct({
    status: Schema.Literal("success"),
    data: Schema.Struct({ result: Schema.Array(Schema.Unknown) })
  })
  const query = async (text: string) =>
    Schema.decodeUnknownSync(Answer)(await ask(`query?query=${encodeURIComponent(text)}`)).data
      .result

  it("scrapes as docs/metrics.md configures it, and answers every query of the dashboard", async () => {
    const [, shown = ""] =
      /```yaml\n(scrape_configs:[\s\S]*?)```/.exec(
        readFileSync(join(root, "docs/metrics.md"), "utf8")
      ) ?? []
    const config = shown
      .replace('["127.0.0.1:4191"]', JSON.stringify([a.admin, b.admin]))
      .replace("labels: { instance: host-a }", "labels: { zone: test }")
      .replace("- job_name", "- scrape_interval: 500ms\n    job_name")
    expect(config).toContain(a.admin)
    const file = join(mesh.directory, "prometheus.yml")
    writeFileSync(file, config)
    start(program("prometheus"), [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(mesh.directory, "prometheus")}`,
      `--web.listen-address=127.0.0.1:${await port}`
    ])
    const call = () =>
      run(program("curl"), ["-sS", "-o", "/dev/null", "-x", a.proxy, "http://echo.mesh/"])
    // Two catalogues are seen to be equal, which by itself comes after half a minute.
    await a.api("peers")
    await until("Prometheus has seen both nodes count calls", async () => {
      await call()
      const seen = await query(
        'count_over_time(up[1m]) > 4 and on () sum(increase(skein_requests_total{result="success"}[1m])) > 0'
      )
      return seen.length === 2 ? true : undefined
    })
    const dashboard = Schema.decodeUnknownSync(Dashboard)(
      JSON.parse(readFileSync(join(root, "mesh-nodes/grafana/skein.json"), "utf8"))
    )
    const empty: Array<string> = []
    for (const { title, targets } of dashboard.panels) {
      for (const { expr, refId } of targets) {
        const filled = expr
          .replaceAll("$__rate_interval", "1m")
          .replaceAll(/"\$(instance|service)"/g, '".*"')
        expect(filled).not.toContain("$")
        if ((await query(filled)).length === 0) empty.push(`${title} ${refId}`)
      }
    }
    const mayBeEmpty = [...whenAllIsWell, ...ofActors]
    expect(empty.filter((panel) => !mayBeEmpty.includes(panel))).toEqual([])
  })
})
