/**
 * Nodes that nobody can tell where the others are: all their ports have changed while they were down, as
 * addresses do that a router hands out. On one LAN (here this host's own) they find each other.
 */

import { rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const other = new TestMesh()
let app: App
let a: Host
let b: Host
let stranger: Host

beforeAll(async () => {
  app = await httpApp("payments")
  a = await mesh.first("host-a", { services: [{ name: "payments", address: app.address }] })
  b = await mesh.join("host-b")
  // Another mesh on the same LAN, which speaks, too.
  stranger = await other.first("stranger", { mdns: true })
})

afterAll(async () => {
  await mesh.stop()
  await other.stop()
  await app.close()
  await stopAll()
})

/** Names of those to which there is a connection. */
const connectedTo = async (host: Host) =>
  ((await host.api("links")) as ReadonlyArray<{ node: string; state: string }>)
    .filter(({ state }) => state === "open")
    .map(({ node }) => node)

/** With another port, and nothing but its catalogue to go by, which has the old ones. */
const startMoved = async (host: Host, mdns: boolean): Promise<void> => {
  await host.stop()
  host.options = { ...host.options, mdns }
  host.writeConfig(await freePort())
  rmSync(join(host.dataDir, "bootstrap.json"), { force: true })
  await host.up()
}

it("do not find each other without it", async () => {
  await until("they are connected at first", async () =>
    (await connectedTo(a)).includes("host-b") ? true : undefined
  )
  await Promise.all([a, b].map((host) => startMoved(host, false)))
  const deadline = performance.now() + 10_000
  while (performance.now() < deadline) {
    expect(await connectedTo(a)).toEqual([])
    await new Promise((wake) => setTimeout(wake, 500))
  }
})

it("find each other with it, and nobody else", async () => {
  await Promise.all([a, b].map((host) => startMoved(host, true)))
  const began = performance.now()
  await until("they are connected", async () =>
    (await connectedTo(a)).includes("host-b") ? true : undefined
  )
  const took = Math.round(performance.now() - began)
  console.log(`two nodes that had moved: connected ${took} ms after both were up`)
  await until("host-b calls host-a", async () => {
    const { stdout } = await run(program("curl"), [
      ...["-sSf", "-m", "5", "-x", b.proxy, "http://payments.mesh/"]
    ])
    return stdout.includes("payments") ? true : undefined
  })
  expect(await connectedTo(stranger)).toEqual([])
  expect(await stranger.api("members")).toMatchObject([{ node: "stranger" }])
})
