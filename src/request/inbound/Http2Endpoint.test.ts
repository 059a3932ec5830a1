/** Connections to programs of HTTP/2 that say nothing, or that they take nothing. */
import { once } from "node:events"
import http2 from "node:http2"
import net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import {
  HandTicker,
  httpCall,
  payments,
  RecordingReceiver,
  startProgram,
  Watched
} from "../../testing/InboundFixture.ts"
import { SocketBudget } from "../socket/SocketBudget.ts"
import { Http2Endpoint } from "./Http2Endpoint.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const left: Fault = {
  ...{ code: "client_gone", message: "the client has left", node: "host-a" },
  ...{ service: payments, sent: false }
}

/** What has happened to the connections of a program. */
class Connections extends Watched {
  made = 0
  spokenOn = 0
  closed = 0
  count(what: "made" | "spokenOn" | "closed"): void {
    this[what]++
    this.happened()
  }
}

const endpointOf = async (server: net.Server) => {
  const connections = new Connections()
  server.on("connection", (socket: net.Socket) => {
    connections.count("made")
    socket.once("data", () => connections.count("spokenOn"))
    socket.on("close", () => connections.count("closed"))
    socket.on("error", () => undefined)
  })
  const program = await startProgram(server)
  cleanups.push(program.close)
  const ticker = new HandTicker()
  const sockets = new SocketBudget().programs
  const failures = { connect: 0 }
  const endpoint = new Http2Endpoint({
    ...{ service: payments, host: "127.0.0.1", port: program.port, node: "host-a", ticker },
    ...{ connectTimeout: 300, idleTimeout: 30_000, grpc: false, sockets },
    onConnectFailure: () => failures.connect++
  })
  cleanups.push(() => endpoint.retire())
  const call = () => {
    const receiver = new RecordingReceiver()
    const stream = endpoint.open(httpCall(), noFields, receiver)
    stream.end(noFields)
    return { receiver, leave: () => stream.cancel(left) }
  }
  return { call, connections, endpoint, failures, sockets, ticker }
}

/** Accepts, as the kernel does for a program that was stopped. */
const silent = (): net.Server => net.createServer((socket) => socket.resume())

/** SETTINGS with MAX_CONCURRENT_STREAMS = 0. */
const noStreams = Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0])

describe("a program that accepts connections and says nothing", () => {
  it("collects no requests that were cancelled, and no connections for them", async () => {
    const { call, connections, endpoint, sockets } = await endpointOf(silent())
    for (let i = 0; i < 300; i++) call().leave()
    await connections.until(() => connections.spokenOn === 1)
    for (let i = 0; i < 300; i++) call().leave()
    expect(endpoint.connections).toBe(1)
    endpoint.retire()
    await connections.until(() => connections.closed === 1)
    await expect.poll(() => endpoint.connections).toBe(0)
    expect(connections.made).toBe(1)
    expect(sockets.held).toBe(0)
  })

  it("is not waited for longer than for a connection: the call may go elsewhere", async () => {
    const { call, connections, endpoint, failures, ticker } = await endpointOf(silent())
    const { receiver } = call()
    call().leave()
    await connections.until(() => connections.spokenOn === 1)
    expect(receiver.over).toBe(false)
    ticker.advance(400)
    await receiver.until(() => receiver.over)
    expect(receiver.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(receiver.fault?.message).toMatch(/accepted, but no SETTINGS within 300 ms/)
    expect(endpoint.connections).toBe(0)
    expect(failures.connect).toBe(1)
  })

  it("is no failure of its own where nobody has waited for it", async () => {
    const { call, connections, endpoint, failures, ticker } = await endpointOf(silent())
    call().leave()
    await connections.until(() => connections.spokenOn === 1)
    ticker.advance(400)
    await connections.until(() => connections.closed === 1)
    await expect.poll(() => endpoint.connections).toBe(0)
    expect(failures.connect).toBe(0)
  })
})

describe("a program that says it takes no streams", () => {
  it("has one connection, on which calls wait in their time until it takes some", async () => {
    const server = http2.createServer({ settings: { maxConcurrentStreams: 0 } })
    server.on("stream", (stream) => {
      stream.respond({ ":status": 200 })
      stream.end("taken")
    })
    const begun = once(server, "session")
    const { call, connections, endpoint, ticker } = await endpointOf(server)
    const early = call()
    const [session]: Array<http2.ServerHttp2Session> = await begun
    // Said, read and acknowledged.
    await once(session!, "localSettings")
    const late = call()
    expect([endpoint.connections, endpoint.waiting]).toEqual([1, 2])
    ticker.advance(400)
    for (const { receiver } of [early, late]) {
      await receiver.until(() => receiver.over)
      expect(receiver.fault).toMatchObject({ code: "overflow", sent: false })
      expect(receiver.fault?.message).toContain("MAX_CONCURRENT_STREAMS = 0")
    }
    const taken = call()
    session!.settings({ maxConcurrentStreams: 5 })
    await taken.receiver.until(() => taken.receiver.over)
    expect(taken.receiver.head?.status).toBe(200)
    expect(connections.made).toBe(1)
  })

  it("does not keep it past the calls that wait, once the endpoint is retired", async () => {
    const server = http2.createServer({ settings: { maxConcurrentStreams: 0 } })
    const begun = once(server, "session")
    const { call, connections, endpoint, sockets, ticker } = await endpointOf(server)
    const { receiver } = call()
    const [session]: Array<http2.ServerHttp2Session> = await begun
    await once(session!, "localSettings")
    // Said once more, it means the same.
    session!.settings({ maxConcurrentStreams: 0 })
    await once(session!, "localSettings")
    call().leave()
    expect(connections.made).toBe(1)
    const again = once(server, "session")
    endpoint.retire()
    // Who waits has another try.
    const [second]: Array<http2.ServerHttp2Session> = await again
    await once(second!, "localSettings")
    ticker.advance(400)
    await receiver.until(() => receiver.over)
    await connections.until(() => connections.closed === connections.made)
    await expect.poll(() => endpoint.connections).toBe(0)
    expect([connections.made, sockets.held]).toEqual([2, 0])
  })

  it("and closes has three for a call, and not all there may be", async () => {
    const server = net.createServer((socket) => {
      socket.resume()
      socket.end(noStreams)
    })
    const { call, connections, endpoint } = await endpointOf(server)
    const { receiver } = call()
    await receiver.until(() => receiver.over)
    expect(receiver.fault).toMatchObject({ code: "overflow", sent: false })
    expect(receiver.fault?.message).toContain("on 3 new connections")
    await expect.poll(() => endpoint.connections).toBe(0)
    expect(connections.made).toBe(3)
  })
})
