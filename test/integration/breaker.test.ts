/** The circuit breaker of a real mesh, seen from outside: what reaches the program, and when. */
import type { ServerResponse } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

/** `open.base` in milliseconds; every wait is 0.5 to 1.5 of what the policy says. */
const base = 200

/** A program that answers as it is told, and notes when it was asked. */
class Patient {
  status = 200
  /** Milliseconds until it answers. */
  delay = 0
  readonly asked: Array<number> = []
  inFlight = 0
  mostInFlight = 0

  answer(response: ServerResponse): void {
    const { status, delay } = this
    this.asked.push(performance.now())
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight)
    response.on("close", () => this.inFlight--)
    setTimeout(() => {
      response.statusCode = status
      response.end('{"app":"patient"}')
    }, delay)
  }
}

const mesh = new TestMesh()
const patient = new Patient()
const hopeless = new Patient()
const relapsing = new Patient()
const apps: Array<App> = []
let a: Host

const get = async (url: string) => {
  const { stdout } = await run(program("curl"), [
    "-sS",
    "-i",
    "--max-time",
    "20",
    "-x",
    a.proxy,
    url
  ])
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(stdout)?.[1]),
    code: /^skein-error: (\S+)/im.exec(stdout)?.[1],
    retryAfter: /^retry-after: (\S+)/im.exec(stdout)?.[1],
    text: stdout
  }
}

const circuit = async (service: string) => {
  const [endpoint] = (await a.api(`services/${service}/endpoints`)) as ReadonlyArray<{
    breaker: string
  }>
  return endpoint?.breaker
}

beforeAll(async () => {
  for (const one of [patient, relapsing, hopeless]) {
    apps.push(await httpApp("patient", (_request, response) => one.answer(response)))
  }
  apps.push(await httpApp("well"))
  const breaker = { open: { base: `${base}ms`, max: "60s" } }
  a = await mesh.first("host-a", {
    // Here it is about exactly one probe; two threads may each send one at the same moment.
    threads: 1,
    policies: {
      patient: { breaker },
      // So long that whoever asks next comes before the first probe, however busy the machine is.
      hopeless: { breaker: { open: { base: "30s", max: "60s" } } },
      relapsing: { breaker, ejection: "off", balance: { kind: "round_robin" } }
    }
  })
  const [first, second, third, well] = apps.map(({ address }) => address)
  await mesh.join("host-b", {
    services: [
      { name: "patient", address: first },
      { name: "relapsing", addresses: [second, well] },
      { name: "hopeless", address: third }
    ]
  })
  await until("host-a knows the services", async () =>
    JSON.stringify(await a.api("services")).includes("hopeless") ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

describe("a program that fails every request", () => {
  it("is asked seven times, then left alone; callers are told at once when to come back", async () => {
    hopeless.status = 500
    for (let i = 0; i < 7; i++) {
      expect(await get("http://hopeless.mesh/")).toMatchObject({ status: 500, code: undefined })
    }
    const refused = await get("http://hopeless.mesh/")
    expect(refused).toMatchObject({ status: 503, code: "no_healthy_endpoint" })
    expect(refused.text).toContain("open circuit")
    // 15 to 45 s from when it opened.
    expect(Number(refused.retryAfter)).toBeGreaterThan(5)
    expect(Number(refused.retryAfter)).toBeLessThanOrEqual(45)
    expect(hopeless.asked).toHaveLength(7)
  })

  it("is probed by one request at a time, after waits that double while probes fail", async () => {
    patient.status = 500
    for (let i = 0; i < 7; i++) expect((await get("http://patient.mesh/")).status).toBe(500)
    // Long enough that every worker of the load meets the half-open circuit.
    patient.delay = 100
    patient.mostInFlight = 0
    const load = new Load(a.proxy, "http://patient.mesh/")
    await until("three further probes", () => (patient.asked.length >= 10 ? true : undefined))
    const { failures, ok, sent } = await load.stop()
    expect(patient.mostInFlight).toBe(1)
    // Each gap is at least the shortest wait the policy allows after that many openings; the last
    // is longer than the first may be.
    const waits = patient.asked.slice(7, 10).map((at, i) => at - (patient.asked[6 + i] ?? at))
    for (const [opening, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(0.5 * base * 2 ** opening)
    }
    // All others were refused by host-a, and quickly: a load of eight sent hundreds meanwhile.
    expect(ok).toBe(0)
    const refused = [...failures].filter(([what]) => what.startsWith("503 no_healthy_endpoint"))
    expect(refused.reduce((sum, [, count]) => sum + count, 0)).toBe(sent - probes(failures))
    expect(sent).toBeGreaterThan(100)
  })

  it("serves everybody again after one probe that succeeds", async () => {
    expect(await circuit("patient")).not.toBe("closed")
    patient.status = 200
    const before = patient.asked.length
    const load = new Load(a.proxy, "http://patient.mesh/")
    await until("answers", () => (load.tally.ok > 50 ? true : undefined))
    const { failures } = await load.stop()
    expect(await circuit("patient")).toBe("closed")
    expect([...failures.keys()].every((what) => what.startsWith("503 no_healthy_endpoint"))).toBe(
      true
    )
    expect(patient.asked.length - before).toBe(load.tally.ok)
  })
})

/** Answers of the program itself. */
const probes = (failures: ReadonlyMap<string, number>): number =>
  [...failures].reduce((sum, [what, count]) => sum + (what.startsWith("500 app") ? count : 0), 0)

describe("one of two endpoints that fails", () => {
  it("costs its callers seven answers and a probe now and then, nothing else", async () => {
    relapsing.status = 500
    const load = new Load(a.proxy, "http://relapsing.mesh/", 1)
    await until("two probes", () => (relapsing.asked.length >= 9 ? true : undefined))
    const { failures, ok, sent } = await load.stop()
    expect(probes(failures)).toBe(relapsing.asked.length)
    expect(ok).toBe(sent - relapsing.asked.length)
  })
})
