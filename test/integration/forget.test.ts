/** A host that is dead and will never say that it leaves is taken off the lists of a mesh of real nodes. */
import { Schema } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let app: App
let a: Host
let b: Host
let c: Host
let dead: Host

const Members = Schema.Array(Schema.Struct({ node: Schema.String, state: Schema.String }))
const stateOf = async (asked: Host, name: string) =>
  Schema.decodeUnknownSync(Members)(await asked.api("members")).find(({ node }) => node === name)
    ?.state

beforeAll(async () => {
  app = await httpApp("gone")
  a = await mesh.first("host-a")
  b = await mesh.join("host-b")
  dead = await mesh.join("host-d", { services: [{ name: "gone", address: app.address }] })
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

const forget = (node: string, at = a) => skein("forget", node, "--admin", at.admin)

it("not one that is there, nor one that nobody knows", async () => {
  await until("host-d is known", async () => (await stateOf(a, "host-d")) === "alive" || undefined)
  const there = await forget("host-d")
  expect([there.code, there.stderr]).toEqual([
    1,
    "skein: host-d is alive, and would be back at once\n  On its host: `skein leave`. Against its will: `skein revoke host-d`.\n"
  ])
  expect((await forget("host-x")).stderr).toContain("there is no node host-x in the mesh")
})

it("a dead one, from any node, in the whole mesh: doctor has nothing to say about it", async () => {
  await dead.kill()
  for (const host of [a, b]) {
    await until(
      "host-d is dead",
      async () => (await stateOf(host, "host-d")) === "dead" || undefined
    )
  }
  const before = await skein("doctor", "--admin", a.admin)
  expect(before.stdout).toContain("host-d is dead")
  expect((await forget("host-d", b)).code).toBe(0)
  for (const host of [a, b]) {
    await until("host-d is off the list", async () =>
      (await stateOf(host, "host-d")) === undefined ? true : undefined
    )
    expect(JSON.stringify(await host.api("services"))).not.toContain("gone")
    const { code, stdout } = await skein("doctor", "--admin", host.admin)
    expect([code, stdout.includes("host-d")]).toEqual([0, false])
  }
})

it("also over a restart of those that forgot it, and for one that joins later", async () => {
  await a.stop()
  await a.up()
  c = await mesh.join("host-c", {}, b)
  expect(await stateOf(a, "host-d")).toBeUndefined()
  expect(await stateOf(c, "host-d")).toBeUndefined()
  const { stdout } = await skein("audit", "--admin", b.admin, "-o", "json", "-n", "1000")
  expect(stdout).toMatch(/"event":"member.forgotten".*"about":"host-d"/)
})

it("an ephemeral one goes by itself within a minute, and so do its services", async () => {
  const job = await mesh.join("job", { ephemeral: true }, b)
  for (const host of [a, c]) {
    await until("it is known", async () => (await stateOf(host, "job")) === "alive" || undefined)
  }
  await c.stop()
  const at = performance.now()
  await job.kill()
  const isGone = async (host: Host) => (await stateOf(host, "job")) === undefined || undefined
  for (const host of [a, b]) await until("it is gone", () => isGone(host), 70)
  expect(performance.now() - at).toBeLessThan(60_000)
  // Neither what is on the disk brings it back, nor somebody who was away and still knows it.
  await a.stop()
  await c.up()
  await a.up()
  await until("they have met", async () => (await stateOf(a, "host-c")) === "alive" || undefined)
  for (const met = performance.now(); performance.now() - met < 3_000; ) {
    for (const host of [a, b]) expect([host.name, await isGone(host)]).toEqual([host.name, true])
  }
  // Which hears from the two others that it is gone: its own word against theirs would change nobody's mind.
  await until("host-c has heard of it", () => isGone(c), 20)
  await job.up()
  for (const host of [a, b]) {
    await until("it is back", async () => (await stateOf(host, "job")) === "alive" || undefined)
  }
})

it("until it comes back: then it is a member as before", async () => {
  await dead.up()
  for (const host of [a, b]) {
    await until(
      "host-d is back",
      async () => (await stateOf(host, "host-d")) === "alive" || undefined
    )
  }
  expect(JSON.stringify(await a.api("services"))).toContain("gone")
})
