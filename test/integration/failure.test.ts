/** Nodes die, drain and reload under load; clients of the other nodes must not notice. */
import { type IncomingMessage, request, type ServerResponse } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load, type Tally } from "../fixtures/Load.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

describe.each([1, 4])("with %i request threads", (threads) => {
  const mesh = new TestMesh()
  const apps: Array<App> = []
  let a: Host
  let b: Host
  let c: Host

  const offer = (...offered: ReadonlyArray<App>) => ({
    name: "echo",
    addresses: offered.map(({ address }) => address),
    health: { http: { path: "/healthz", interval: "500ms" } }
  })

  const endpointsSeen = (host: Host, count: number) =>
    until(`${host.name} sees ${count} healthy endpoints of echo`, async () => {
      const endpoints = (await host.api("services/echo/endpoints")) as ReadonlyArray<{
        healthy: boolean
        draining: boolean
        member: string
      }>
      const good = endpoints.filter((e) => e.healthy && !e.draining && e.member === "alive")
      return good.length === count ? true : undefined
    })

  const answered = (load: Load, from: number) =>
    until("more answers arrive", () => (load.tally.ok > from + 300 ? true : undefined))

  const clean = (tally: Tally) => {
    expect([...tally.failures]).toEqual([])
    expect(tally.ok).toBe(tally.sent)
  }

  beforeAll(async () => {
    apps.push(await httpApp("on-b"), await httpApp("on-c"))
    a = await mesh.first("host-a", { threads })
    const [onB, onC] = apps
    if (onB === undefined || onC === undefined) throw new Error("apps")
    b = await mesh.join("host-b", { services: [offer(onB)], threads })
    c = await mesh.join("host-c", { services: [offer(onC)], threads })
    await endpointsSeen(a, 2)
  })

  afterAll(async () => {
    await mesh.stop()
    await Promise.all(apps.map((app) => app.close()))
    await stopAll()
  })

  describe("the last answer of a node that stops", () => {
    const size = 8 * 1024 * 1024
    const held: Array<ServerResponse> = []
    let last: App

    beforeAll(async () => {
      last = await httpApp("last", (_request, response) => held.push(response))
    })
    afterAll(() => last.close())

    it.each([
      ["small", "POST", 4],
      ["large", "GET", size]
    ])("is not lost: a %s one", async (name, method, length) => {
      const host = await mesh.join(`host-${name}`, {
        services: [{ name, address: last.address }],
        threads
      })
      const endpoints = (wanted: string) =>
        until(`${name} is ${wanted}`, async () =>
          JSON.stringify(await a.api(`services/${name}/endpoints`)).includes(wanted)
            ? true
            : undefined
        )
      await endpoints('"healthy":true')
      const [hostname, port] = a.proxy.split(":")
      const asked = request({ hostname, port, method, headers: { host: `${name}.mesh` } })
      const answer = new Promise<IncomingMessage>((resolve, reject) => {
        asked.on("response", (response) => resolve(response.pause()))
        asked.on("error", reject)
      })
      asked.end()
      const response = await until("the program is asked", () => held.pop())
      response.setHeader("content-length", length)
      response.write(Buffer.alloc(length / 2))
      const incoming = await answer
      const stopped = host.stop()
      await endpoints('"draining":true')
      response.end(Buffer.alloc(length / 2))
      let got = 0
      for await (const chunk of incoming as AsyncIterable<Buffer>) got += chunk.length
      expect(got).toBe(length)
      expect(await stopped).toBe(0)
    })
  })

  describe("under load through host-a", () => {
    it("a node killed with SIGKILL costs no request, and takes traffic again when back", async () => {
      const load = new Load(a.proxy, "http://echo.mesh/")
      await answered(load, 0)
      await b.kill()
      await answered(load, load.tally.ok)
      await b.up()
      await endpointsSeen(a, 2)
      const before = load.tally.by.get("on-b") ?? 0
      await until("traffic on host-b", () =>
        (load.tally.by.get("on-b") ?? 0) > before + 20 ? true : undefined
      )
      clean(await load.stop())
    })

    it("the node that admitted everybody may die too", async () => {
      const load = new Load(b.proxy, "http://echo.mesh/")
      await answered(load, 0)
      await a.kill()
      await answered(load, load.tally.ok)
      clean(await load.stop())
      await a.up()
      await endpointsSeen(a, 2)
    })

    it("SIGTERM drains: nothing is lost, exit code 0", async () => {
      const load = new Load(a.proxy, "http://echo.mesh/")
      await answered(load, 0)
      expect(await c.stop()).toBe(0)
      await answered(load, load.tally.ok)
      await c.up()
      await endpointsSeen(a, 2)
      clean(await load.stop())
    })

    it("skein drain: in-flight work ends, new work goes elsewhere, the node stays up", async () => {
      const load = new Load(a.proxy, "http://echo.mesh/")
      await answered(load, 0)
      const { code, stderr } = await skein("drain", "--admin", c.admin)
      expect(stderr).not.toMatch(/error/i)
      expect(code).toBe(0)
      const before = load.tally.by.get("on-c") ?? 0
      await answered(load, load.tally.ok)
      expect(load.tally.by.get("on-c") ?? 0).toBeLessThanOrEqual(before + 8)
      clean(await load.stop())
      await c.stop()
      await c.up()
      await endpointsSeen(a, 2)
    })

    it("reload by SIGHUP and by command loses nothing", async () => {
      const extra = await httpApp("extra")
      apps.push(extra)
      const load = new Load(a.proxy, "http://echo.mesh/")
      await answered(load, 0)
      const before = b.options
      const [onB] = apps
      b.options = { ...before, services: [offer(...(onB === undefined ? [] : [onB]), extra)] }
      b.writeConfig()
      b.process?.child.kill("SIGHUP")
      await endpointsSeen(a, 3)
      await until("traffic on the new endpoint", () =>
        (load.tally.by.get("extra") ?? 0) > 10 ? true : undefined
      )
      b.options = before
      b.writeConfig()
      expect((await skein("reload", "--admin", b.admin)).code).toBe(0)
      await endpointsSeen(a, 2)
      await answered(load, load.tally.ok)
      clean(await load.stop())
    })

    it("skein leave: gone from everybody's list, exit code 0", async () => {
      const d = await mesh.join("host-d", { threads })
      await until("host-d is seen", async () =>
        JSON.stringify(await a.api("members")).includes("host-d") ? true : undefined
      )
      expect((await skein("leave", "--admin", d.admin)).code).toBe(0)
      expect(await d.process?.exited).toBe(0)
      await until("host-d has left", async () => {
        const members = (await a.api("members")) as ReadonlyArray<{ node: string; state: string }>
        const state = members.find((member) => member.node === "host-d")?.state
        return state === undefined || state === "left" ? true : undefined
      })
    })
  })
})
