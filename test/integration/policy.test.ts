/** Policies written in config hold for unmodified programs. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
let a: Host
let slow: App
let flaky: App
let failing: App
let good: App
let bad: App
let flakyCount = 0

const get = async (url: string, ...args: ReadonlyArray<string>) => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "-i", "--max-time", "20", "-x", a.proxy, ...args, url]
  ])
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(stdout)?.[1]),
    code: /^skein-error: (\S+)/im.exec(stdout)?.[1],
    text: stdout
  }
}

beforeAll(async () => {
  slow = await httpApp("slow", (_request, response) => {
    const timer = setTimeout(() => response.end("late"), 10_000)
    response.on("close", () => clearTimeout(timer))
  })
  flaky = await httpApp("flaky", (_request, response) => {
    response.statusCode = flakyCount++ % 2 === 0 ? 503 : 200
    response.end("flaky")
  })
  failing = await httpApp("failing", (_request, response) => {
    response.statusCode = 500
    response.end("broken")
  })
  good = await httpApp("good")
  bad = await httpApp("bad", (_request, response) => {
    response.statusCode = 500
    response.end('{"app":"bad"}')
  })
  a = await mesh.first("host-a", {
    threads: 2,
    policies: {
      slow: { timeout: { request: "300ms" } },
      "slow-try": { timeout: { perTry: "1s" }, retry: { attempts: 1, on: ["timeout"] } },
      flaky: { retry: { attempts: 1, on: ["5xx"] }, breaker: "off", ejection: "off" },
      failing: { breaker: { consecutiveFailures: 3, open: { base: "30s", max: "60s" } } },
      mixed: {
        breaker: "off",
        ejection: { consecutive5xx: 3, base: "60s" },
        balance: { kind: "round_robin" }
      }
    }
  })
  await mesh.join("host-b", {
    services: [
      { name: "slow", address: slow.address },
      { name: "slow-try", address: slow.address },
      { name: "flaky", address: flaky.address },
      { name: "failing", address: failing.address },
      { name: "mixed", addresses: [good.address, bad.address] }
    ]
  })
  await until("host-a knows the services", async () =>
    JSON.stringify(await a.api("services")).includes("mixed") ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all([slow, flaky, failing, good, bad].map((app) => app.close()))
  await stopAll()
})

describe("policies", () => {
  it("total timeout: 504 that says which", async () => {
    const answer = await get("http://slow.mesh/")
    expect(answer).toMatchObject({ status: 504, code: "upstream_timeout" })
  })

  it("per-try timeout is retried, then 504", async () => {
    const before = slow.requests
    const answer = await get("http://slow-try.mesh/")
    expect(answer).toMatchObject({ status: 504, code: "upstream_timeout" })
    expect(slow.requests - before).toBe(2)
  })

  it("5xx is retried for GET and hidden from the caller", async () => {
    for (let i = 0; i < 5; i++) expect((await get("http://flaky.mesh/")).status).toBe(200)
  })

  it("5xx is not retried for POST: that could pay twice", async () => {
    flakyCount = 0
    expect((await get("http://flaky.mesh/", "-d", "x")).status).toBe(503)
    expect(flakyCount).toBe(1)
  })

  it("an application's own 500 is passed on as it is, without a mesh code", async () => {
    const answer = await get("http://failing.mesh/")
    expect(answer.status).toBe(500)
    expect(answer.code).toBeUndefined()
    expect(answer.text).toContain("broken")
  })

  it("the breaker opens after three failures and the endpoint is left alone", async () => {
    for (let i = 0; i < 3; i++) await get("http://failing.mesh/")
    const before = failing.requests
    const answer = await get("http://failing.mesh/")
    expect(answer).toMatchObject({ status: 503, code: "no_healthy_endpoint" })
    expect(failing.requests).toBe(before)
  })

  it("an outlier is ejected and all traffic goes to the other endpoint", async () => {
    for (let i = 0; i < 8; i++) await get("http://mixed.mesh/")
    const before = bad.requests
    for (let i = 0; i < 6; i++) expect((await get("http://mixed.mesh/")).status).toBe(200)
    expect(bad.requests).toBe(before)
  })
})
