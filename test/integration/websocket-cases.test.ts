/**
 * The cases of the Autobahn suite against `ws`, once directly and once through two nodes: what the
 * client receives must be the same, byte for byte, to the end of the connection.
 */
import { createHash } from "node:crypto"
import { createServer, type Server } from "node:http"
import { createRequire } from "node:module"
import { connect, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { webSocketCases } from "../conformance/WebSocketCases.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

/** What is used of `ws`, which comes with @effect/platform-node and has no types of its own. */
interface EchoSocket {
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): void
  on(event: "error", listener: () => void): void
  send(data: Buffer, options: { readonly binary: boolean }): void
}
interface EchoServer {
  on(event: "connection", listener: (socket: EchoSocket) => void): void
}
const require = createRequire(createRequire(import.meta.url).resolve("@effect/platform-node"))
const { WebSocketServer }: { WebSocketServer: new (options: object) => EchoServer } = require("ws")

const mesh = new TestMesh()
let host: Host
let server: Server
let directPort = 0
let meshPort = 0

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const handshake = (authority: string): string =>
  `GET /echo HTTP/1.1\r\nHost: ${authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`

interface Transcript {
  readonly status: string
  readonly accept: string | undefined
  /** All after the handshake. */
  readonly bytes: Buffer
}

/** Sends the frames once the handshake is through; `size` bytes a write, or all in one. */
const play = (port: number, frames: Buffer, size = frames.length): Promise<Transcript> =>
  new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true })
    const chunks: Array<Buffer> = []
    let head = ""
    socket.setTimeout(15_000, () => socket.destroy(new Error("nothing came for 15 s")))
    const send = (from: number) => {
      if (from >= frames.length || socket.destroyed) return
      socket.write(frames.subarray(from, from + size))
      if (from + size < frames.length) setImmediate(() => send(from + size))
    }
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk)
      if (head !== "") return
      const text = Buffer.concat(chunks).toString("latin1")
      const end = text.indexOf("\r\n\r\n")
      if (end === -1) return
      head = text.slice(0, end + 4)
      send(0)
    })
    // A server that refuses a frame may close while we still send: what it said counts.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "ECONNRESET") reject(error)
    })
    socket.on("close", () =>
      resolve({
        status: head.split("\r\n")[0] ?? "",
        accept: /^sec-websocket-accept: (.*)\r$/im.exec(head)?.[1],
        bytes: Buffer.concat(chunks).subarray(head.length)
      })
    )
    socket.write(handshake("echo.mesh"))
  })

beforeAll(async () => {
  directPort = await freePort()
  meshPort = await freePort()
  server = createServer()
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
    socket.on("error", () => undefined) // told to the client by a close frame
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  await new Promise<void>((resolve) => server.listen(directPort, "127.0.0.1", resolve))
  host = await mesh.first("host-a", {
    upstreams: [{ service: "echo", listen: `127.0.0.1:${meshPort}`, protocol: "http" }]
  })
  await mesh.join("host-b", { services: [{ name: "echo", address: `127.0.0.1:${directPort}` }] })
  await until("echo is reachable", async () =>
    (await play(meshPort, webSocketCases["closing"]![0]!.bytes)).status.includes("101")
      ? true
      : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  server.closeAllConnections()
  server.close()
  await stopAll()
})

/** By digest where it is long: nobody reads a difference of megabytes. */
const shown = (bytes: Buffer): string =>
  bytes.length <= 200
    ? bytes.toString("hex")
    : `${bytes.length} bytes, ${createHash("sha256").update(bytes).digest("hex")}`

const chopped = 1_000

describe.each(Object.entries(webSocketCases))("WebSocket: %s", (_group, cases) => {
  it.each(cases)("$name", async ({ bytes }) => {
    const direct = await play(directPort, bytes)
    expect(direct.status).toMatch(/^HTTP\/1.1 101 /)
    expect(direct.bytes.length).toBeGreaterThan(0)
    const ways: Array<Promise<Transcript>> = [play(meshPort, bytes)]
    if (bytes.length <= chopped) ways.push(play(meshPort, bytes, 1))
    if (bytes.length > chopped) ways.push(play(Number(host.proxy.split(":")[1]), bytes, 9_973))
    for (const through of await Promise.all(ways)) {
      expect(through.status).toMatch(/^HTTP\/1.1 101 /)
      expect(through.accept).toBe(direct.accept)
      expect(shown(through.bytes)).toBe(shown(direct.bytes))
    }
  })
})
