/** A mesh that is being upgraded: some of its nodes are of a later version than the others. */
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, type HostOptions, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const later: HostOptions = {
  runtime: [process.execPath, "--import", join(root, "test", "fixtures", "LaterProgram.ts")]
}

const mesh = new TestMesh()
const apps: Array<App> = []
let newer: Host
let older: Host

const offer = async (name: string): Promise<HostOptions> => {
  const app = await httpApp(name)
  apps.push(app)
  return { services: [{ name, address: app.address }] }
}

beforeAll(async () => {
  newer = await mesh.first("newer", { ...later, ...(await offer("on-newer")) })
  older = await mesh.prepare("older", await offer("on-older"))
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

/** As its own program does it. */
const inviteBy = async (host: Host, ...args: ReadonlyArray<string>) => {
  const [command = process.execPath, ...before] = host.runtime
  const main = join(root, "src", "main.ts")
  const ran = await run(command, [...before, main, "invite", "--admin", host.admin, ...args])
  expect(ran.end.code, ran.stderr).toBe(0)
  return ran.stdout.trim()
}

const called = (from: Host, service: string) =>
  until(`${from.name} calls ${service}`, async () => {
    const url = `http://${service}.mesh/`
    const { stdout } = await run(program("curl"), ["-sSf", "-m", "5", "-x", from.proxy, url])
    return stdout === "" ? undefined : stdout
  })

const rightsOf = async (host: Host) =>
  ((await host.api("status")) as { certificate: { capabilities: ReadonlyArray<string> } })
    .certificate.capabilities

it("takes in a node of the older version, and both call each other", async () => {
  // It is granted what it does not know, beside what it does.
  await older.up("--join", await inviteBy(newer, "--capabilities", "admit,gateway"))
  expect(await rightsOf(older)).toEqual(["admit", "gateway"])
  expect(await called(newer, "on-older")).toContain("on-older")
  expect(await called(older, "on-newer")).toContain("on-newer")
})

it("is let into by the older one, with the newer one's invite, when that is gone", async () => {
  const token = await inviteBy(newer, "--capabilities", "gateway")
  expect(await newer.stop()).toBe(0)
  const third = await mesh.prepare("third", { ...later, ...(await offer("on-third")) })
  await third.up("--join", token)
  expect(await rightsOf(third)).toEqual(["gateway"])
  expect(await called(third, "on-older")).toContain("on-older")
  expect(await called(older, "on-third")).toContain("on-third")
})

it("grants nothing that it does not know when it is asked to", async () => {
  const { code, stderr } = await skein(
    ...["invite", "--admin", older.admin, "--capabilities", "gateway"]
  )
  expect(code).toBe(2)
  expect(stderr).toContain("gateway")
})

it("is one mesh again when the newer one is back, and stays one", async () => {
  await newer.up()
  expect(await called(newer, "on-third")).toContain("on-third")
  expect(await called(older, "on-newer")).toContain("on-newer")
  await until("all hold the same records", async () => {
    const peers = (await older.api("peers")) as ReadonlyArray<{ node: string; sync: string }>
    const others = peers.filter(({ node }) => node !== "older")
    return others.length === 2 && others.every(({ sync }) => sync === "synced") ? true : undefined
  })
  // Nothing of what the others say is held against them.
  expect(await older.api("status")).toMatchObject({ findings: [] })
})
