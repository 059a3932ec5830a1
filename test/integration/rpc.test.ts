/** RPC over the mesh, as programs of their own: examples/rpc, on Node and on Deno, each calling the other. */
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { build, type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const runtimes = {
  node: [process.execPath],
  deno: [join(root, "node_modules", ".bin", "deno"), "run", "-A"]
} as const
const example = (name: string) => join(root, "examples", "rpc", `${name}.ts`)
let host: Host

beforeAll(async () => {
  await build() // which is what the package's name means to the programs
  host = await mesh.first("host-a")
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
})

const status = async (): Promise<string> => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10"],
    ...["-x", host.proxy, "http://ledger.mesh/Balance"]
  ])
  return stdout
}

describe.each([
  ["node", "deno"],
  ["deno", "node"]
] as const)("a server on %s and a client on %s", (server, client) => {
  it("pay, fail as declared, and stream", async () => {
    const [command, ...args] = runtimes[server]
    const token = await host.invite("--services", "ledger")
    const child = start(command, [...args, example("server"), token])
    // One that speaks no RPC is told so.
    await until("the ledger", async () => ((await status()) === "415" ? true : undefined))

    const [caller, ...before] = runtimes[client]
    const ran = await run(caller, [...before, example("client"), await host.invite()])
    expect(ran.stdout.replaceAll(/^timestamp=.*\n/gm, "").split("\n")).toEqual([
      "after paying 60 there are 40",
      "for 60 more 20 are missing",
      "the balance is 40",
      "paid: 60 of alice by host/till",
      ""
    ])
    expect(ran.code).toBe(0)

    expect(await child.stop("SIGTERM")).toBe(0)
    await until("word of its end", async () => ((await status()) === "503" ? true : undefined))
  })
})
