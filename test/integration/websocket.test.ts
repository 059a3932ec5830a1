/** WebSocket through two nodes, with the client that comes with the runtime. */
import { randomBytes } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, start, stopAll, until } from "../fixtures/Processes.ts"
import { frame, opcodes, type WebSocketApp, webSocketApp } from "../fixtures/WebSocketApp.ts"

/** `timeout.tcpIdle` of the service whose tunnels go quiet, in milliseconds. */
const idle = 400

const mesh = new TestMesh()
const big = randomBytes(5 * 1024 * 1024)
let app: WebSocketApp
let a: Host
let b: Host
let port: number
let idlePort: number

const open = (path: string, at = port): Promise<WebSocket> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${at}${path}`)
    socket.binaryType = "arraybuffer"
    socket.addEventListener("open", () => resolve(socket))
    socket.addEventListener("error", () => reject(new Error(`no WebSocket at ${path}`)))
  })

const nextMessage = (socket: WebSocket): Promise<string | Buffer> =>
  new Promise((resolve, reject) => {
    socket.addEventListener(
      "message",
      ({ data }) => resolve(data instanceof ArrayBuffer ? Buffer.from(data) : String(data)),
      { once: true }
    )
    socket.addEventListener("close", ({ code }) => reject(new Error(`closed: ${code}`)), {
      once: true
    })
  })

/** By memcmp: to compare megabytes element by element takes vitest half a minute. */
const isSame = (a: string | Buffer, b: string | Buffer): boolean =>
  Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b

const closing = (socket: WebSocket): Promise<{ code: number; reason: string }> =>
  new Promise((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }))
  })

beforeAll(async () => {
  app = await webSocketApp({
    onOpen: (path, socket) => {
      if (path === "/fragments") {
        const part = (i: number) => big.subarray((i * big.length) / 4, ((i + 1) * big.length) / 4)
        socket.write(frame(opcodes.binary, part(0), false))
        // Control frames may come between the fragments of a message.
        socket.write(frame(opcodes.ping, Buffer.from("between")))
        socket.write(frame(opcodes.continuation, part(1), false))
        socket.write(frame(opcodes.continuation, part(2), false))
        socket.write(frame(opcodes.continuation, part(3)))
      }
      if (path === "/close") {
        socket.end(
          frame(opcodes.close, Buffer.from([4001 >> 8, 4001 & 0xff, ...Buffer.from("done")]))
        )
      }
      if (path === "/kill") socket.resetAndDestroy()
    }
  })
  port = await freePort()
  idlePort = await freePort()
  a = await mesh.first("host-a", {
    upstreams: [
      { service: "chat", listen: `127.0.0.1:${port}`, protocol: "http" },
      { service: "quiet", listen: `127.0.0.1:${idlePort}`, protocol: "http" }
    ],
    policies: { quiet: { timeout: { tcpIdle: `${idle}ms` } } }
  })
  b = await mesh.join("host-b", {
    services: [
      { name: "chat", address: app.address },
      { name: "quiet", address: app.address }
    ]
  })
  await until("host-a knows the services", async () => {
    const known = JSON.stringify(await a.api("services"))
    return known.includes("chat") && known.includes("quiet") ? true : undefined
  })
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

describe("messages", () => {
  it("text, binary and empty ones come back as they were sent, in order", async () => {
    const socket = await open("/echo")
    for (const message of ["grüße", "", randomBytes(70_000), big]) {
      const answer = nextMessage(socket)
      socket.send(message)
      expect(isSame(await answer, message)).toBe(true)
    }
    const numbers: Array<string> = []
    const all = new Promise<void>((resolve) => {
      socket.addEventListener("message", ({ data }) => {
        if (numbers.push(String(data)) === 500) resolve()
      })
    })
    for (let i = 0; i < 500; i++) socket.send(String(i))
    await all
    expect(numbers).toEqual(Array.from({ length: 500 }, (_, i) => String(i)))
    socket.close()
  })

  it("a message in fragments, with a ping between them, that begins with the handshake", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/fragments`)
    socket.binaryType = "arraybuffer"
    expect(isSame(await nextMessage(socket), big)).toBe(true)
    await until("the pong", () => (app.pongs.includes("between") ? true : undefined))
    socket.close()
  })
})

describe("the end", () => {
  it("the program's close code and reason reach the client", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/close`)
    expect(await closing(socket)).toEqual({ code: 4001, reason: "done" })
  })

  it("the client's close code reaches the program", async () => {
    const socket = await open("/echo")
    socket.close(4321, "bye")
    expect(await closing(socket)).toMatchObject({ code: 4321 })
    await until("the program was told", () => (app.closed.includes(4321) ? true : undefined))
  })

  it("a program that breaks off: the client knows that it was no good end", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/kill`)
    expect((await closing(socket)).code).toBe(1006)
  })

  it("a client killed in mid-conversation: the program is let go", async () => {
    await until("all others are gone", () => (app.open() === 0 ? true : undefined))
    const script = `const s = new WebSocket("ws://127.0.0.1:${port}/echo"); s.onopen = () => s.send("x"); s.onmessage = () => console.log("talking")`
    const client = start(process.execPath, ["-e", script])
    await until("talking", () => (client.output().includes("talking") ? true : undefined))
    expect(app.open()).toBe(1)
    await client.stop("SIGKILL")
    await until("the program is let go", () => (app.open() === 0 ? true : undefined))
  })

  it("one in which nothing moves is ended at both ends, by timeout.tcpIdle", async () => {
    const socket = await open("/echo", idlePort)
    expect((await closing(socket)).code).toBe(1006)
    await until("the program is let go", () => (app.open() === 0 ? true : undefined))
  })

  it("the program's node killed: the client knows at once", async () => {
    const socket = await open("/echo")
    const closed = closing(socket)
    await b.kill()
    expect((await closed).code).toBe(1006)
  })
})
