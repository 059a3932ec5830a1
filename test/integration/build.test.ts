/** What `npm run build` makes, as those use it who never see the sources: a command and a library. */
import {
  accessSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import manifest from "../../package.json" with { type: "json" }
import { build, root, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const web = createServer((_, response) => response.end("from the sources"))
/** Far from the checkout: no sources, no node_modules. */
const alone = mkdtempSync(join(tmpdir(), "skein-build-"))
const command = join(alone, "dist", "skein.js")
const skein = (...args: ReadonlyArray<string>) => run(process.execPath, [command, ...args])

beforeAll(async () => {
  await build()
  cpSync(join(root, "dist"), join(alone, "dist"), { recursive: true })
  cpSync(join(root, "package.json"), join(alone, "package.json"))
  await new Promise<void>((listens) => web.listen(0, "127.0.0.1", listens))
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
  web.close()
  rmSync(alone, { recursive: true, force: true })
})

describe("the command", () => {
  it("can be run by its name, and knows its version", async () => {
    accessSync(command, constants.X_OK)
    const { code, stdout } = await skein("--version")
    expect([code, stdout.trim()]).toEqual([0, manifest.version])
  })

  it("has lines that can be read, and pointed at by a stack trace", () => {
    const files = readdirSync(join(alone, "dist"), { recursive: true, encoding: "utf8" })
    const lengths = files
      .filter((file) => file.endsWith(".js"))
      .flatMap((file) => readFileSync(join(alone, "dist", file), "utf8").split("\n"))
      .map(({ length }) => length)
    // What cannot be broken, such as a template, makes some longer than the 160 that are asked for.
    expect(Math.max(...lengths)).toBeLessThan(5_000)
  })

  it("joins nodes that run from the sources, calls them, and stops when told", async () => {
    const { port } = web.address() as AddressInfo
    const a = await mesh.first("host-a", {
      services: [{ name: "web", address: `127.0.0.1:${port}` }]
    })
    const directory = join(alone, "host-b")
    const [admin, proxy] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
    mkdirSync(directory)
    writeFileSync(
      join(directory, "skein.yaml"),
      `node: { name: host-b, dataDir: data, listen: [/ip4/127.0.0.1/tcp/${await freePort()}] }\nadmin: ${admin}\noutbound: { http: ${proxy} }\n`
    )
    const token = await a.invite()
    const b = start(process.execPath, [
      ...[command, "join", token, "--config", join(directory, "skein.yaml")]
    ])
    await until(
      "host-b ready",
      async () => ((await fetch(`http://${admin}/ready`)).ok ? true : undefined),
      30
    )
    await until("the service answers through the mesh", async () => {
      const { stdout } = await run(program("curl"), ["-sS", "-x", proxy, "http://web.mesh/"])
      return stdout === "from the sources" ? true : undefined
    })
    const metrics = await (await fetch(`http://${admin}/metrics`)).text()
    expect(metrics).toContain(`version="${manifest.version}"`)
    const status = await skein("status", "--admin", a.admin, "-o", "json")
    expect(status.code).toBe(0)
    expect(JSON.parse(status.stdout)).toMatchObject({ node: "host-a" })
    expect(await b.stop()).toBe(0)
  })

  it("does not run the demo, whose programs are in the checkout, but says so", async () => {
    const { code, stderr } = await skein("demo", "--once")
    expect(code).toBe(1)
    expect(stderr).toContain("cannot be loaded")
    expect(stderr).toContain("in a checkout of Skein: npm ci && npm run demo")
  })
})

describe("the library", () => {
  it("is what the package exports", async () => {
    const script =
      'import { makePolicy } from "skein"; console.log(makePolicy({ retry: { attempts: 1 } }).retry)'
    const { code, stdout, stderr } = await run(process.execPath, [
      ...["--input-type=module", "--eval", script]
    ])
    expect(code, stderr).toBe(0)
    expect(stdout).toContain("attempts: 1")
    accessSync(join(root, manifest.exports["."].types))
  })

  it("leaves effect to the program that embeds it: there must be only one", () => {
    const library = readFileSync(join(root, "dist", "mod.js"), "utf8")
    expect(library).toMatch(/from"effect"/)
    expect(library).not.toContain('Symbol.for("effect/Effect")')
  })

  it("has the store in PostgreSQL beside it, for programs with @effect/sql-pg", async () => {
    const script =
      'import { PostgresStore } from "skein/postgres"; console.log(Object.keys(PostgresStore))'
    const { code, stdout, stderr } = await run(process.execPath, [
      ...["--input-type=module", "--eval", script]
    ])
    expect(code, stderr).toBe(0)
    expect(stdout).toContain("layer")
    accessSync(join(root, manifest.exports["./postgres"].types))
  })

  it("has the simulator beside it, which needs a program's effect and nothing else", () => {
    const simulator = readFileSync(join(root, "dist", "testing.js"), "utf8")
    const imported = [...simulator.matchAll(/\bfrom ?"([^"]+)"/g)].map(([, name = ""]) => name)
    expect(imported).toContain("effect")
    expect(imported.filter((name) => !/^(effect(\/|$)|node:)/.test(name))).toEqual([])
    expect(simulator).not.toContain("libp2p")
    accessSync(join(root, manifest.exports["./testing"].types))
  })

  it("loads no libp2p into a program: that is the mesh thread's, which has an effect of its own", () => {
    const read = (file: string) => readFileSync(join(root, "dist", file), "utf8")
    const loaded = new Set(["mod.js"])
    for (const file of loaded) {
      for (const [, next = ""] of read(file).matchAll(
        /(?:from|import) ?"\.\/((?:chunks\/)?[^"]+\.js)"/g
      )) {
        loaded.add(next.includes("/") || file === "mod.js" ? next : join("chunks", next))
      }
    }
    const all = Array.from(loaded, read).join("\n")
    expect([all, read("mesh.js")].map((it) => it.includes("@libp2p/peer-id"))).toEqual([
      false,
      true
    ])
    expect(read("mesh.js")).not.toMatch(/from ?"(effect|@effect\/platform)[/"]/)
  })

  it("says what a program that is bundled has to take along", async () => {
    const esbuild = join(root, "node_modules", ".bin", "esbuild")
    const source = join(alone, "program.mjs")
    const text = `import { Effect } from "effect"
import { SkeinNode } from "skein"
const failed = Effect.provide(Effect.void, SkeinNode.layer({ node: { dataDir: "./none" } }))
console.log((await Effect.runPromise(Effect.flip(failed))).code)
`
    writeFileSync(source, text)
    const bundle = join(alone, "bundle", "program.mjs")
    const made = await run(esbuild, [
      ...[source, "--bundle", "--platform=node", "--format=esm", `--outfile=${bundle}`],
      ...[`--alias:skein=${join(root, "dist", "mod.js")}`],
      ...["effect", "@effect/platform"].map(
        (it) => `--alias:${it}=${join(root, "node_modules", it)}`
      )
    ])
    expect(made.code, made.stderr).toBe(0)
    const first = await run(process.execPath, [bundle], { cwd: alone })
    expect(first.stdout, first.stderr).toBe("mesh_thread_missing\n")
    cpSync(join(root, "dist", "mesh.js"), join(alone, "bundle", "mesh.js"))
    const second = await run(process.execPath, [bundle], { cwd: alone })
    expect(second.stdout, second.stderr).toBe("no_identity\n")
  })
})
