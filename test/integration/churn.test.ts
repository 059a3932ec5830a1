/** What comes and goes leaves nothing behind in what a node keeps of it. */
import { Agent, get } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const agent = new Agent({ keepAlive: true })
let app: App
let a: Host
let b: Host

const statusOf = (service: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const [host, port] = a.proxy.split(":")
    const headers = { host: `${service}.mesh` }
    const sent = get(
      { host, port, path: `http://${service}.mesh/`, headers, agent },
      (response) => {
        response.resume()
        response.on("end", () => resolve(response.statusCode ?? 0))
      }
    )
    sent.on("error", reject)
  })

/** Lines of /metrics, without their values. */
const series = async (host: Host): Promise<ReadonlyArray<string>> => {
  const text = await (await fetch(`http://${host.admin}/metrics`)).text()
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.slice(0, line.lastIndexOf(" ")))
}

const offer = async (...names: ReadonlyArray<string>): Promise<void> => {
  b.options = { services: names.map((name) => ({ name, address: app.address })) }
  b.writeConfig()
  const { code, stderr } = await skein("reload", "--admin", b.admin)
  if (code !== 0) throw new Error(stderr)
}

const known = (name: string, wanted: boolean) =>
  until(`${name} ${wanted ? "known" : "gone"}`, async () =>
    ((await statusOf(name)) === 200) === wanted ? true : undefined
  )

beforeAll(async () => {
  app = await httpApp("echo")
  a = await mesh.first("host-a")
  b = await mesh.join("host-b", { services: [{ name: "stays", address: app.address }] })
  await known("stays", true)
})

afterAll(async () => {
  agent.destroy()
  await mesh.stop()
  await app.close()
  await stopAll()
})

describe("metrics", () => {
  it("names that clients make up are counted together", async () => {
    for (let i = 0; i < 50; i++) expect(await statusOf(`made-up-${i}`)).toBe(404)
    const all = await series(a)
    expect(all.filter((line) => line.includes("made-up"))).toEqual([])
    const together = all.filter(
      (line) => line.startsWith("skein_requests_total") && line.includes("route_not_found")
    )
    expect(together).toHaveLength(1)
  })

  it("endpoints that are gone are gone from the metrics of both sides", async () => {
    const ofEndpoints = async (host: Host) =>
      (await series(host)).filter((line) => line.includes('endpoint="')).sort()
    const before = [await ofEndpoints(a), await ofEndpoints(b)]
    for (let i = 0; i < 4; i++) {
      await offer("stays", `comes-${i}`)
      await known(`comes-${i}`, true)
    }
    const during = await ofEndpoints(a)
    expect(during.some((line) => line.includes("comes-3"))).toBe(true)
    await offer("stays")
    // host-b refuses its callers before host-a has heard why.
    await until("both sides count as before", async () => {
      const now = [await ofEndpoints(a), await ofEndpoints(b)]
      return JSON.stringify(now) === JSON.stringify(before) ? true : undefined
    })
  })
})
