import type net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { noFields, type ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  exchange,
  freePort,
  HandTicker,
  payments,
  RecordingReceiver,
  rawProgram,
  startProgram,
  tcpCall
} from "../../testing/InboundFixture.ts"
import { TcpEndpoint } from "./TcpEndpoint.ts"

const cleanups: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const program = async (onSocket: (socket: net.Socket) => void) => {
  const app = await startProgram(rawProgram(onSocket))
  cleanups.push(app.close)
  return app
}

const endpointAt = (port: number) => {
  const ticker = new HandTicker()
  const endpoint = new TcpEndpoint({
    service: payments,
    host: "127.0.0.1",
    port,
    connectTimeout: 300,
    idleTimeout: 60_000,
    node: "host-a",
    ticker
  })
  const open = (receiver: ResponseReceiver, connectTimeout?: number) =>
    endpoint.open(tcpCall({ connectTimeout }), noFields, receiver)
  return { endpoint, ticker, open }
}

const gone: Fault = {
  code: "client_gone",
  message: "",
  node: "host-a",
  service: undefined,
  sent: true
}

describe("TcpEndpoint", () => {
  it("carries bytes both ways and answers after the caller's half is closed", async () => {
    const app = await program((socket) => {
      const chunks: Array<Buffer> = []
      socket.on("data", (chunk) => chunks.push(chunk))
      socket.on("end", () => socket.end(`got ${Buffer.concat(chunks).toString()}`))
    })
    const { open, endpoint, ticker } = endpointAt(app.port)
    const { text, fault } = await exchange((_, receiver) => open(receiver), tcpCall(), "all of it")
    expect(fault).toBeUndefined()
    expect(text).toBe("got all of it")
    while (endpoint.connections > 0) await new Promise(setImmediate)
    expect(ticker.timers).toBe(0)
  })

  it("goes on with the caller's half when the program has closed its own", async () => {
    let received = ""
    const app = await program((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.toString()
      })
      socket.end("the time is now")
    })
    const { open, endpoint } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    const stream = open(receiver)
    await receiver.done
    expect(receiver.text).toBe("the time is now")
    expect(stream.write(Buffer.from("late"))).toBe(true)
    stream.end(noFields)
    while (endpoint.connections > 0) await new Promise(setImmediate)
    expect(received).toBe("late")
  })

  it("tells a refused connection from a broken one", async () => {
    const refused = endpointAt(await freePort())
    const never = await exchange((_, receiver) => refused.open(receiver), tcpCall())
    expect(never.fault).toMatchObject({ code: "upstream_connect", sent: false })
    const app = await program((socket) => socket.once("data", () => socket.resetAndDestroy()))
    const broken = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    broken.open(receiver).write(Buffer.from("x"))
    await receiver.done
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
    expect(receiver.fault?.message).toContain("ECONNRESET, the program reset the connection")
  })

  it.each([
    ["its own limit, for a call that brings none", undefined, 300],
    ["the call's limit, where it is shorter", 120, 120],
    ["the call's limit, where it is longer", 900, 900]
  ])("gives up connecting after %s", async (_, connectTimeout, limit) => {
    const app = await program(() => undefined)
    const { open, ticker, endpoint } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    open(receiver, connectTimeout)
    // The connection is made in a later turn of the event loop: too late for this clock.
    ticker.advance(limit - 20)
    expect(ticker.timers).toBe(1)
    ticker.advance(30)
    await receiver.done
    expect(receiver.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(receiver.fault?.message).toContain(`no connection within ${limit} ms`)
    expect(endpoint.connections).toBe(0)
    expect(ticker.timers).toBe(0)
  })

  it("resets the program's side when cancelled, so that it sees no whole upload", async () => {
    const failed = Promise.withResolvers<Error>()
    const app = await program((socket) => {
      socket.on("error", failed.resolve)
      socket.on("data", () => socket.write("x"))
    })
    const { open, endpoint } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    const stream = open(receiver)
    stream.write(Buffer.from("half"))
    await receiver.until(() => receiver.bytes > 0)
    stream.cancel(gone)
    expect(await failed.promise).toMatchObject({ code: "ECONNRESET" })
    while (endpoint.connections > 0) await new Promise(setImmediate)
    expect(receiver.over).toBe(false)
  })

  it("ends a tunnel that has moved nothing for the idle timeout", async () => {
    const app = await program((socket) => socket.on("data", () => socket.write("y")))
    const { open, ticker } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    const stream = open(receiver)
    stream.write(Buffer.from("x"))
    await receiver.until(() => receiver.bytes === 1)
    ticker.advance(40_000)
    stream.write(Buffer.from("x"))
    await receiver.until(() => receiver.bytes === 2)
    ticker.advance(40_000)
    expect(receiver.over).toBe(false)
    ticker.advance(20_010)
    expect(receiver.fault).toMatchObject({ code: "upstream_timeout" })
    expect(ticker.timers).toBe(0)
  })

  it("stops reading while the caller says so", async () => {
    const size = 24 * 1024 * 1024
    const app = await program((socket) => socket.end(Buffer.alloc(size)))
    const { open } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    receiver.accept = false
    const stream = open(receiver)
    await receiver.until(() => receiver.bytes > 0)
    for (let i = 0; i < 200; i++) await new Promise(setImmediate)
    expect(receiver.bytes).toBeLessThanOrEqual(64 * 1024)
    receiver.accept = true
    stream.resume()
    await receiver.done
    expect(receiver.bytes).toBe(size)
  })

  it("holds back the caller while the program is not connected or does not read", async () => {
    const sockets: Array<net.Socket> = []
    const app = await program((socket) => sockets.push(socket.pause()))
    const { open } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    const stream = open(receiver)
    const chunk = Buffer.alloc(64 * 1024)
    const offered = 64 * 1024 * 1024
    let written = 0
    const pump = () => {
      do written += chunk.length
      while (stream.write(chunk) && written < offered)
    }
    pump()
    // What the kernel's buffers take, and then nothing.
    for (let quiet = 0, seen = 0; quiet < 200; quiet++) {
      await new Promise(setImmediate)
      if (receiver.writable === seen) continue
      seen = receiver.writable
      quiet = 0
      pump()
    }
    expect(written).toBeLessThan(offered)
    const seen = receiver.writable
    for (const socket of sockets) socket.resume()
    await receiver.until(() => receiver.writable > seen)
    stream.cancel(gone)
  })
})
