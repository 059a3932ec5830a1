/**
 * The root of a mesh of real processes is replaced while calls run: no rightful one fails, everybody moves at
 * once, who was away comes back by itself, and the old root leads nowhere any more.
 */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const apps: Array<App> = []
let a: Host
let b: Host
let c: Host
let plain: Host
let outcast: Host
let away: Host
let lost: Host
/** Made before the rotation, and never used until after it. */
let oldToken: string

interface Row {
  readonly node: string
  readonly state: string
}
interface Roots {
  readonly roots: ReadonlyArray<{
    readonly id: string
    readonly withdrawnAt: number | null
    readonly isNewest: boolean
    readonly members: number
  }>
  readonly left: ReadonlyArray<{ readonly node: string; readonly isThere: boolean }>
  readonly notYet: string | null
}
const members = async (host: Host) => (await host.api("members")) as ReadonlyArray<Row>
const roots = async (host: Host) => (await host.api("roots")) as Roots
const inForce = async (host: Host) =>
  (await roots(host)).roots.filter(({ withdrawnAt }) => withdrawnAt === null).map(({ id }) => id)
const meshOf = async (host: Host) => ((await host.api("status")) as { mesh: unknown }).mesh

/** What was set under the old root, as a node holds it. */
const saidBefore = async (host: Host) => {
  const settings = (await host.api("settings")) as ReadonlyArray<{ name: string; body: unknown }>
  const revoked = (await host.api("revoked")) as ReadonlyArray<{ target: string }>
  return {
    pay: settings.find(({ name }) => name === "pay")?.body,
    taken: revoked.some(({ target }) => target === "plain/shop-*")
  }
}
const heldOn = { pay: { timeout: { request: "9s" } }, taken: true }

const statusOf = (host: Host, service: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const [hostname, port] = host.proxy.split(":")
    request({ host: hostname, port, path: `http://${service}.mesh/` }, (response) => {
      response.resume()
      response.on("end", () => resolve(response.statusCode ?? 0))
    })
      .on("error", reject)
      .end()
  })

beforeAll(async () => {
  apps.push(await httpApp("good"), await httpApp("other"))
  const [good, other] = apps as [App, App]
  const pay = [{ name: "pay", address: good.address, protocol: "http" }]
  const ledger = [{ name: "ledger", address: other.address, protocol: "http" }]
  a = await mesh.first("host-a", { threads: 1 })
  b = await mesh.join("host-b", { threads: 1, services: pay })
  c = await mesh.join("host-c", { threads: 1, invite: ["--capabilities", "admit,revoke"] }, a)
  plain = await mesh.join("plain", { threads: 1, invite: ["--capabilities", "none"] }, c)
  outcast = await mesh.join("outcast", { threads: 1, services: pay }, b)
  away = await mesh.join("away", { threads: 1, services: ledger }, c)
  lost = await mesh.join("lost", { threads: 1 })
  oldToken = await a.invite()
  // Said under the old root, and to hold on.
  const policy = join(mesh.directory, "pay.yaml")
  writeFileSync(policy, "kind: policy\nname: pay\ntimeout: { request: 9s }\n")
  expect((await skein("apply", "-f", policy, "--admin", a.admin)).code).toBe(0)
  const taken = await skein("revoke", "plain/shop-*", "--why", "moved", "--admin", a.admin)
  expect(taken.code).toBe(0)
  for (const host of mesh.hosts) {
    await until(`${host.name} sees all`, async () => {
      const alive = (await members(host)).filter(({ state }) => state === "alive")
      return alive.length === 7 ? true : undefined
    })
  }
  await Promise.all([away.stop(), lost.stop()])
  await until("who is away is dead", async () =>
    (await members(a)).filter(({ state }) => state === "dead" || state === "left").length === 2
      ? true
      : undefined
  )
  expect((await skein("forget", "lost", "--admin", a.admin)).code).toBe(0)
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

it("is replaced under load, with a revocation on the way, and no rightful call fails", async () => {
  const before = await meshOf(a)
  const [old] = await inForce(a)
  const present = [a, b, c, plain, outcast]
  const loads = [a, c, plain].map((host) => new Load(host.proxy, "http://pay.mesh/", 4))

  const denied = await skein("root", "rotate", "--admin", b.admin)
  expect([denied.code, denied.stderr]).toEqual([1, expect.stringContaining("capability revoke")])
  const rotated = await skein("root", "rotate", "--why", "it is a year old", "--admin", a.admin)
  expect([rotated.code, rotated.stderr]).toEqual([0, expect.stringContaining("seen by 5 of 5")])
  const fresh = rotated.stdout.trim()
  expect(fresh).not.toBe(old)
  const rotatedAt = Date.now()
  for (const host of present) {
    await until(`${host.name} sees everybody who is there under the new root`, async () => {
      const { left, roots: all } = await roots(host)
      const isNewest = all.some(({ id, isNewest }) => id === fresh && isNewest)
      return isNewest && left.every(({ isThere }) => !isThere) ? true : undefined
    })
  }
  expect(Date.now() - rotatedAt).toBeLessThan(15_000)
  expect(await inForce(c)).toEqual([old, fresh])

  const revoked = await skein(
    "revoke",
    "outcast",
    "--why",
    "its disk was stolen",
    "--admin",
    a.admin
  )
  expect(revoked.code).toBe(0)
  for (const load of loads) expect(load.tally.ok).toBeGreaterThan(20)

  const finished = await skein("root", "finish", "--admin", a.admin)
  expect([finished.code, finished.stdout, finished.stderr]).toEqual([
    0,
    `${old} withdrawn\n`,
    expect.stringMatching(/signed for anew: away[\s\S]*seen by 4 of 4/)
  ])
  for (const host of [a, b, c, plain]) {
    expect(await inForce(host)).toEqual([fresh])
    expect(await meshOf(host)).toEqual(before)
  }
  await new Promise((wake) => setTimeout(wake, 1_000))
  for (const load of loads) {
    const tally = await load.stop()
    expect([...tally.failures]).toEqual([])
    expect(tally.ok).toBeGreaterThan(100)
  }
  expect((await members(b)).find(({ node }) => node === "outcast")?.state).toBe("revoked")
  // Its record counts for nothing, and people look for it.
  for (const host of [a, b]) {
    expect((await members(host)).find(({ node }) => node === "away")?.state).toBe("dead")
  }
  for (const host of [a, b, c, plain]) expect(await saidBefore(host)).toEqual(heldOn)
  expect(existsSync(join(a.dataDir, "root.next.key"))).toBe(false)
})

it("lets a member that was away through all of it back in, with what it offers", async () => {
  await away.up()
  await until("its service is called", async () =>
    (await statusOf(b, "ledger")) === 200 ? true : undefined
  )
  expect(await statusOf(away, "pay")).toBe(200)
  expect(await inForce(away)).toEqual(await inForce(a))
  expect((await roots(a)).left).toEqual([])
  expect((await members(a)).filter(({ node }) => node === "away")).toMatchObject([
    { state: "alive" }
  ])
  const { stdout } = await skein("doctor", "--admin", away.admin)
  expect(stdout).not.toContain("×")
})

it("refuses a node that has the old root alone, which says what is to be done", async () => {
  // Never ready: it belongs to nobody.
  lost.up().catch(() => undefined)
  await until("it knows", async () => {
    const ready = await fetch(`http://${lost.admin}/ready`)
    return ready.status === 503 && /withdrawn at/.test(await ready.text()) ? true : undefined
  })
  expect(lost.process?.ended()).toBeUndefined()
  const doctor = await skein("doctor", "--admin", lost.admin)
  expect(doctor.stdout).toMatch(/× trust: .* was replaced by .* and withdrawn at .*/)
  expect(doctor.stdout).toContain("skein up --join TOKEN")
  expect(await statusOf(lost, "pay")).toBe(404)
  expect((await members(a)).find(({ node }) => node === "lost")).toBeUndefined()
  // With a new token it is in again.
  await lost.stop()
  await lost.up("--join", await a.invite())
  expect(await statusOf(lost, "pay")).toBe(200)
})

it("refuses old tokens, takes new ones, and all of it outlives restarts", async () => {
  const late = await mesh.prepare("late", { threads: 1 })
  await expect(late.up("--join", oldToken)).rejects.toThrow(/root_withdrawn|new token|ended/)
  await late.up("--join", await c.invite())
  expect(await statusOf(late, "pay")).toBe(200)
  expect(await inForce(late)).toEqual(await inForce(a))
  expect(await saidBefore(late)).toEqual(heldOn)
  await a.kill()
  await a.up()
  expect(await inForce(a)).toEqual(await inForce(c))
  expect(await saidBefore(a)).toEqual(heldOn)
  // It holds the new root's key, and a second rotation follows.
  expect(readFileSync(join(a.dataDir, "root.key"), "utf8")).toContain("PRIVATE KEY")
  expect((await skein("root", "rotate", "--admin", a.admin)).code).toBe(0)
  const hasty = await skein("root", "status", "--admin", a.admin)
  expect(hasty.stdout).toContain("newest")
  await until("nobody is left", async () => ((await roots(a)).notYet === null ? true : undefined))
  const { code, stderr } = await skein("root", "finish", "--admin", a.admin)
  expect(await saidBefore(late)).toEqual(heldOn)
  expect([code, stderr]).toEqual([0, expect.stringContaining("is the only root of the mesh now")])
  expect(await statusOf(late, "pay")).toBe(200)
})

it("keeps the rightful one of two successors, when a thief of the key has made the newer", async () => {
  const [common] = await inForce(a)
  // A copy of the key, from the disk of the one to that of the other.
  await c.stop()
  copyFileSync(join(a.dataDir, "root.key"), join(c.dataDir, "root.key"))
  await c.up()
  const made = await skein("root", "rotate", "--admin", a.admin)
  expect(made.code).toBe(0)
  const mine = made.stdout.trim()
  await until("the thief has heard of it", async () =>
    (await inForce(c)).includes(mine) ? true : undefined
  )
  // By the old key, so that neither successor rests on the other.
  const stolen = await skein("root", "rotate", "--admin", c.admin)
  expect([stolen.code, stolen.stderr]).toEqual([0, expect.stringContaining(`--keep`)])
  const thiefs = stolen.stdout.trim()
  await until("it is told what there is", async () =>
    (await inForce(a)).includes(thiefs) ? true : undefined
  )
  expect(await inForce(a)).toEqual([common, mine, thiefs])
  // Who can be reached moves to the newer, which is the thief's, and the holder of the other stays.
  await until("others stand under the thief's", async () => {
    const { roots: all } = await roots(a)
    const under = all.find(({ id }) => id === thiefs)?.members ?? 0
    return under >= 3 ? true : undefined
  })
  const status = await skein("root", "status", "--admin", a.admin)
  expect(status.stdout).toContain(`skein root finish --keep ${mine}`)
  expect(status.stdout).toContain(`key of the root ${mine}, which is not the newest`)
  const unsaid = await skein("root", "finish", "--force", "--admin", a.admin)
  expect([unsaid.code, unsaid.stderr]).toEqual([1, expect.stringContaining(`--keep ${mine}`)])
  const foreign = await skein("root", "finish", "--keep", thiefs, "--admin", a.admin)
  expect([foreign.code, foreign.stderr]).toEqual([1, expect.stringContaining("can keep no other")])

  expect((await skein("revoke", "host-c", "--why", "a thief", "--admin", a.admin)).code).toBe(0)
  const kept = await skein("root", "finish", "--keep", mine, "--admin", a.admin)
  expect([kept.code, kept.stdout.split("\n").sort()]).toEqual([
    0,
    ["", `${common} withdrawn`, `${thiefs} withdrawn`].sort()
  ])
  const rightful = mesh.hosts.filter(({ name }) => name !== "host-c" && name !== "outcast")
  for (const host of rightful) {
    await until(`${host.name} is back, under the rightful root`, async () => {
      const { left } = await roots(host)
      const isBack = (await statusOf(host, "pay")) === 200
      return left.length === 0 && isBack && (await inForce(host)).join() === mine ? true : undefined
    })
  }
  expect((await members(b)).find(({ node }) => node === "host-c")?.state).not.toBe("alive")
  expect((await skein("root", "rotate", "--admin", c.admin)).code).toBe(1)
})
