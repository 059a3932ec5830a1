/** Who may change a node: its user, by the socket in the data directory, or who has its token. */
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { controlSocket, controlToken } from "../../src/admin/ControlPlace.ts"
import { type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const deno = join(root, "node_modules", ".bin", "deno")
let a: Host
/** On Deno, with a data directory whose path has no room for a socket. */
let b: Host

beforeAll(async () => {
  a = await mesh.first("host-a")
  const dataDir = join(mesh.directory, "x".repeat(110))
  mkdirSync(dataDir, { mode: 0o700 })
  b = await mesh.join("host-b", { dataDir, runtime: [deno, "run", "-A"] })
})

afterAll(async () => {
  await mesh.stop()
  rmSync(controlSocket(b.dataDir), { force: true })
  await stopAll()
})

const drain = async (...how: ReadonlyArray<string>) => {
  const all = ["-sS", "-X", "POST", "-w", " %{http_code}", ...how]
  const { stdout, stderr } = await run(program("curl"), all)
  return stdout + stderr
}
const path = "/api/v1/reload"

describe.each([
  ["on Node", () => a],
  ["on Deno, with a long data directory", () => b]
])("a node %s", (_, host) => {
  it("shows at its port, and takes no change there without its token", async () => {
    const at = `http://${host().admin}${path}`
    expect(await drain(at)).toMatch(/"control_needed".* 403$/)
    const bearer = (text: string) => ["-H", `Authorization: Bearer ${text}`, at]
    expect(await drain(...bearer("skein-admin-guess"))).toMatch(/"wrong_token".* 403$/)
    const file = controlToken(host().dataDir)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const token = readFileSync(file, "utf8").trim()
    expect(await drain(...bearer(token))).toMatch(/"changes":\[\].* 200$/)
    // The other node's is another one.
    const other = host() === a ? b : a
    expect(
      await drain(...bearer(readFileSync(controlToken(other.dataDir), "utf8").trim()))
    ).toMatch(/"wrong_token".* 403$/)
    expect(host().process?.output()).not.toContain(token)
  })

  it("takes changes at a socket that its user alone may open", async () => {
    const socket = controlSocket(host().dataDir)
    const { mode, uid } = statSync(socket)
    expect([mode & 0o777, uid]).toEqual([0o600, process.getuid?.()])
    expect(await host().api("status")).toMatchObject({ control: socket })
    expect(await drain("--unix-socket", socket, `http://localhost${path}`)).toMatch(/ 200$/)
    // A page in a browser cannot get there, and if it could:
    expect(
      await drain("--unix-socket", socket, "-H", "Origin: http://x", `http://localhost${path}`)
    ).toMatch(/"forbidden".* 403$/)
  })

  it.each([
    ["its port", () => ["--admin", host().admin]],
    ["its config", () => ["--config", host().configPath]],
    ["its data directory", () => ["--data-dir", host().dataDir]],
    ["its socket", () => ["--admin", `unix:${controlSocket(host().dataDir)}`]]
  ])("is told by a command that knows %s", async (_, words) => {
    const { code, stderr } = await skein("reload", ...words())
    expect([code, stderr]).toEqual([0, "nothing changed\n"])
  })
})

it("a socket and a token that were deleted are made again, the token another one", async () => {
  const socket = controlSocket(a.dataDir)
  const token = readFileSync(controlToken(a.dataDir), "utf8")
  rmSync(socket)
  rmSync(controlToken(a.dataDir))
  await until("host-a can be told again", async () =>
    (await skein("reload", "--data-dir", a.dataDir)).code === 0 ? true : undefined
  )
  await until("the token is there again", async () =>
    readFileSync(controlToken(a.dataDir), "utf8") === token ? undefined : true
  )
})

it("a killed node's socket is nobody's, and the next start takes it over", async () => {
  await a.kill()
  const { code, stderr } = await skein("reload", "--data-dir", a.dataDir)
  expect(code).toBe(1)
  expect(stderr).toContain(`no node answers at unix:${controlSocket(a.dataDir)}`)
  await a.up()
  expect((await skein("reload", "--data-dir", a.dataDir)).code).toBe(0)
  await a.stop()
  expect(statSync(controlSocket(a.dataDir), { throwIfNoEntry: false })).toBeUndefined()
})
