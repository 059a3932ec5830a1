/**
 * A mesh whose every inviter is gone: each host let in by the one before, which is killed then and
 * never comes back. No node is special, also the twentieth.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { build, type Host, type HostOptions, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"

const generations = 20
const mesh = new TestMesh()
/** From the build: a node is up in half a second, and there are many. */
let how: Pick<HostOptions, "runtime" | "program">
let app: App

beforeAll(async () => {
  how = await build()
  app = await httpApp("web")
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
  await app.close()
})

interface Admits {
  readonly depth: number
  readonly untilAt: number | null
}

/** The right of a host to let others in, as it says itself. */
const admits = async (host: Host): Promise<Admits> => {
  const { certificate } = (await host.api("status")) as {
    certificate: { admits: Admits | null }
  }
  if (certificate.admits === null) throw new Error(`${host.name} lets nobody in`)
  return certificate.admits
}

const sees = (host: Host, ...names: ReadonlyArray<string>) =>
  until(`${host.name} sees ${names.join(", ")} alive`, async () => {
    const members = (await host.api("members")) as ReadonlyArray<{ node: string; state: string }>
    const alive = members.filter(({ state }) => state === "alive").map(({ node }) => node)
    return names.every((name) => alive.includes(name)) ? true : undefined
  })

describe("twenty generations", () => {
  const first = () => mesh.hosts[0]!
  const last = () => mesh.hosts[generations]!

  it("each lets the next one in, and is gone", { timeout: 240_000 }, async () => {
    let inviter = await mesh.first("host-0", how)
    for (let n = 1; n <= generations; n++) {
      const next = await mesh.join(`host-${n}`, how, inviter)
      await inviter.kill()
      inviter = next
    }
    expect((await admits(last())).depth).toBe(generations)
  })

  it("the last one lets in a host whose service is called through it", async () => {
    const services = [{ name: "web", address: app.address, health: { http: { path: "/healthz" } } }]
    const guest = await mesh.join("guest", { ...how, services }, last())
    await sees(guest, last().name)
    const answer = await until("an answer from web", async () => {
      const { stdout } = await run("curl", [
        ...["-s", "-x", `http://${last().proxy}`, "http://web.mesh/hello"]
      ])
      return stdout.includes('"app":"web"') ? stdout : undefined
    })
    expect(answer).toContain('"url":"/hello"')
  })

  it("when the first one comes back after all, they are next to the root", async () => {
    await first().up()
    expect((await admits(first())).depth).toBe(0)
    const guest = mesh.hosts.at(-1)!
    for (const host of [last(), guest]) {
      await until(
        `${host.name} next to the root`,
        async () => ((await admits(host)).depth === 1 ? true : undefined),
        60
      )
    }
    await sees(last(), "host-0", "guest")
    // And they let others in as before.
    await mesh.join("another", how, guest)
  })
})
