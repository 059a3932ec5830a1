/** gRPC through two nodes, client and program by grpcio, of Python: the library of C beneath is that of many languages. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { lost, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { pythonWithGrpc } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const script = join(import.meta.dirname, "../fixtures/grpcio_calls.py")
const directory = mkdtempSync(join(tmpdir(), "skein-grpcio-"))
const socket = join(directory, "payments.sock")
let python: string
let a: Host

beforeAll(async () => {
  python = pythonWithGrpc()
  const served = start(python, [script, "serve"])
  const port = await until(
    "the program says its port",
    () => /listens on (\d+)/.exec(served.output())?.[1],
    20,
    [served]
  )
  a = await mesh.first("host-a", {
    upstreams: [{ service: "payments", listen: `unix:${socket}`, protocol: "grpc" }]
  })
  await mesh.join("host-b", {
    services: [{ name: "payments", address: `127.0.0.1:${port}`, protocol: "grpc" }]
  })
  await until("host-a sees payments", async () => {
    if (served.ended() !== undefined) throw lost(served)
    const answer = await fetch(`http://${a.admin}/api/v1/services`)
    return (await answer.text()).includes('"payments"') ? true : undefined
  })
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
})

describe("grpcio", () => {
  it("is at both ends of calls of all kinds", async () => {
    const { end, stdout } = await run(python, [script, "call", a.proxy, "payments.mesh"])
    expect(end.code, end.output).toBe(0)
    expect(stdout).toBe("unary\nstatus\nmany\nstreams\nboth ways\nthe mesh\n")
  })

  it("calls by a unix socket, whose path it says for a host", async () => {
    const { end, stdout } = await run(python, [script, "call-unix", socket])
    expect(end.code, end.output).toBe(0)
    expect(stdout).toBe("unix\n")
  })
})
