/**
 * Listener and inbound stack joined without a mesh between them: programs nobody here wrote on
 * both ends (curl, node:http, Python's http.server), and the behaviour that only shows end to end.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import http from "node:http"
import type net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { Protocol } from "../../model/NodeRecord.ts"
import {
  Flood,
  freePort,
  payments,
  RecordingObserver,
  rawProgram,
  self,
  startProgram
} from "../../testing/InboundFixture.ts"
import { heldBytes, makeContext, RawClient, turn } from "../../testing/ListenerFixture.ts"
import { Inbound } from "../inbound/Inbound.ts"
import { type HttpListener, openHttpListener } from "./HttpListener.ts"
import { openTcpListener } from "./TcpListener.ts"

const run = promisify(execFile)
const cleanups: Array<() => Promise<void> | void> = []
let context: ReturnType<typeof makeContext>
let inbound: Inbound
let observer: RecordingObserver
let listener: HttpListener

beforeEach(async () => {
  context = makeContext()
  observer = new RecordingObserver()
  const { ticker, metrics } = context
  inbound = new Inbound({ self, ticker, metrics, observer, callerName: () => "host-a" })
  listener = await context.open(openHttpListener({ ...context.base, dispatch: inbound.dispatch }))
})
afterEach(async () => {
  context.dispose()
  inbound.close()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const offer = (port: number, protocol: Protocol = "http"): void =>
  inbound.setServices([
    { name: payments, protocol, endpoints: [{ id: "0", host: "127.0.0.1", port, weight: 100 }] }
  ])

const offerProgram = async (server: net.Server, protocol: Protocol = "http") => {
  const program = await startProgram(server)
  cleanups.push(program.close)
  offer(program.port, protocol)
  return program
}

const connect = (): RawClient => {
  const client = new RawClient(listener.address.port)
  cleanups.push(() => {
    client.socket.destroy()
  })
  return client
}

const proxy = (): string => `127.0.0.1:${listener.address.port}`

const curl = async (...args: ReadonlyArray<string>): Promise<string> =>
  (await run("curl", ["-sS", "--max-time", "10", ...args], { maxBuffer: 64 * 1024 * 1024 })).stdout

const outcome = () => observer.seen.at(-1)?.ends[0]

const echo = () =>
  http.createServer((request, response) => {
    response.setHeader("x-method", request.method ?? "")
    if (request.headers["content-length"] !== undefined) {
      response.setHeader("content-length", request.headers["content-length"])
    }
    request.pipe(response)
  })

describe("curl and Python's http.server", () => {
  let directory: string
  const started: Array<ChildProcess> = []

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "skein-"))
    await writeFile(join(directory, "page.txt"), "served by python\n")
    const port = await freePort()
    const python = spawn(
      "python3",
      ["-u", "-m", "http.server", String(port), "--bind", "127.0.0.1", "--directory", directory],
      { stdio: ["ignore", "pipe", "ignore"] }
    )
    started.push(python)
    await new Promise((resolve, reject) => {
      python.stdout?.once("data", resolve)
      python.once("error", reject)
      python.once("exit", reject)
    })
    offer(port)
  })
  afterEach(async () => {
    for (const child of started.splice(0)) child.kill()
    await rm(directory, { recursive: true })
  })

  it("work by proxy, by Host, for HEAD, and for what is not there", async () => {
    expect(await curl("-x", proxy(), "http://payments.mesh/page.txt")).toBe("served by python\n")
    expect(outcome()).toEqual({
      outcome: { kind: "complete", status: 200 },
      bytesIn: 0,
      bytesOut: 17
    })
    expect(await curl("-H", "Host: payments.mesh", `${proxy()}/page.txt`)).toBe(
      "served by python\n"
    )
    expect(await curl("-I", "-x", proxy(), "http://payments.mesh/page.txt")).toMatch(
      /^HTTP\/1.1 200 OK\r\n[\s\S]*content-length: 17\r\n/i
    )
    expect(
      await curl("-o", "/dev/null", "-w", "%{http_code}", "-x", proxy(), "http://payments.mesh/no")
    ).toBe("404")
    expect(observer.seen).toHaveLength(4)
  })

  it("work over the same client connection, request after request", async () => {
    const url = "http://payments.mesh/page.txt"
    const out = await curl("-x", proxy(), "-w", "%{num_connects}\n", url, url, url)
    expect(out).toBe("served by python\n1\nserved by python\n0\nserved by python\n0\n")
  })

  it("work through CONNECT", async () => {
    expect(await curl("-p", "-x", proxy(), "http://payments.mesh/page.txt")).toBe(
      "served by python\n"
    )
    expect(observer.seen[0]?.info.kind).toBe("tcp")
  })

  it("show the mesh's own answers", async () => {
    inbound.setServices([])
    const out = await curl("-i", "-x", proxy(), "http://payments.mesh/")
    expect(out).toContain("HTTP/1.1 503 Service Unavailable")
    expect(out).toContain("skein-error: no_healthy_endpoint")
  })
})

describe("curl and node:http", () => {
  it("upload and download 8 MiB, with a length (and 100-continue) and chunked", async () => {
    await offerProgram(echo())
    const directory = await mkdtemp(join(tmpdir(), "skein-"))
    cleanups.push(() => rm(directory, { recursive: true }))
    const [upload, download] = [join(directory, "up"), join(directory, "down")]
    const content = Buffer.alloc(8 * 1024 * 1024, "0123456789")
    await writeFile(upload, content)
    for (const header of ["Expect: 100-continue", "Transfer-Encoding: chunked"]) {
      const url = "http://payments.mesh/"
      const more = ["-H", header, "-T", upload, "-o", download, "-w", "%{http_code}"]
      expect(await curl("-x", proxy(), ...more, url)).toBe("200")
      expect(Buffer.compare(await readFile(download), content)).toBe(0)
      expect(outcome()).toMatchObject({ bytesIn: content.length, bytesOut: content.length })
    }
  })

  it("see a response that breaks off as broken", async () => {
    await offerProgram(
      http.createServer((_, response) => {
        response.write("half")
        setImmediate(() => response.destroy())
      })
    )
    await expect(curl("-x", proxy(), "http://payments.mesh/")).rejects.toMatchObject({
      stderr: expect.stringMatching(/transfer closed|Recv failure|chunk/)
    })
    expect(outcome()).toMatchObject({ outcome: { kind: "fault", code: "upstream_reset" } })
    await expect(curl("-0", "-x", proxy(), "http://payments.mesh/")).rejects.toMatchObject({
      stderr: expect.stringContaining("reset by peer")
    })
  })
})

describe("end to end", () => {
  const get = (more = "") => `GET / HTTP/1.1\r\nhost: payments.mesh\r\n${more}\r\n`

  it("a program is reached that does not listen: 503, nothing sent", async () => {
    offer(await freePort())
    const client = connect().send(get())
    await client.receives(/\}\n$/)
    expect(client.text).toContain("skein-error: upstream_connect")
  })

  it("a client that goes away closes the program's connection", async () => {
    const program = await offerProgram(http.createServer(() => undefined))
    const client = connect().send(get())
    while (program.sockets.size === 0) await turn()
    client.socket.destroy()
    while (program.sockets.size > 0) await turn()
    expect(outcome()).toMatchObject({ outcome: { kind: "fault", code: "client_gone" } })
    expect(inbound.inFlight).toBe(0)
  })

  it("a client that does not read stops the program, and the node keeps less than 2 MB", async () => {
    let flood: Flood | undefined
    const total = 256 * 1024 * 1024
    const program = await offerProgram(
      rawProgram((socket) => {
        socket.once("data", () => {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`)
          flood = new Flood(socket, total)
        })
      })
    )
    const written = () => flood?.written ?? 0
    const client = connect()
    client.socket.pause()
    const before = heldBytes()
    client.send(get())
    for (let quiet = 0, seen = -1; quiet < 300; quiet++) {
      await turn()
      if (written() === seen) continue
      seen = written()
      quiet = 0
    }
    // What is between the two programs sits in the kernel's buffers (some MB each) or in the node.
    expect(observer.seen[0]?.ends).toHaveLength(0)
    expect(written()).toBeLessThan(total / 4)
    let held = heldBytes() - before
    // Memory of collected buffers is given back by another thread: a few turns later.
    for (let i = 0; held > 2 * 1024 * 1024 && i < 50; i++) {
      await turn()
      held = heldBytes() - before
    }
    expect(held).toBeLessThan(2 * 1024 * 1024)
    const kept = [...program.sockets].reduce((sum, socket) => sum + socket.writableLength, 0)
    expect(kept).toBeGreaterThan(0)
    client.socket.resume()
    await client.until(() => client.bytes > total)
    while (observer.seen[0]?.ends.length === 0) await turn()
    expect(outcome()).toMatchObject({ outcome: { kind: "complete" }, bytesOut: total })
  })

  it("an upgrade is relayed byte for byte and half-closes", async () => {
    const server = http.createServer()
    server.on("upgrade", (request, socket: net.Socket, first) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${request.headers.upgrade}\r\n\r\n`
      )
      socket.write(first)
      socket.pipe(socket)
    })
    await offerProgram(server)
    const client = connect().send(get("connection: upgrade\r\nupgrade: echo/1\r\n"))
    await client.receives(/upgrade: echo\/1\r\n\r\n$/)
    client.send("one two")
    await client.receives(/one two$/)
    client.socket.end()
    await client.closed
    expect(client.error).toBeUndefined()
    expect(outcome()).toEqual({
      outcome: { kind: "complete", status: 101 },
      bytesIn: 7,
      bytesOut: 7
    })
  })

  it("trailers, 1xx and pipelining pass", async () => {
    await offerProgram(
      http.createServer((request, response) => {
        response.writeEarlyHints({ link: "</style.css>" })
        response.writeHead(200, { trailer: "x-sum" })
        response.write(request.url)
        response.addTrailers({ "x-sum": "1" })
        response.end()
      })
    )
    const client = connect().send(get().replace("/ ", "/1 ") + get().replace("/ ", "/2 "))
    await client.receives(/\/2\r\n0\r\nx-sum: 1\r\n\r\n$/)
    expect(client.text.match(/HTTP\/1.1 \d+|^\/\d|x-sum: 1/gm)).toEqual([
      "HTTP/1.1 103",
      "HTTP/1.1 200",
      "/1",
      "x-sum: 1",
      "HTTP/1.1 103",
      "HTTP/1.1 200",
      "/2",
      "x-sum: 1"
    ])
  })

  it("a program that answers early ends the exchange", async () => {
    await offerProgram(
      http.createServer((_, response) => {
        response.statusCode = 413
        response.end("no")
      })
    )
    const client = connect().send(
      "POST / HTTP/1.1\r\nhost: payments.mesh\r\ncontent-length: 1000000\r\n\r\nxxx"
    )
    await client.receives(/2\r\n\r\nno$|no\r\n0\r\n\r\n$/)
    expect(outcome()).toMatchObject({ outcome: { kind: "complete", status: 413 } })
  })

  it("a raw TCP tunnel carries both halves on their own", async () => {
    await offerProgram(
      rawProgram((socket) => {
        let bytes = 0
        socket.on("data", (chunk) => {
          bytes += chunk.length
        })
        socket.on("end", () => socket.end(`got ${bytes}`))
      }),
      "tcp"
    )
    const tcp = await context.open(
      openTcpListener({ ...context.base, dispatch: inbound.dispatch, service: payments })
    )
    const client = new RawClient(tcp.address.port)
    client.socket.end(Buffer.alloc(5_000_000))
    await client.closed
    expect(client.text).toBe("got 5000000")
    expect(outcome()).toMatchObject({ bytesIn: 5_000_000, bytesOut: 11 })
  })

  it("requests that run while services are reloaded are all answered", async () => {
    const [a, b] = [await startProgram(echo()), await startProgram(echo())]
    cleanups.push(a.close, b.close)
    offer(a.port)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
    const ask = (): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        http
          .get(
            { port: listener.address.port, agent, headers: { host: "payments.mesh" } },
            (response) => response.resume().on("end", () => resolve(response.statusCode))
          )
          .on("error", reject)
      })
    const asked: Array<Promise<number | undefined>> = []
    for (let i = 0; i < 200; i++) {
      asked.push(ask())
      if (i % 10 === 0) offer(i % 20 === 0 ? b.port : a.port)
      if (i % 5 === 0) await turn()
    }
    expect(new Set(await Promise.all(asked))).toEqual(new Set([200]))
    agent.destroy()
    inbound.drain()
    await new Promise<void>((resolve) => inbound.whenIdle(resolve))
  })
})
