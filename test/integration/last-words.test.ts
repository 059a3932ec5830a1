/**
 * Programs that answer an upload on its head and close, tunnels that are not accepted: what they say
 * reaches clients nobody here wrote, through nodes on Node and on Deno.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const directory = mkdtempSync(join(tmpdir(), "skein-uploads-"))
let hasty: Server
let a: Host
let unaccepted: number
const tcpPort = await freePort()

const tooBig =
  "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo big\n"

/** A file of so many bytes, for curl. */
const upload = (size: number): string => {
  const path = join(directory, String(size))
  writeFileSync(path, Buffer.alloc(size, "x"))
  return path
}

const proxied = (...args: ReadonlyArray<string>) =>
  run(program("curl"), ["-sS", "-i", "--max-time", "20", "-x", a.proxy, ...args])

const metrics = async (): Promise<string> => (await fetch(`http://${a.admin}/metrics`)).text()

/** Sends all of its upload whatever is answered, and only then looks. */
const stubborn = (service: string, size: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const [host = "", port] = a.proxy.split(":")
    const socket = connect({ host, port: Number(port) })
    let text = ""
    const timer = setTimeout(() => reject(new Error(`no answer: ${JSON.stringify(text)}`)), 10_000)
    const finish = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text)
    }
    socket.on("error", () => undefined)
    socket.on("close", finish)
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (text.endsWith("too big\n") || text.endsWith("}\n")) finish()
    })
    socket.write(`POST / HTTP/1.1\r\nhost: ${service}.mesh\r\ncontent-length: ${size}\r\n\r\n`)
    socket.write(Buffer.alloc(size, "x"))
  })

beforeAll(async () => {
  hasty = createServer((socket) => {
    let head = ""
    socket.on("error", () => undefined)
    socket.on("data", (chunk) => {
      head += chunk.toString("latin1")
      if (!head.includes("\r\n\r\n")) return
      socket.pause()
      if (head.startsWith("GET")) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
      else socket.write(tooBig, () => socket.destroy())
    })
  })
  const hastyPort = await freePort()
  await new Promise<void>((listening) => hasty.listen(hastyPort, "127.0.0.1", listening))
  const pythonPort = await freePort()
  start(program("python3"), ["-m", "http.server", String(pythonPort), "--bind", "127.0.0.1"], {
    cwd: directory
  })
  unaccepted = await freePort()
  a = await mesh.first("host-a", {
    upstreams: [{ service: "nobody-accepts", listen: `127.0.0.1:${tcpPort}`, protocol: "tcp" }]
  })
  await mesh.join("host-b", {
    services: [
      { name: "hasty", address: `127.0.0.1:${hastyPort}` },
      { name: "python", address: `127.0.0.1:${pythonPort}` },
      { name: "nobody-accepts", address: `127.0.0.1:${unaccepted}`, protocol: "tcp" }
    ]
  })
  await mesh.join("host-c", {
    services: [{ name: "hasty-deno", address: `127.0.0.1:${hastyPort}` }],
    runtime: [join(root, "node_modules", ".bin", "deno"), "run", "-A"]
  })
  for (const service of ["hasty", "python", "hasty-deno"]) {
    await until(`${service} answers`, async () =>
      (await proxied(`http://${service}.mesh/`)).stdout.startsWith("HTTP/1.1 200")
        ? true
        : undefined
    )
  }
})

afterAll(async () => {
  await mesh.stop()
  hasty.close()
  rmSync(directory, { recursive: true, force: true })
  await stopAll()
})

describe("a program that answers an upload on its head and closes", () => {
  it.each([
    ["hasty", 100_000, 200],
    ["hasty", 1_000_000, 40],
    ["hasty", 10_000_000, 20],
    ["hasty-deno", 100_000, 50],
    ["hasty-deno", 1_000_000, 20]
  ])("is heard at %s: %i bytes, %i times", async (service, size, times) => {
    for (let n = 0; n < times; n++) {
      expect(await stubborn(service, size)).toMatch(/^HTTP\/1.1 413 [\s\S]*\r\n\r\ntoo big\n$/)
    }
  })

  it("is heard by curl, and nothing is held against it", async () => {
    const file = upload(1_000_000)
    for (let n = 0; n < 10; n++) {
      const { stdout } = await proxied("--data-binary", `@${file}`, "http://hasty.mesh/")
      expect(stdout).toMatch(/HTTP\/1.1 413 [\s\S]*too big\n$/)
    }
    const failures = /^skein_endpoint_requests_total\{service="hasty",.*result="failure"\} (.*)$/m
    expect(failures.exec(await metrics())?.[1]).toBe("0")
  })

  it("may be Python's own http.server, which takes no POST", async () => {
    const file = upload(500_000)
    for (let n = 0; n < 10; n++) {
      const { stdout } = await proxied("--data-binary", `@${file}`, "http://python.mesh/")
      expect(stdout).toMatch(/HTTP\/1.1 501 Unsupported method/)
      expect(stdout).not.toContain("skein-error")
    }
  })
})

describe("a tunnel that is not accepted", () => {
  it("by CONNECT: the mesh's error, and no 200 before it", async () => {
    const { code, stdout } = await proxied("--proxytunnel", "http://nobody-accepts.mesh/")
    expect(stdout).toMatch(/^HTTP\/1.1 503 [\s\S]*skein-error: upstream_connect\r\n/)
    expect(stdout).toMatch(/skein-node: host-b\r\n/)
    expect(code).not.toBe(0)
  })

  it("by a local port: a reset, a line in the log, and a counter by cause", async () => {
    const { code } = await run(program("curl"), [
      ...["-sS", "--max-time", "10", `http://127.0.0.1:${tcpPort}/`]
    ])
    expect(code).toBe(56) // received nothing, because of a reset
    await until("the log line", () =>
      /tunnel to nobody-accepts reset: the program of nobody-accepts/.test(
        a.process?.output() ?? ""
      )
        ? true
        : undefined
    )
    expect(await metrics()).toMatch(
      /^skein_listener_tunnel_resets_total\{[^}]*code="upstream_connect"[^}]*\} 1$/m
    )
  })
})
