/** WebSockets over HTTP/2 at a listener: node:http2 on one side, the mesh by hand on the other. */
import { createHash } from "node:crypto"
import http2 from "node:http2"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { fieldValue, noFields } from "../../model/Exchange.ts"
import { ServiceName } from "../../model/Names.ts"
import {
  type HeldExchange,
  HoldingCallee,
  makeContext,
  responseHead
} from "../../testing/ListenerFixture.ts"
import { openHttpListener } from "./HttpListener.ts"

const context = makeContext()
let callee: HoldingCallee
let client: http2.ClientHttp2Session

beforeEach(async () => {
  callee = new HoldingCallee()
  const { address } = await context.open(
    openHttpListener({
      ...context.base,
      dispatch: callee.dispatch,
      fixedService: ServiceName.make("chat")
    })
  )
  client = http2.connect(`http://127.0.0.1:${address.port}`)
  await new Promise((resolve) => client.once("remoteSettings", resolve))
})

afterEach(() => {
  client.destroy()
  context.dispose()
})

const ask = (change: http2.OutgoingHttpHeaders = {}): http2.ClientHttp2Stream => {
  const stream = client.request({
    ...{ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/chat?x=1" },
    ...{ "sec-websocket-version": "13", "sec-websocket-protocol": "v1" },
    ...change
  })
  stream.on("error", () => undefined)
  return stream
}

type Head = http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader
const headOf = (stream: http2.ClientHttp2Stream): Promise<Head> =>
  new Promise((resolve) => stream.once("response", resolve))
const closeOf = (stream: http2.ClientHttp2Stream): Promise<number> =>
  new Promise((resolve) => stream.once("close", () => resolve(stream.rstCode)))
const textOf = async (stream: http2.ClientHttp2Stream): Promise<string> => {
  let text = ""
  for await (const chunk of stream) text += String(chunk)
  return text
}
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise(setImmediate)
}

const proofOf = (held: HeldExchange): string =>
  createHash("sha1")
    .update(
      `${fieldValue(held.call.head?.fields ?? [], "sec-websocket-key")}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    )
    .digest("base64")

const accept = (held: HeldExchange, proof = proofOf(held)): void =>
  held.receiver.onHead(
    responseHead(101, undefined, {
      upgrade: "websocket",
      fields: ["sec-websocket-accept", proof, "sec-websocket-protocol", "v1"]
    })
  )

describe("a WebSocket over HTTP/2", () => {
  it("is one over HTTP/1.1 to the mesh", async () => {
    const stream = ask({ "sec-websocket-key": "a client's own" })
    const held = await callee.next()
    expect(held.call.kind).toBe("http")
    expect(held.call.head).toMatchObject({
      ...{ method: "GET", target: "/chat?x=1", upgrade: "websocket", framing: { kind: "none" } }
    })
    const fields = held.call.head?.fields ?? []
    expect(Buffer.from(fieldValue(fields, "sec-websocket-key") ?? "", "base64")).toHaveLength(16)
    expect(fields.filter((text) => text === "sec-websocket-key")).toHaveLength(1)
    expect(fieldValue(fields, "sec-websocket-version")).toBe("13")
    accept(held)
    const head = await headOf(stream)
    expect(head[":status"]).toBe(200)
    expect(head["sec-websocket-protocol"]).toBe("v1")
    expect(head["sec-websocket-accept"]).toBeUndefined()
    held.receiver.onData(Buffer.from("welcome"))
    stream.write("hello")
    await until(() => held.text === "hello")
    stream.end()
    await until(() => held.trailers !== undefined)
    // The other half goes on.
    held.receiver.onData(Buffer.from(" and goodbye"))
    held.receiver.onEnd(noFields)
    expect(await textOf(stream)).toBe("welcome and goodbye")
  })

  it("waits with what its client sends ahead", async () => {
    const stream = ask()
    stream.write("early")
    const held = await callee.next()
    stream.end(" and over")
    // All of it is there once a request after it is.
    client.request({ ":path": "/after" })
    await callee.next()
    expect(held.chunks).toEqual([])
    expect(held.trailers).toBeUndefined()
    accept(held)
    await until(() => held.trailers !== undefined)
    expect(held.text).toBe("early and over")
    held.receiver.onEnd(noFields)
    expect(await closeOf(stream)).toBe(http2.constants.NGHTTP2_NO_ERROR)
  })

  it("that the program refuses is answered so, and what comes after is dropped", async () => {
    const stream = ask()
    stream.write("early")
    const held = await callee.next()
    held.receiver.onHead(responseHead(403, 2))
    held.receiver.onData(Buffer.from("no"))
    held.receiver.onEnd(noFields)
    expect((await headOf(stream))[":status"]).toBe(403)
    expect(await textOf(stream)).toBe("no")
    expect(held.chunks).toEqual([])
  })

  it.each([
    ["200 in place of 101", (held: HeldExchange) => held.receiver.onHead(responseHead(200, 0))],
    ["a wrong proof", (held: HeldExchange) => accept(held, "wrong")],
    [
      "another protocol",
      (held: HeldExchange) => held.receiver.onHead(responseHead(101, undefined, { upgrade: "x" }))
    ]
  ])("is none with %s", async (_, answer) => {
    const stream = ask()
    const held = await callee.next()
    answer(held)
    const head = await headOf(stream)
    expect(head[":status"]).toBe(502)
    expect(head["skein-error"]).toBe("upstream_reset")
    expect(held.cancelled?.code).toBe("upstream_reset")
  })

  it("for which nobody is there is told so", async () => {
    const stream = ask()
    const held = await callee.next()
    held.receiver.onFault({
      ...{ code: "upstream_connect", message: "nobody", node: "host-b", sent: false },
      service: undefined
    })
    expect((await headOf(stream))[":status"]).toBe(503)
    stream.resume()
    await closeOf(stream)
  })

  it("breaks off with its other side", async () => {
    const stream = ask()
    const held = await callee.next()
    accept(held)
    await headOf(stream)
    held.receiver.onFault({
      ...{ code: "upstream_reset", message: "broke off", node: "host-b", sent: true },
      service: undefined
    })
    expect(await closeOf(stream)).toBe(http2.constants.NGHTTP2_CONNECT_ERROR)
    const other = ask()
    const next = await callee.next()
    accept(next)
    await headOf(other)
    other.close(http2.constants.NGHTTP2_CANCEL)
    await until(() => next.cancelled !== undefined)
  })

  it("for another protocol is not carried", async () => {
    const stream = ask({ ":protocol": "connect-udp" })
    const head = await headOf(stream)
    expect(head[":status"]).toBe(501)
    expect(head["skein-error"]).toBe("not_implemented")
    expect(callee.exchanges).toEqual([])
  })
})
