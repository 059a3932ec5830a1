/**
 * Programs that serve without a port, as processes of their own: curl at a host's proxy, from there
 * over the mesh to a handler in Effect, on Node and on Deno.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { build, type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { type Running, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const directory = mkdtempSync(join(tmpdir(), "skein-serving-"))
const deno = join(root, "node_modules", ".bin", "deno")
let host: Host

const curl = (url: string, ...args: ReadonlyArray<string>) =>
  run(program("curl"), ["-sS", "--max-time", "20", "-x", host.proxy, ...args, url])

const get = async (url: string, ...args: ReadonlyArray<string>) => (await curl(url, ...args)).stdout

/** One that serves, and that the host can call. */
const serving = async (
  service: string,
  runtime: ReadonlyArray<string>,
  script = join(root, "test", "fixtures", "ServingProgram.ts")
): Promise<Running> => {
  const [command = "", ...args] = runtime
  const token = await host.invite("--services", service)
  const child = start(command, [...args, script, token, service, join(directory, service)])
  await until(`${service} answers`, async () =>
    (await get(`http://${service}.mesh/who`)).startsWith("host/") ? true : undefined
  )
  return child
}

beforeAll(async () => {
  await build() // which is what the package's name means to the programs
  host = await mesh.first("host-a")
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
})

describe.each([
  ["node", [process.execPath]],
  ["deno", [deno, "run", "-A"]]
] as const)("a program that serves, on %s", (name, runtime) => {
  const service = `stock-${name}`
  const url = (path: string) => `http://${service}.mesh${path}`
  let child: Running

  beforeAll(async () => {
    child = await serving(service, runtime)
  })

  it("is told who calls, and opens no port for it", async () => {
    expect(await get(url("/who"))).toBe("host/host-a")
    expect(await get(url("/who"), "-H", "skein-caller: admin")).toBe("host/host-a")
    expect(await host.api(`services/${service}/endpoints`)).toMatchObject([
      { node: service, endpoint: "program", state: "healthy" }
    ])
  })

  it("streams both ways, byte by byte as it was sent", async () => {
    const body = Buffer.alloc(4 * 1024 * 1024)
    for (let i = 0; i < body.length; i += 4) body.writeUInt32LE((i * 2_654_435_761) >>> 0, i)
    const [sent, got] = [join(directory, `${name}.in`), join(directory, `${name}.out`)]
    writeFileSync(sent, body)
    await curl(url("/echo"), "--data-binary", `@${sent}`, "-o", got)
    const { stdout } = await run(program("cmp"), [sent, got])
    expect(stdout).toBe("")
    const begun = performance.now()
    expect(await get(url("/lines"))).toBe("line 0\nline 1\nline 2\nline 3\nline 4\n")
    expect(performance.now() - begun).toBeGreaterThan(150)
  })

  it("hears of callers that give up", async () => {
    await curl(url("/slow"), "--max-time", "0.5")
    await until("the interruption", () =>
      child.output().includes("slow interrupted") ? true : undefined
    )
  })

  it("is healthy as long as it says that it is ready", async () => {
    const state = (wanted: string) =>
      until(`${service} ${wanted}`, async () => {
        const [one] = (await host.api(`services/${service}/endpoints`)) as ReadonlyArray<object>
        return one !== undefined && "state" in one && one.state === wanted ? true : undefined
      })
    child.child.kill("SIGUSR2")
    await state("unhealthy")
    expect(await get(url("/who"))).toContain("no_healthy_endpoint")
    child.child.kill("SIGUSR2")
    await state("healthy")
    expect(await get(url("/who"))).toBe("host/host-a")
  })

  it("is taken out before it ends, and finishes what it has begun", async () => {
    const slow = get(url("/slow"))
    const begun = () => child.output().split("slow begins").length
    const before = begun()
    await until("the call", () => (begun() > before ? true : undefined))
    const ended = child.stop("SIGTERM")
    await until("word of it", async () =>
      (await get(url("/who"))).includes("no_healthy_endpoint") ? true : undefined
    )
    expect(await slow).toBe("slow and well")
    expect(await ended).toBe(0)
  })
})

describe("examples/serve", () => {
  it("answers what its API says", async () => {
    const token = await host.invite("--services", "stock")
    const child = start(process.execPath, [join(root, "examples", "serve", "main.ts"), token])
    const tea = await until("an answer", async () => {
      const text = await get("http://stock.mesh/items/tea")
      return text.includes("count") ? text : undefined
    })
    expect(JSON.parse(tea)).toEqual({ item: "tea", count: 12, toldTo: "host/host-a" })
    const status = ["-o", "/dev/null", "-w", "%{http_code}"]
    expect(await get("http://stock.mesh/items/milk", ...status)).toBe("404")
    expect(await child.stop("SIGTERM")).toBe(0)
  })

  it("says why it cannot serve what its certificate does not grant", async () => {
    const token = await host.invite("--services", "other")
    const { code, stderr } = await run(process.execPath, [
      ...[join(root, "examples", "serve", "main.ts"), token]
    ])
    expect(stderr).toMatch(
      /^stock cannot be served at .*--services stock gives a node that right\n$/
    )
    expect(code).toBe(1)
  })
})
