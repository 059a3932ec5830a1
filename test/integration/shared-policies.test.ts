/** Policies of a node with several request threads: what is configured holds for the host. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { CounterWatch } from "../fixtures/CounterWatch.ts"
import { HeldClients } from "../fixtures/HeldClients.ts"
import { build, type Host, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const threads = 4
/** Enough that each thread gets some. */
const connections = 48
/** Retries of all threads together, in the whole of the test. */
const budget = { ratio: 0, minPerSecond: 0.4, window: "100s" }
const granted = 40

const mesh = new TestMesh()
const going = new Set<{ readonly stop: () => Promise<void> }>()
let well: ReadonlyArray<App>
let sick: App
let flaky: App
let host: Host

const kept = <A extends { readonly stop: () => Promise<void> }>(it: A): A => {
  going.add(it)
  return it
}

const clients = (service: string, count: number) =>
  kept(new HeldClients({ proxy: host.proxy, url: `http://${service}.mesh/`, count, pause: 1 }))

beforeAll(async () => {
  const built = await build()
  well = await Promise.all(["one", "two", "three"].map((name) => httpApp(name)))
  sick = await httpApp("sick", (_, response) => response.writeHead(500).end())
  flaky = await httpApp("flaky", (_, response) =>
    response.writeHead(flaky.requests % 2 === 0 ? 200 : 503).end()
  )
  const alone = { breaker: "off", ejection: "off" } as const
  host = await mesh.first("host-a", {
    ...built,
    threads,
    services: [
      { name: "mixed", addresses: [...well, sick].map(({ address }) => address) },
      { name: "flaky", address: flaky.address }
    ],
    policies: {
      // Out for longer than the test looks at it; evenly, so that each thread would soon ask it.
      mixed: {
        ...{ retry: "off", breaker: "off", balance: { kind: "round_robin" } },
        ejection: { base: "60s", max: "60s" }
      },
      flaky: { ...alone, retry: { on: ["5xx"], attempts: 1, budget } }
    }
  })
})

afterEach(async () => {
  await Promise.all(Array.from(going, (it) => it.stop()))
  going.clear()
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all([...well, sick, flaky].map((app) => app.close()))
  await stopAll()
})

describe("four request threads", () => {
  it("send nothing to an endpoint that one of them has ejected", async () => {
    const watch = kept(new CounterWatch(host))
    const ejections = () =>
      Array.from(watch.last)
        .filter(([series]) => series.startsWith("skein_ejections_total"))
        .reduce((sum, [, count]) => sum + count, 0)
    const first = clients("mixed", 1)
    await until("an ejection", () => ejections() > 0 || undefined)
    await until("calls that go by it", () => first.ok > 20 || undefined)
    const asked = sick.requests
    const all = clients("mixed", connections)
    await until("many answers", () => all.ok > 20 * connections || undefined)
    expect(sick.requests - asked).toBe(0)
    expect(all.failures).toEqual([])
    expect(ejections()).toBe(1)
  })

  it("retry as often as the budget of the host says, all together", async () => {
    const load = clients("flaky", connections)
    await until("calls", () => load.ok + load.failures.length > 20 * connections || undefined)
    await load.stop()
    const retries = flaky.requests - (load.ok + load.failures.length)
    // With a budget of its own for each it would be four times that.
    expect(retries).toBeLessThanOrEqual(granted)
    expect(retries).toBeGreaterThan(granted / threads)
  })
})
