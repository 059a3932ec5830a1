/** The balancers over endpoints on three nodes, counted at the programs. */
import type { ServerResponse } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load, type Tally } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const names = ["on-a", "on-b", "on-c"] as const
const services = ["turns", "fewest", "fastest"]

const mesh = new TestMesh()
const apps: Array<App> = []
/** Milliseconds each program takes for an answer. */
const delays = new Map<string, number>()
let a: Host

const answer = (name: string) => (_request: unknown, response: ServerResponse) => {
  setTimeout(() => response.end(`{"app":"${name}"}`), delays.get(name) ?? 0)
}

const share = ({ by }: Tally, name: string): number => by.get(name) ?? 0

/** Load until so many answers have come; every one of them good. */
const answers = async (url: string, count: number, concurrency: number): Promise<Tally> => {
  const load = new Load(a.proxy, url, concurrency)
  await until(`${count} answers`, () => (load.tally.ok >= count ? true : undefined))
  const tally = await load.stop()
  expect([...tally.failures]).toEqual([])
  return tally
}

const setDelays = (...milliseconds: ReadonlyArray<number>) => {
  for (const [i, name] of names.entries()) delays.set(name, milliseconds[i] ?? 0)
}

beforeAll(async () => {
  for (const name of names) apps.push(await httpApp(name, answer(name)))
  const offer = (app: App | undefined) => ({
    services: services.map((name) => ({ name, address: app?.address }))
  })
  a = await mesh.first("host-a", {
    ...offer(apps[0]),
    // Threads take turns each for itself: here it is about exact numbers.
    threads: 1,
    policies: {
      turns: { balance: { kind: "round_robin" } },
      fewest: { balance: { kind: "least_request" } },
      // Forgets soon that the machine once kept a program waiting.
      fastest: { balance: { kind: "p2c_ewma", decay: "1s" } }
    }
  })
  await mesh.join("host-b", offer(apps[1]))
  await mesh.join("host-c", offer(apps[2]))
  for (const name of services) {
    await until(`host-a sees three endpoints of ${name}`, async () => {
      const all = (await a.api(`services/${name}/endpoints`)) as ReadonlyArray<{ member: string }>
      return all.filter(({ member }) => member === "alive").length === 3 ? true : undefined
    })
  }
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

describe("round_robin", () => {
  it("one after the other, exactly", async () => {
    setDelays(0, 0, 0)
    const order: Array<string> = []
    for (let i = 0; i < 9; i++) {
      const args = ["-sS", "--max-time", "20", "-x", a.proxy, "http://turns.mesh/"]
      order.push(/"app":"([^"]+)"/.exec((await run(program("curl"), args)).stdout)?.[1] ?? "none")
    }
    expect(order.slice(3, 6)).toEqual(order.slice(0, 3))
    expect(order.slice(6, 9)).toEqual(order.slice(0, 3))
    expect(order.slice(0, 3).sort()).toEqual([...names])
  })

  it("equally under load, also when one is slow", async () => {
    setDelays(0, 0, 30)
    const tally = await answers("http://turns.mesh/", 600, 12)
    // Whoever is under way when the load stops may be one turn apart.
    for (const name of names) expect(Math.abs(share(tally, name) - tally.ok / 3)).toBeLessThan(2)
  })
})

describe("least_request", () => {
  it("a program that takes longer has more in flight, and so gets less", async () => {
    setDelays(5, 5, 300)
    const tally = await answers("http://fewest.mesh/", 400, 12)
    const slow = share(tally, "on-c")
    expect(slow).toBeGreaterThan(0)
    expect(slow).toBeLessThan(share(tally, "on-a") / 2)
    expect(slow).toBeLessThan(share(tally, "on-b") / 2)
  })
})

describe("p2c_ewma", () => {
  it("spreads over equals, and moves away from one that becomes slow", async () => {
    setDelays(10, 10, 10)
    // One answer that the machine held up is bad news of its program for a while.
    await until("each of them gets a fair share", async () => {
      const tally = await answers("http://fastest.mesh/", 400, 12)
      return names.every((name) => share(tally, name) > 40) ? true : undefined
    })
    setDelays(10, 10, 1_000)
    const after = await answers("http://fastest.mesh/", 400, 12)
    expect(share(after, "on-c")).toBeLessThan(after.ok / 10)
  })
})
