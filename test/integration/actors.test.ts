/**
 * The mesh plane falls over under load: a whole node in this process, with actors that crash when
 * told so, and another node in a process of its own. Requests both ways must not notice.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit, Logger, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeNodeConfig } from "../../src/config/NodeConfig.ts"
import type { RunningNode } from "../../src/node/RunningNode.ts"
import { runSupervised } from "../../src/node.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Crashes } from "../fixtures/Crashes.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

/** Crashes in a row that are answered by a plain restart; the next is one too many. */
const restarts = 4
/** What the root supervisor waits then, in milliseconds. */
const longest = 1_500

interface Actor {
  readonly name: string
  readonly state: string
  readonly restarts: number
  readonly lastError: string | null
}

const mesh = new TestMesh()
const crashes = new Crashes()
const scope = Effect.runSync(Scope.make())
const apps: Array<App> = []
let shaky: RunningNode
let b: Host
let offered: ReadonlyArray<unknown>

/** As `skein status` shows it. */
const actor = async (name: string): Promise<Actor> => {
  const response = await fetch(`http://${shaky.admin}/api/v1/status`)
  const status = (await response.json()) as { actors: ReadonlyArray<Actor> }
  const found = status.actors.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no actor is called ${name}`)
  return found
}

const crash = async (name: string): Promise<void> => {
  const { restarts: before } = await actor(name)
  await until(`${name} crashed`, () => (crashes.crash(name) ? true : undefined))
  await until(`${name} was restarted`, async () => {
    const { restarts: now, state } = await actor(name)
    return now > before && state === "running" ? true : undefined
  })
}

/** Both ways at once, for as long as `during` takes; no request may fail. */
const underLoad = async (during: () => Promise<void>): Promise<void> => {
  const loads = [
    new Load(shaky.proxy ?? "", "http://echo.mesh/", 4),
    new Load(b.proxy, "http://shaky.mesh/", 4)
  ]
  const answered = () =>
    Promise.all(
      loads.map(({ tally }) => {
        const before = tally.ok
        return until("more answers arrive", () => (tally.ok > before + 100 ? true : undefined))
      })
    )
  await answered()
  await during()
  await answered()
  for (const { failures, ok, sent } of await Promise.all(loads.map((load) => load.stop()))) {
    expect([...failures]).toEqual([])
    expect(ok).toBe(sent)
  }
}

/** host-b offers one more service, and the shaky node gets to know it. */
const news = async (name: string): Promise<void> => {
  offered = [...offered, { name, address: apps[0]?.address }]
  b.options = { ...b.options, services: offered }
  b.writeConfig()
  b.process?.child.kill("SIGHUP")
  await until(`${name} is known`, async () => {
    const response = await fetch(`http://${shaky.admin}/api/v1/services`)
    return (await response.text()).includes(name) ? true : undefined
  })
}

beforeAll(async () => {
  apps.push(await httpApp("echo"), await httpApp("shaky"))
  offered = [{ name: "echo", address: apps[0]?.address }]
  b = await mesh.first("host-b", { services: offered })
  const dataDir = join(mesh.directory, "shaky")
  mkdirSync(dataDir)
  const config = makeNodeConfig({
    node: { name: "shaky", dataDir, listen: [`/ip4/127.0.0.1/tcp/${await freePort()}`] },
    admin: `127.0.0.1:${await freePort()}`,
    outbound: { http: `127.0.0.1:${await freePort()}` },
    services: [{ name: "shaky", address: apps[1]?.address ?? "" }]
  })
  const start = runSupervised({ config, join: await b.invite() }).pipe(
    Effect.provide(crashes.layer({ base: 20, max: longest, restarts })),
    Effect.provide(Logger.remove(Logger.defaultLogger))
  )
  shaky = await Effect.runPromise(Scope.extend(start, scope))
  await until("both know both", async () => {
    const there = JSON.stringify(await b.api("services"))
    const here = await (await fetch(`http://${shaky.admin}/api/v1/services`)).text()
    return there.includes("shaky") && here.includes("echo") ? true : undefined
  })
})

afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await mesh.stop()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

describe.each(["membership", "catalogue"])("the %s actor", (name) => {
  it("crashes and is restarted, time and again: nothing is lost but time", async () => {
    await underLoad(async () => {
      for (let i = 0; i < restarts; i++) await crash(name)
    })
    expect(await actor(name)).toMatchObject({
      state: "running",
      restarts,
      lastError: "Error: crashed by the test"
    })
    await news(`after-${name}`)
  })

  it("crashes too often: said to have failed, tried again from scratch, and all is well", async () => {
    await underLoad(async () => {
      await until(`${name} crashed`, () => (crashes.crash(name) ? true : undefined))
      await until(`${name} is given up for now`, async () =>
        (await actor(name)).state === "failed" ? true : undefined
      )
      await until(`${name} is back`, async () =>
        (await actor(name)).state === "running" ? true : undefined
      )
    })
    await news(`long-after-${name}`)
    const others = (await b.api("members")) as ReadonlyArray<{ node: string; state: string }>
    expect(others.find(({ node }) => node === "shaky")).toMatchObject({ state: "alive" })
  })
})
