/** Request threads of real nodes: they share ports, crash one by one, and nobody waits for anybody. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { defaultPeerLinkLimits } from "../../src/request/link/PeerLinkLimits.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { CounterWatch } from "../fixtures/CounterWatch.ts"
import { HeldClients } from "../fixtures/HeldClients.ts"
import { Inspector, inspected } from "../fixtures/Inspector.ts"
import { build, type Host, type HostOptions, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const threads = [0, 1, 2, 3]
const connections = 48
/** With what it takes to make the new ones. */
const stableAfter = defaultPeerLinkLimits.stableAfter + 500
let app: App
let sickApp: App
let built: Pick<HostOptions, "runtime" | "program">
let a: Host
let b: Host
let upstream: number
const inspectors = new Map<Host, Inspector>()

const inspectorOf = (host: Host): Inspector => {
  const inspector = inspectors.get(host)
  if (inspector === undefined) throw new Error(`no debugger of ${host.name}`)
  return inspector
}

interface ThreadRow {
  readonly index: number
  readonly state: string
  readonly restarts: number
  readonly lastError: string | null
}

const threadRows = async (host: Host) =>
  ((await host.api("status")) as { threads: ReadonlyArray<ThreadRow> }).threads

/** The clients' ends of the connections to the proxy that a request thread has. */
const portsOf = async (host: Host, thread: number): Promise<ReadonlySet<number>> => {
  const proxy = Number(host.proxy.split(":")[1])
  const handles = "process._getActiveHandles()"
  const ports = await inspectorOf(host).evaluate(
    thread,
    `${handles}.filter((it) => it.localPort === ${proxy} && it.remotePort).map((it) => it.remotePort)`
  )
  return new Set(ports as ReadonlyArray<number>)
}

/** What goes on until a test is over, or has failed. */
const going = new Set<{ readonly stop: () => Promise<void> }>()

const kept = <A extends { readonly stop: () => Promise<void> }>(it: A): A => {
  going.add(it)
  return it
}

afterEach(async () => {
  await Promise.all(Array.from(going, (it) => it.stop()))
  going.clear()
})

const clients = (host: Host) =>
  kept(new HeldClients({ proxy: host.proxy, url: "http://echo.mesh/", count: connections }))

const watching = (host: Host) => kept(new CounterWatch(host))

/** All have a connection, and calls are answered over them. */
const flowing = async (load: HeldClients) => {
  await until("a connection of each client", () => load.ports.size === connections || undefined)
  const from = load.ok
  await until("further answers", () => load.ok > from + 4 * connections || undefined)
}

beforeAll(async () => {
  built = await build()
  app = await httpApp("on-b", (_, response) => response.end("ok"))
  sickApp = await httpApp("sick", (_, response) => response.writeHead(500).end())
  const runtime = [...(built.runtime ?? []), inspected]
  const options = { ...built, runtime, threads: threads.length }
  upstream = await freePort()
  a = await mesh.first("host-a", {
    ...options,
    upstreams: [{ service: "echo", listen: `127.0.0.1:${upstream}`, protocol: "http" }],
    // Open for longer than the test looks at it.
    policies: { sick: { retry: "off", breaker: { open: { base: "20s", max: "60s" } } } }
  })
  b = await mesh.join("host-b", {
    ...options,
    services: [
      { name: "echo", address: app.address },
      { name: "sick", address: sickApp.address }
    ]
  })
  await until("host-a knows echo", async () =>
    JSON.stringify(await a.api("services")).includes("echo") ? true : undefined
  )
  for (const host of [a, b]) inspectors.set(host, await Inspector.open(host))
})

afterAll(async () => {
  for (const inspector of inspectors.values()) inspector.close()
  await mesh.stop()
  await Promise.all([app.close(), sickApp.close()])
  await stopAll()
})

describe("four request threads", () => {
  it("serve on one port, and each gets some of the connections", async () => {
    const load = clients(a)
    await flowing(load)
    const ports = await Promise.all(threads.map((thread) => portsOf(a, thread)))
    expect(ports.map(({ size }) => size > 0)).toEqual([true, true, true, true])
    expect(new Set(ports.flatMap((some) => [...some]))).toEqual(load.ports)
    await load.stop()
    expect(load.failures).toEqual([])
    for (const host of [a, b]) {
      expect((await threadRows(host)).map(({ state }) => state)).toEqual(
        threads.map(() => "running")
      )
    }
  })

  it("crash one after the other under load: nothing fails but calls that were in the crashed one", async () => {
    const watches = [watching(a), watching(b)]
    const callsOfA = () => watches[0]?.sum("skein_requests_total", /direction="outbound"/) ?? 0
    await until("a scrape of each", () => watches.every(({ scrapes }) => scrapes > 0) || undefined)
    const before = callsOfA()
    const load = clients(a)
    await flowing(load)
    let stableFrom = 0
    for (const host of [a, b]) {
      for (const thread of threads) {
        const victims = host === a ? load.clientsAt(await portsOf(a, thread)) : new Set<number>()
        const failed = load.failures.length
        const why = `crash ${thread} of ${host.name}`
        // Who loses young links one after the other pauses: that is a node in trouble.
        await until("links that count as stable", () => performance.now() > stableFrom || undefined)
        await inspectorOf(host).crash(thread, why)
        stableFrom = host === b ? performance.now() + stableAfter : 0
        await until(`thread ${thread} of ${host.name} runs again`, async () => {
          const row = (await threadRows(host))[thread]
          return (
            (row?.state === "running" && row.restarts === 1 && row.lastError === why) || undefined
          )
        })
        await flowing(load)
        // On host-a calls end with their connections. One may come again while the system still has
        // the thread's port, and be reset once more. What broke on its way to host-b is tried again.
        const failures = load.failures.slice(failed)
        const others = failures.filter(({ client }) => !victims.has(client))
        expect([why, others]).toEqual([why, []])
        expect(new Set(failures.map(({ port }) => port)).size).toBe(failures.length)
        expect(failures.length).toBeLessThanOrEqual(2 * victims.size)
        for (const failure of failures) expect(failure.why).toMatch(/hang up|ECONNRESET|EPIPE/)
        expect(host.process?.output()).toMatch(
          new RegExp(`request thread ${thread} has crashed.*${why}`)
        )
      }
    }
    await load.stop()
    const { ok, failures } = load
    for (const [index, host] of [a, b].entries()) {
      const watch = watches[index]
      const scraped = watch?.scrapes ?? 0
      await until(`a scrape of ${host.name} after all`, () =>
        (watch?.scrapes ?? 0) > scraped + 1 ? true : undefined
      )
      await watch?.stop()
      expect([host.name, watch?.losses]).toEqual([host.name, []])
      for (const thread of threads) {
        const of = new RegExp(`thread="${thread}"`)
        expect(watch?.sum("skein_request_thread_restarts_total", of)).toBe(1)
      }
    }
    // What a crashed thread had counted stays counted; what it had in hand ended with it.
    const counted = callsOfA() - before
    expect(counted).toBeGreaterThanOrEqual(ok)
    expect(counted).toBeLessThanOrEqual(ok + failures.length + 2 * connections)

    const after = clients(a)
    await flowing(after)
    for (const thread of threads) expect((await portsOf(a, thread)).size).toBeGreaterThan(0)
    await after.stop()
    expect(after.failures).toEqual([])
  })
})

/** What is waited for while somebody is stalled must be far below this, ms. */
const stall = 2_000

describe("nobody waits for", () => {
  it.each(["host-a", "host-b"])(
    "the mesh thread of %s: calls and the other's scrapes go on",
    async (name) => {
      const [host, other] = name === a.name ? [a, b] : [b, a]
      const load = clients(a)
      const watch = watching(other)
      await flowing(load)
      load.takeWorst()
      watch.takeWorst()
      await flowing(load)
      const usual = { call: load.takeWorst(), scrape: watch.takeWorst() }
      const before = load.ok
      const newcomer = inspectorOf(host).stall("mesh", stall)
      const late = clients(a)
      await newcomer
      const [call, scrape, fresh] = [load.takeWorst(), watch.takeWorst(), late.takeWorst()]
      expect(load.ok).toBeGreaterThan(before + connections)
      expect(Math.max(call, fresh) - usual.call).toBeLessThan(stall / 2)
      expect(scrape - usual.scrape).toBeLessThan(stall / 2)
      await Promise.all([load.stop(), late.stop(), watch.stop()])
      expect([...load.failures, ...late.failures]).toEqual([])
      expect(watch.losses).toEqual([])
    }
  )

  it("a request thread: the others' calls go on, and a scrape leaves it out", async () => {
    const load = clients(a)
    const watch = watching(a)
    await flowing(load)
    const ports = await portsOf(a, 0)
    load.takeWorst()
    watch.takeWorst()
    await flowing(load)
    const usual = { call: load.takeWorst(), scrape: watch.takeWorst() }
    const scrapes = watch.scrapes
    await inspectorOf(a).stall(0, stall)
    const [call, scrape] = [load.takeWorst(ports), watch.takeWorst()]
    expect(call - usual.call).toBeLessThan(stall / 2)
    expect(scrape - usual.scrape).toBeLessThan(stall / 2)
    expect(watch.scrapes).toBeGreaterThan(scrapes + 2)
    await Promise.all([load.stop(), watch.stop()])
    expect(load.failures).toEqual([])
    expect(watch.losses).toEqual([])
  })
})

describe("a mesh thread that crashes", () => {
  it.each(["host-a", "host-b"])(
    "%s: no call fails, and it is started again in the same process",
    async (name) => {
      const host = name === a.name ? a : b
      const { startedAt } = (await host.api("status")) as { startedAt: number }
      const load = clients(a)
      await flowing(load)
      await inspectorOf(host).crashMesh("boom in the mesh thread")
      await until(`another mesh thread of ${name}`, async () => {
        const status = (await host.api("status")) as { startedAt: number }
        return status.startedAt > startedAt ? true : undefined
      })
      await host.ready()
      await flowing(load)
      // Whoever comes now finds the same ports, and what the mesh says is heard again.
      const late = clients(a)
      await flowing(late)
      for (const one of [a, b]) {
        await until(`${one.name} sees both members`, async () => {
          const members = (await one.api("members")) as ReadonlyArray<{ state: string }>
          return members.filter(({ state }) => state === "alive").length === 2 ? true : undefined
        })
      }
      await Promise.all([load.stop(), late.stop()])
      expect([...load.failures, ...late.failures]).toEqual([])
      expect(host.process?.output()).toMatch(
        new RegExp(`mesh thread of ${name} has crashed.*boom in the mesh thread`, "s")
      )
      const metrics = await (await fetch(`http://${host.admin}/metrics`)).text()
      expect(metrics).toMatch(/^skein_mesh_thread_restarts_total 1$/m)
      expect((await threadRows(host)).map((row) => row.state)).toEqual(threads.map(() => "running"))
    }
  )
})

describe("what one thread has found out", () => {
  it("all go by: a circuit that opens in one lets nothing through in the others", async () => {
    const sick = new HeldClients({ proxy: a.proxy, url: "http://sick.mesh/", count: 1, pause: 1 })
    kept(sick)
    const refused = (load: HeldClients) =>
      load.failures.some(({ why }) => why.startsWith("503 no_healthy_endpoint"))
    await until("the circuit opens", () => refused(sick) || undefined)
    const asked = sickApp.requests
    const all = kept(
      new HeldClients({ proxy: a.proxy, url: "http://sick.mesh/", count: connections, pause: 1 })
    )
    await until("each is answered", () => all.failures.length > 2 * connections || undefined)
    // Each thread would have asked seven times to find out by itself.
    expect(sickApp.requests - asked).toBeLessThan(threads.length)
    expect(all.failures.filter(({ why }) => !why.startsWith("503 no_healthy_endpoint"))).toEqual([])
  })
})

describe("a port that the threads of another node share", () => {
  it.each(["proxy", "mesh", "upstream"] as const)(
    "the %s: a second node is refused",
    async (what) => {
      const listen = `127.0.0.1:${what === "upstream" ? upstream : await freePort()}`
      const options = {
        ...{ ...built, threads: threads.length },
        upstreams: [{ service: "echo", listen, protocol: "http" }]
      }
      const at = {
        ...(what === "proxy" ? { proxy: Number(a.proxy.split(":")[1]) } : {}),
        ...(what === "mesh" ? { mesh: a.meshPort } : {})
      }
      const second = await mesh.prepare(`second-${what}`, options, at)
      const [command = "", ...flags] = built.runtime ?? []
      const skein = (...args: ReadonlyArray<string>) =>
        run(command, [...flags, built.program ?? "", ...args])
      const init = await skein("init", "--data-dir", second.dataDir, "--name", second.name)
      expect(init.code).toBe(0)
      const { code, stderr } = await skein("up", "--config", second.configPath)
      const { [what]: port = upstream } = at as Readonly<Record<string, number>>
      expect(stderr).toMatch(
        new RegExp(`cannot listen on \\S*\\b${port}\\b.*(in use|already listens)`)
      )
      expect(code).toBe(1)
    }
  )
})
