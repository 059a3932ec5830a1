/** The same node on another runtime, inside another program, and from the shipped definitions. */
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Inspector, inspected } from "../fixtures/Inspector.ts"
import { build, type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
let a: Host
let onNode: App
let onDeno: App

const get = async (host: Host, service: string) => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "--max-time", "10", "-x", host.proxy, `http://${service}.mesh/`]
  ])
  return stdout
}

beforeAll(async () => {
  onNode = await httpApp("behind-node")
  onDeno = await httpApp("behind-deno")
  a = await mesh.first("host-a", { services: [{ name: "on-node", address: onNode.address }] })
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all([onNode.close(), onDeno.close()])
  await stopAll()
})

const denoProgram = join(root, "node_modules", ".bin", "deno")

describe("Deno", () => {
  it("deno task up and join are the commands", async () => {
    for (const task of ["up", "join"]) {
      const { code, stdout, stderr } = await run(denoProgram, ["task", "--quiet", task, "--help"])
      expect(stderr).toBe("")
      expect(stdout).toContain("--config")
      expect(code).toBe(0)
    }
  })

  it("joins a mesh of Node nodes, serves, calls, and restarts without the token", async () => {
    const deno = await mesh.join("host-deno", {
      services: [
        { name: "on-deno", address: onDeno.address, health: { http: { path: "/healthz" } } }
      ],
      runtime: [denoProgram, "run", "-A", inspected],
      threads: 3
    })
    await until("answer through Deno", async () =>
      (await get(a, "on-deno")).includes("behind-deno") ? true : undefined
    )
    await until("answer through Node", async () =>
      (await get(deno, "on-node")).includes("behind-node") ? true : undefined
    )
    const threads = async () =>
      ((await deno.api("status")) as { threads: ReadonlyArray<unknown> }).threads
    const well = (restarts: number) => expect.objectContaining({ state: "running", restarts })
    expect(await threads()).toEqual([well(0), well(0), well(0)])
    const inspector = await Inspector.open(deno)
    await inspector.crash(1, "crashed by the test")
    inspector.close()
    await until("the thread runs again", async () => {
      expect(await threads()).toEqual([well(0), well(1), well(0)])
      return true
    })
    expect(deno.process?.output()).toMatch(/request thread 1 has crashed.*crashed by the test/)
    expect(await get(a, "on-deno")).toContain("behind-deno")
    await deno.kill()
    await deno.up()
    await until("answer through Deno again", async () =>
      (await get(a, "on-deno")).includes("behind-deno") ? true : undefined
    )
    expect(await deno.stop()).toBe(0)
  })
})

describe("embedding", () => {
  it("examples/embed: a node as a layer, its HttpClient through the mesh, and a good-bye", async () => {
    await build() // which is what the package's name means to the example
    const { code, stdout, stderr } = await run(process.execPath, [
      ...[join(root, "examples", "embed", "main.ts"), await a.invite(), "on-node", "/where?x=1"]
    ])
    expect(stderr).toBe("")
    expect(stdout).toMatch(/^200 from on-node by way of embedded-\d+:\n/)
    expect(stdout).toContain("behind-node")
    expect(code).toBe(0)
    const members: unknown = await a.api("members")
    const left = { node: expect.stringMatching(/^embedded-/), state: "left" }
    expect(members).toEqual(expect.arrayContaining([expect.objectContaining(left)]))
  })

  it("examples/embed: says in a line what is wrong", async () => {
    const example = join(root, "examples", "embed", "main.ts")
    const { code, stdout, stderr } = await run(process.execPath, [example, "no-token"])
    expect(stderr).toBe("an invite token begins with skein1.; this does not\n")
    expect([code, stdout]).toEqual([1, ""])
  })
})
