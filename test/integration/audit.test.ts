/** What a mesh of real nodes writes into its audit logs, and what a command shows of it. */
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { httpApp } from "../fixtures/Apps.ts"
import { type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const Line = Schema.Struct({
  time: Schema.String,
  node: Schema.String,
  event: Schema.String,
  about: Schema.optional(Schema.String),
  from: Schema.optional(Schema.String),
  code: Schema.optional(Schema.String),
  count: Schema.optional(Schema.Number)
})
const decode = Schema.decodeUnknownSync(Schema.parseJson(Line))

const mesh = new TestMesh()
const other = new TestMesh()
let a: Host
let token = ""

const fileOf = (host: Host) => join(host.dataDir, "audit.log")
const linesOf = (host: Host) =>
  readFileSync(fileOf(host), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => decode(line))
const seen = (host: Host, event: string, about?: string) =>
  until(`${event} ${about ?? ""}`, () =>
    linesOf(host).find(
      (line) => line.event === event && (about === undefined || line.about === about)
    )
  )

beforeAll(async () => {
  a = await mesh.first("host-a")
  token = await a.invite()
  const b = await mesh.prepare("host-b", {})
  await b.up("--join", token)
})

afterAll(async () => {
  await mesh.stop()
  await other.stop()
  await stopAll()
})

it("goes to a collector by OTLP, and to no file where none is wanted", async () => {
  const bodies: Array<string> = []
  const collector = await httpApp("collector", ({ url }, response, body) => {
    bodies.push(`${url} ${body.toString()}`)
    response.end("{}")
  })
  const otlp = `http://${collector.address}`
  const c = await mesh.prepare("host-c", { audit: { file: "off", otlp } })
  await c.up("--join", await a.invite())
  await until("the collector has both", () =>
    ["node.started", "door.admitted"].every((event) =>
      bodies.some((body) => body.startsWith("/v1/logs ") && body.includes(`"eventName":"${event}"`))
    )
      ? true
      : undefined
  )
  const shown = await skein("audit", "--config", c.configPath)
  expect([shown.code, shown.stderr]).toEqual([1, expect.stringContaining(`see ${otlp}`)])
  await c.stop()
  expect(existsSync(fileOf(c))).toBe(false)
  // Its last word, too.
  expect(bodies.at(-1)).toContain('"eventName":"node.stopped"')
  await collector.close()
})

it("says who was invited, joined, came in, and whence it was told to do so", async () => {
  await seen(a, "key.invite")
  expect(await seen(a, "control.done", "POST /api/v1/invite")).toMatchObject({ from: "socket" })
  await seen(a, "door.joined", "host-b")
  await seen(a, "door.admitted", "host-b")
  const [, b] = mesh.hosts
  if (b !== undefined) await seen(b, "door.admitted", "host-a")
  expect(linesOf(a)[0]).toMatchObject({ event: "node.started", node: "host-a" })
  expect(statSync(fileOf(a)).mode & 0o777).toBe(0o600)
  // Neither the token nor what opens the door is in it.
  expect(readFileSync(fileOf(a), "utf8")).not.toMatch(/skein1\.|skein-admin-/)
})

it("counts what is tried again and again, and nobody writes lines of their own", async () => {
  const post = (path: string) =>
    run(program("curl"), ["-sS", "-X", "POST", "--path-as-is", `http://${a.admin}${path}`])
  for (let index = 0; index < 20; index++) await post("/api/v1/drain")
  await post("/%0a%7b%22event%22:%22forged%22%7d?token=secret")
  const first = await seen(a, "control.refused", "POST /api/v1/drain")
  expect([first.code, first.count]).toEqual(["control_needed", undefined])
  const again = await until("the count", () =>
    linesOf(a).find(({ about, count }) => about === "POST /api/v1/drain" && count !== undefined)
  )
  expect(again.count).toBe(19)
  const text = readFileSync(fileOf(a), "utf8")
  expect(text).not.toMatch(/secret|^.{0,3}"event":"forged"/m)
})

it("says at the node that judged it that another one is of a foreign mesh", async () => {
  const stranger = await other.first("stranger")
  await stranger.stop()
  // As if somebody had written a wrong address down.
  const { peer } = Schema.decodeUnknownSync(Schema.Struct({ peer: Schema.String }))(
    await a.api("status")
  )
  const address = `/ip4/127.0.0.1/tcp/${a.meshPort}/p2p/${peer}`
  writeFileSync(join(stranger.dataDir, "bootstrap.json"), JSON.stringify([address]))
  const main = join(root, "dist", "skein.js")
  const up = start(process.execPath, [main, "up", "--config", stranger.configPath])
  expect(await seen(stranger, "door.refused")).toMatchObject({
    code: "foreign_mesh",
    from: address
  })
  expect(await up.stop()).toBe(0)
  expect(linesOf(stranger).at(-1)).toMatchObject({ event: "node.stopped" })
})

it("is shown by a command that goes on when the file is moved away", async () => {
  const shown = await skein("audit", "--config", a.configPath, "-n", "1000")
  expect(shown.code).toBe(0)
  expect(shown.stdout).toMatch(/^\S+Z {2}door\.joined +host-b {2}from 12D3\S+ {2}services \* /m)
  const main = join(root, "dist", "skein.js")
  const following = start(process.execPath, [main, "audit", "-f", "-o", "json", "--admin", a.admin])
  await until("what there is", () =>
    following.output().includes("door.joined") ? true : undefined
  )
  renameSync(fileOf(a), `${fileOf(a)}.away`)
  await a.invite()
  await until("what comes", () =>
    following.output().split("key.invite").length > 2 ? true : undefined
  )
  expect(await following.stop("SIGINT")).toBe(0)
  const none = await skein("audit", "--data-dir", mesh.directory)
  expect([none.code, none.stderr]).toEqual([
    1,
    `skein: the audit log ${join(mesh.directory, "audit.log")} cannot be read: there is no such file\n`
  ])
})
