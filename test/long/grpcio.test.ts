/** gRPC through two nodes, client and program by grpcio, of Python: the library of C beneath is that of many languages. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { lost, run, runWell, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const script = join(import.meta.dirname, "../fixtures/grpcio_calls.py")
const venv = mkdtempSync(join(tmpdir(), "skein-grpcio-"))
const python = join(venv, "bin", "python")
let a: Host

beforeAll(async () => {
  await runWell(program("python3"), ["-m", "venv", venv]).catch((cause: unknown) => {
    const mend = "the test needs python3 with venv and pip: apt-get install python3-venv"
    throw new Error(mend, { cause })
  })
  await runWell(python, ["-m", "pip", "install", "--quiet", "grpcio>=1.60"])
  const served = start(python, [script, "serve"])
  const port = await until(
    "the program says its port",
    () => /listens on (\d+)/.exec(served.output())?.[1],
    20,
    [served]
  )
  a = await mesh.first("host-a", {})
  await mesh.join("host-b", {
    services: [{ name: "payments", address: `127.0.0.1:${port}`, protocol: "grpc" }]
  })
  await until("host-a sees payments", async () => {
    if (served.ended() !== undefined) throw lost(served)
    const answer = await fetch(`http://${a.admin}/api/v1/services`)
    return (await answer.text()).includes('"payments"') ? true : undefined
  })
}, 300_000)

afterAll(async () => {
  await mesh.stop()
  await stopAll()
  rmSync(venv, { recursive: true })
})

describe("grpcio", () => {
  it("is at both ends of calls of all kinds", async () => {
    const { end, stdout } = await run(python, [script, "call", a.proxy, "payments.mesh"])
    expect(end.code, end.output).toBe(0)
    expect(stdout).toBe("unary\nstatus\nmany\nstreams\nboth ways\nthe mesh\n")
  })
})
