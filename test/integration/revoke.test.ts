/**
 * A node is thrown out of a mesh of real processes: everywhere within two seconds, with what was running; a
 * node that was away knows it before it serves; the node itself says why, and does not crash.
 */
import { request } from "node:http"
import { connect, type Socket } from "node:net"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type App, httpApp, tcpEchoApp } from "../fixtures/Apps.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const apps: Array<App> = []
const sockets: Array<Socket> = []
let a: Host
let b: Host
let c: Host
let away: Host
let outcast: Host
/** TCP at the outcast: leads to the echo on host-b. */
let tunnelPort: number

const offer = (name: string, app: App, protocol = "http") => ({
  name,
  address: app.address,
  protocol
})

interface Row {
  readonly node: string
  readonly state: string
  readonly member?: string
}
const rows = async (host: Host, path: string) => (await host.api(path)) as ReadonlyArray<Row>

const call = (host: Host, service: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const [hostname, port] = host.proxy.split(":")
    request({ host: hostname, port, path: `http://${service}.mesh/` }, (response) => {
      let body = ""
      response.on("data", (chunk) => {
        body += chunk
      })
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }))
    })
      .on("error", reject)
      .end()
  })

const readsEcho = (socket: Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once("data", () => resolve())
    socket.once("error", reject)
    socket.write("hello")
  })

beforeAll(async () => {
  apps.push(await tcpEchoApp(), await httpApp("good"), await httpApp("bad"))
  const [echo, good, bad] = apps as [App, App, App]
  tunnelPort = await freePort()
  a = await mesh.first("host-a", { threads: 2 })
  b = await mesh.join("host-b", {
    threads: 2,
    services: [offer("echo", echo, "tcp"), offer("pay", good)]
  })
  c = await mesh.join("host-c", { threads: 1 }, b)
  away = await mesh.join("away", { threads: 1, services: [offer("ledger", good)] })
  outcast = await mesh.join("outcast", {
    threads: 2,
    services: [offer("pay", bad), offer("own", bad)],
    upstreams: [{ service: "echo", listen: `127.0.0.1:${tunnelPort}`, protocol: "tcp" }]
  })
  for (const host of mesh.hosts) {
    await until(`${host.name} sees all`, async () => {
      const alive = (await rows(host, "members")).filter(({ state }) => state === "alive")
      return alive.length === 5 ? true : undefined
    })
  }
})

afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await mesh.stop()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

it("throws a node out everywhere within two seconds, with its tunnels, and harms nobody else", async () => {
  // In vain from where the right is not held.
  const denied = await skein("revoke", "outcast", "--admin", b.admin)
  expect(denied.code).toBe(1)
  expect(denied.stderr).toContain("does not grant the capability revoke")

  await away.stop()
  const socket = connect(tunnelPort, "127.0.0.1")
  sockets.push(socket)
  await readsEcho(socket)
  const cut = new Promise<number>((resolve) => socket.once("close", () => resolve(Date.now())))
  expect((await call(outcast, "pay")).status).toBe(200)
  const load = new Load(a.proxy, "http://pay.mesh/")

  const { end, stderr, stdout } = await skein(
    ...["revoke", "outcast", "--why", "its disk was stolen", "--admin", a.admin]
  )
  const revokedAt = Date.now()
  expect(stderr).toContain("seen by 3 of 3 reachable nodes")
  expect([end.code, stdout]).toEqual([
    0,
    expect.stringMatching(
      /^outcast was thrown out of the mesh by .* on host-a at .*: its disk was stolen\n$/
    )
  ])
  for (const host of [a, b, c]) {
    await until(`${host.name} has thrown it out`, async () => {
      const known = await rows(host, "members")
      return known.find(({ node }) => node === "outcast")?.state === "revoked" ? true : undefined
    })
    const links = (await host.api("links")) as ReadonlyArray<{ node: string; state: string }>
    expect(links.filter(({ node }) => node === "outcast")).toEqual([])
    const endpoints = await rows(host, "services/pay/endpoints")
    expect(endpoints.map(({ node }) => node)).toEqual(["host-b"])
  }
  const everywhereAt = Date.now()
  expect((await cut) - revokedAt).toBeLessThan(2_000)
  expect(everywhereAt - revokedAt).toBeLessThan(2_000)

  const tally = await load.stop()
  expect(tally.ok).toBeGreaterThan(100)
  expect([...tally.failures]).toEqual([])

  const seen = await skein("revoke", "--admin", c.admin)
  expect(seen.stdout).toMatch(/node +outcast .* on host-a +its disk was stolen/)
})

it("is said by the node itself, which serves nobody and goes on", async () => {
  await until("the outcast knows", async () => {
    const { stdout } = await skein("status", "--admin", outcast.admin)
    return /does not belong to the mesh any more.*its disk was stolen/.test(stdout)
      ? true
      : undefined
  })
  const ready = await fetch(`http://${outcast.admin}/ready`)
  expect(ready.status).toBe(503)
  expect(await ready.text()).toContain("its disk was stolen")
  const other = await call(outcast, "ledger")
  expect(other.status).toBe(404)
  expect(other.body).toMatch(/outcast was thrown out of the mesh by .*: its disk was stolen/)
  const doctor = await skein("doctor", "--admin", outcast.admin)
  expect(doctor.code).toBe(1)
  expect(doctor.stdout).toContain("× trust: this node does not belong to the mesh any more")
  // What its own host offers is its own affair.
  expect((await call(outcast, "own")).status).toBe(200)
  expect(outcast.process?.ended()).toBeUndefined()
})

it("is known to a node that was away before it serves, and outlives restarts", async () => {
  await away.up()
  const known = await rows(away, "members")
  expect(known.find(({ node }) => node === "outcast")?.state).toBe("revoked")
  await outcast.kill()
  // Not ready: it belongs to nobody.
  await expect(outcast.up()).rejects.toThrow()
  expect(outcast.process?.ended()).toBeUndefined()
  const answer = await call(outcast, "ledger")
  expect(answer.status).toBe(404)
  expect(answer.body).toContain("its disk was stolen")
  expect((await call(outcast, "own")).status).toBe(200)
  await a.kill()
  await a.up()
  expect((await rows(a, "members")).find(({ node }) => node === "outcast")?.state).toBe("revoked")
})

it("takes one service from a node, which keeps the others", async () => {
  expect((await call(c, "pay")).status).toBe(200)
  const { end } = await skein("revoke", "host-b/pay", "--why", "moved", "--admin", a.admin)
  expect(end.code).toBe(0)
  await until("host-c sends nothing there", async () =>
    (await call(c, "pay")).status === 200 ? undefined : true
  )
  const { body, status } = await call(c, "pay")
  expect(status).toBe(404)
  expect(body).toMatch(/pay was taken from host-b by .*: moved/)
  const services = await rows(c, "services/echo/endpoints")
  expect(services.map(({ node }) => node)).toEqual(["host-b"])
  // Given back by whoever may.
  const { stdout } = await skein("revoke", "--admin", c.admin)
  const [, setting = ""] = /delete trust (grant\.\w+)/.exec(stdout) ?? []
  expect((await skein("delete", "trust", setting, "--admin", a.admin)).code).toBe(0)
  await until("host-c sends there again", async () =>
    (await call(c, "pay")).status === 200 ? true : undefined
  )
})

it("says what a revoked service was, also that there is none, without refusing it", async () => {
  const first = await skein("revoke", "host-b/nosuch", "--admin", a.admin)
  expect(first.code).toBe(0)
  expect(first.stdout).toContain("nosuch was taken from host-b")
  expect(first.stderr).toMatch(
    /granted \(.*\) it is taken; no such service is offered.* but .*echo/
  )
  const [, setting = ""] = /delete trust (grant\.\w+)/.exec(first.stderr) ?? []
  expect((await skein("delete", "trust", setting, "--admin", a.admin)).code).toBe(0)
})

it("takes an invite back", async () => {
  const token = await a.invite()
  const { stdout } = await skein("revoke", token, "--admin", a.admin)
  expect(stdout).toContain("the invite was taken back")
  const late = await mesh.prepare("late", { threads: 1 })
  await expect(late.up("--join", token)).rejects.toThrow(/revoked|ended/)
})

it("is heard by a node that slept, as soon as it wakes up", async () => {
  c.process?.child.kill("SIGSTOP")
  const { end } = await skein("revoke", "away", "--why", "sold", "--admin", a.admin)
  // It is not waited for: it does not answer.
  expect(end.code).toBe(0)
  c.process?.child.kill("SIGCONT")
  const woken = performance.now()
  await until("host-c has thrown it out", async () => {
    const known = await rows(c, "members")
    return known.find(({ node }) => node === "away")?.state === "revoked" ? true : undefined
  })
  expect(performance.now() - woken).toBeLessThan(2_000)
  const links = (await c.api("links")) as ReadonlyArray<{ node: string }>
  expect(links.filter(({ node }) => node === "away")).toEqual([])
})
