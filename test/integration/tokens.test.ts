/** Tokens that only so many hosts may use, under which names, and how they get where they are used. */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, start, stopAll, until } from "../fixtures/Processes.ts"

const main = join(root, "dist", "skein.js")
const mesh = new TestMesh()
let a: Host
let b: Host

beforeAll(async () => {
  a = await mesh.first("host-a")
  b = await mesh.join("host-b")
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
})

/** A host that is refused says so and ends. */
const refused = async (host: Host, token: string) => {
  const words = [main, "join", token, "--config", host.configPath]
  const { code, stderr } = await run(process.execPath, words)
  expect(code).toBe(1)
  return stderr
}

const Findings = Schema.Struct({
  findings: Schema.Array(Schema.Struct({ kind: Schema.String, message: Schema.String }))
})
const overuse = async (host: Host) =>
  Schema.decodeUnknownSync(Findings)(await host.api("status")).findings.find(
    ({ kind }) => kind === "invite_overused"
  )

/** What the audit log says of tokens that let in too many. */
const overuses = (host: Host): ReadonlyArray<unknown> =>
  readFileSync(join(host.dataDir, "audit.log"), "utf8")
    .split("\n")
    .filter((line) => line.includes('"invite.overused"'))
    .map((line): unknown => JSON.parse(line))

describe("a token", () => {
  it("lets one host in, by whichever member, also after a restart, and that one again", async () => {
    const token = await a.invite()
    const c = await mesh.prepare("host-c", {})
    await c.up("--join", token)
    await until("host-b has heard of it", async () =>
      JSON.stringify((await skein("get", "uses", "--admin", b.admin)).stdout).includes("host-a")
        ? true
        : undefined
    )
    const d = await mesh.prepare("host-d", {})
    expect(await refused(d, token)).toContain("the token has let in as many hosts as it may")
    await a.stop()
    // Now the other member is the one that is asked.
    expect(await refused(d, token)).toContain("used_up")
    await a.up()
    expect(await refused(d, token)).toContain("used_up")
    await c.stop()
    await c.up("--join", token)
  })

  it("is for so many hosts, and only for those of these names", async () => {
    const token = await a.invite("--uses", "2", "--name", "host-e,host-f")
    const x = await mesh.prepare("host-x", {})
    expect(await refused(x, token)).toContain("the token is for host-e or host-f")
    for (const name of ["host-e", "host-f"]) {
      const host = await mesh.prepare(name, {})
      await host.up("--join", token)
      await host.stop()
    }
    expect((await skein("invite", "--uses", "none", "--admin", a.admin)).stderr).toContain("--uses")
  })

  it("that two halves of a mesh each let a host in with is found when they are one again", async () => {
    const token = await a.invite()
    await a.stop()
    const here = await mesh.prepare("here", {})
    await here.up("--join", token)
    for (const host of mesh.hosts) await host.stop()
    await a.up()
    const there = await mesh.prepare("there", {})
    await there.up("--join", token)
    expect(await overuse(a)).toBeUndefined()
    await b.up()
    await here.up()
    const nodes = ["here", "there"]
    for (const host of [a, b, here, there]) {
      const { message } = await until(`${host.name} finds it`, () => overuse(host))
      expect(message).toContain(`was good for one host and let in ${nodes.join(", ")}`)
    }
    for (const host of [a, b, here, there]) {
      const audited = await until(`${host.name} has written it down`, async () => {
        const lines = overuses(host)
        return Promise.resolve(lines.length > 0 ? lines : undefined)
      })
      expect(audited).toEqual([
        expect.objectContaining({ node: host.name, count: 2, more: { limit: 1, nodes } })
      ])
    }
    await b.stop()
    await b.up()
    await until("host-b finds it on its disk", () => overuse(b))
    expect(overuses(b)).toHaveLength(1)
    const { stdout } = await skein("doctor", "--admin", b.admin)
    expect(stdout).toMatch(/‼ tokens: the token [0-9a-f]{32} was good for one host/)
  })
})

describe("a host is given its token", () => {
  const joining = async (name: string, words: ReadonlyArray<string>, env: NodeJS.ProcessEnv) => {
    const host = await mesh.prepare(name, {})
    const args = [main, ...words, "--config", host.configPath]
    host.process = start(process.execPath, args, { env, what: name })
    await host.ready()
    return host
  }

  it("in a file", async () => {
    const file = join(mesh.directory, "token")
    writeFileSync(file, await a.invite(), { mode: 0o600 })
    await joining("by-file", ["join", "--token-file", file], {})
    rmSync(file)
  })

  it("in the environment, which what it starts does not see", async () => {
    await joining("by-environment", ["up"], { SKEIN_TOKEN: await a.invite() })
  })

  it("on standard input", async () => {
    const host = await mesh.prepare("by-input", {})
    const token = await a.invite()
    const file = join(mesh.directory, "input")
    writeFileSync(file, token)
    // In the shell's place, so that it ends with the test.
    const script = `exec "$0" "$1" join --token-file - --config "$2" < "$3"`
    const words = ["-c", script, process.execPath, main, host.configPath, file]
    host.process = start("sh", words, { what: "by-input" })
    await host.ready()
  })

  it("in the command line, and nobody sees it there afterwards, nor in its log", async () => {
    const token = await a.invite()
    const host = await joining("by-word", ["join", token], {})
    const shown = readFileSync(`/proc/${host.process?.child.pid}/cmdline`, "utf8")
    expect(shown).not.toContain(token.slice(0, 40))
    expect(host.process?.output()).not.toContain(token.slice(0, 40))
  })

  it("or told what is missing, without its token", async () => {
    const token = await a.invite()
    for (const words of [["up", token], [token], ["join", token, token]]) {
      const { code, stderr } = await skein(...words)
      expect(code).toBe(2)
      expect(stderr).toContain("skein1.…")
      expect(stderr).not.toContain(token.slice(0, 20))
    }
    expect((await skein("join", "--config", a.configPath)).stderr).toContain("--token-file FILE")
    const none = await skein("join", "--token-file", "/nowhere/token", "--config", a.configPath)
    expect(none.stderr).toBe(
      "skein: the token cannot be read from /nowhere/token: there is no such file\n"
    )
  })
})
