/** A port whose clients may speak anything. */
import http2 from "node:http2"
import net from "node:net"
import tls from "node:tls"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import { payments } from "../../testing/InboundFixture.ts"
import { HoldingCallee, makeContext, RawClient, turn } from "../../testing/ListenerFixture.ts"
import { SocketBudget } from "../socket/SocketBudget.ts"
import { type HttpListener, openHttpListener } from "./HttpListener.ts"

const wait = 50

let context: ReturnType<typeof makeContext>
let callee: HoldingCallee
let listener: HttpListener
let isBytes: boolean
let sockets: SocketBudget
const clients: Array<RawClient> = []

beforeEach(async () => {
  context = makeContext()
  callee = new HoldingCallee()
  isBytes = false
  sockets = new SocketBudget(100, 0)
  listener = await context.open(
    openHttpListener({
      ...{ ...context.base, dispatch: callee.dispatch, fixedService: payments },
      ...{ maxConnections: 4, sockets: sockets.clients },
      detect: { wait, isBytes: () => isBytes }
    })
  )
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy()
  context.dispose()
})

const connect = (): RawClient => {
  const client = new RawClient(listener.address.port)
  clients.push(client)
  return client
}
const accepted = async (count: number): Promise<void> => {
  while (listener.connections < count) await turn()
}

describe("a port whose clients may speak anything", () => {
  it("takes HTTP/1.1 for what it is, request by request, also when it comes in crumbs", async () => {
    const client = connect()
    for (const byte of "GET /a HTTP/1.1\r\nHost: payments.mesh\r\n\r\n") {
      client.send(byte)
      await turn()
    }
    const first = await callee.next()
    expect(first.call).toMatchObject({ kind: "http", service: payments, head: { target: "/a" } })
    first.respond(200, "one")
    await client.receives(/one$/)
    client.send("GET /b HTTP/1.1\r\nHost: payments.mesh\r\n\r\n")
    const second = await callee.next()
    expect(second.call.head?.target).toBe("/b")
    second.respond(200, "two")
    await client.receives(/two$/)
    expect(listener.connections).toBe(1)
  })

  it("hands all of a large body on, no faster than it is taken", async () => {
    const body = "x".repeat(2_000_000)
    const client = connect()
    client.send(
      `POST / HTTP/1.1\r\nHost: payments.mesh\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    )
    const held = await callee.next()
    held.accept = false
    await held.until(() => held.chunks.length > 0)
    const before = held.text.length
    for (let i = 0; i < 20; i++) await turn()
    expect(held.text.length).toBeLessThan(before + 300_000)
    held.accept = true
    held.receiver.onWritable()
    await held.until(() => held.trailers !== undefined)
    expect(held.text).toBe(body)
  })

  it("takes HTTP/2 for what it is", async () => {
    const session = http2.connect(`http://127.0.0.1:${listener.address.port}`)
    const stream = session.request({ ":path": "/two", ":authority": "payments.mesh" })
    const held = await callee.next()
    expect(held.call).toMatchObject({ kind: "http", head: { target: "/two" } })
    held.respond(200, "of two")
    let text = ""
    for await (const chunk of stream) text += String(chunk)
    expect(text).toBe("of two")
    await new Promise<void>((resolve) => session.close(resolve))
  })

  it("sends TLS as it is to the service that it asks for, and else to its own", async () => {
    for (const [servername, service] of [
      ["orders.mesh", "orders"],
      ["Orders.MESH", "orders"],
      ["example.test", payments]
    ]) {
      const { port } = listener.address
      const client = tls.connect({ host: "127.0.0.1", port, servername: servername! })
      client.on("error", () => undefined)
      const held = await callee.next()
      expect(held.call).toMatchObject({ kind: "tcp", service, head: undefined })
      await held.until(() => held.chunks.length > 0)
      expect(Buffer.concat(held.chunks).subarray(0, 3)).toEqual(Buffer.from([22, 3, 1]))
      expect(held.text).toContain(servername)
      client.destroy()
      await held.until(() => held.cancelled !== undefined || held.trailers !== undefined)
    }
  })

  it("carries all the rest as it is, with its halves", async () => {
    for (const said of ["*1\r\n$4\r\nPING\r\n", "PING", "x"]) {
      const client = connect().send(said)
      client.socket.end()
      const held = await callee.next()
      expect(held.call).toMatchObject({ kind: "tcp", service: payments })
      await held.until(() => held.trailers !== undefined)
      expect(held.text).toBe(said)
      held.receiver.onData(Buffer.from("answer"))
      held.receiver.onEnd(noFields)
      await client.closed
      expect(client.text).toBe("answer")
      expect(client.error).toBeUndefined()
    }
    while (listener.connections > 0) await turn()
    expect(sockets.clients.held).toBe(0)
  })

  it("lets the server speak first to who says nothing", async () => {
    const client = connect()
    await accepted(1)
    context.ticker.advance(wait - 1)
    await turn()
    expect(callee.exchanges).toEqual([])
    context.ticker.advance(1)
    const held = await callee.next()
    expect(held.call.kind).toBe("tcp")
    held.receiver.onData(Buffer.from("220 ready"))
    await client.receives(/220 ready/)
    client.send("EHLO\r\n")
    await held.until(() => held.text === "EHLO\r\n")
  })

  it("waits longer for who has begun, and not for ever", async () => {
    connect().send("GE")
    await accepted(1)
    for (let i = 0; i < 20; i++) await turn()
    context.ticker.advance(9_000)
    await turn()
    expect(callee.exchanges).toEqual([])
    context.ticker.advance(1_100)
    const held = await callee.next()
    expect(held.call.kind).toBe("tcp")
    expect(held.text).toBe("GE")
  })

  it("takes what looks like HTTP for bytes where the service is one of bytes", async () => {
    isBytes = true
    connect().send("GET / HTTP/1.1\r\n")
    const held = await callee.next()
    expect(held.call.kind).toBe("tcp")
    await held.until(() => held.text === "GET / HTTP/1.1\r\n")
  })

  it("counts those that wait, and closes them when it drains or closes", async () => {
    const waiting = [connect(), connect(), connect(), connect()]
    await accepted(4)
    const fifth = connect()
    await fifth.end()
    expect(listener.connections).toBe(4)
    await listener.drain(1_000)
    await Promise.all(waiting.map((client) => client.end()))
    expect(callee.exchanges).toEqual([])
    expect(sockets.clients.held).toBe(0)
    expect(context.ticker.timers).toBe(0)
  })

  it("forgets who goes away before it has said anything", async () => {
    const client = net.connect(listener.address.port, "127.0.0.1")
    await accepted(1)
    client.resetAndDestroy()
    while (listener.connections > 0) await turn()
    expect(callee.exchanges).toEqual([])
    expect(sockets.clients.held).toBe(0)
  })
})
