/** What a scraper gets of real nodes: names and units that Prometheus' own tool finds no fault in. */
import { spawnSync } from "node:child_process"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

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
      { name: "gone", address: dead }
    ]
  })
  await until("host-a knows both services", async () =>
    (await (await fetch(`http://${a.admin}/api/v1/services`)).text()).includes("gone")
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
