/** Programs of which nobody has said which HTTP they speak. */
import http from "node:http"
import http2 from "node:http2"
import type net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { type Call, noFields, type ResponseReceiver } from "../../model/Exchange.ts"
import {
  exchange,
  freePort,
  HandTicker,
  httpCall,
  type Program,
  payments,
  RecordingReceiver,
  rawProgram,
  self,
  startProgram,
  tcpCall
} from "../../testing/InboundFixture.ts"
import { turn } from "../../testing/ListenerFixture.ts"
import { MetricRegistry } from "../cells/Metrics.ts"
import { InboundMetrics } from "./InboundMetrics.ts"
import { LocalEndpoint } from "./LocalEndpoint.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const program = async (server: net.Server): Promise<Program> => {
  const started = await startProgram(server)
  cleanups.push(started.close)
  return started
}

const endpointAt = (port: number) => {
  const ticker = new HandTicker()
  const endpoint = new LocalEndpoint({
    service: { name: payments, protocol: "auto", endpoints: [], connectTimeout: 300 },
    address: { id: "0", host: "127.0.0.1", port, weight: 100 },
    ...{ node: self.node, ticker, metrics: new InboundMetrics(new MetricRegistry(), self.peer) }
  })
  cleanups.push(() => endpoint.retire())
  const dispatch = (call: Call, receiver: ResponseReceiver) =>
    endpoint.transport(call.kind).open(call, call.head?.fields ?? noFields, receiver)
  return { dispatch, endpoint, ticker }
}

const echo = (name: string) => (request: http.IncomingMessage, response: http.ServerResponse) => {
  response.write(`${name} `)
  request.pipe(response)
}
const ofOne = () => http.createServer(echo("one"))
const ofTwo = () =>
  http2.createServer((request, response) => {
    response.write("two ")
    request.pipe(response)
  })

/** HTTP/1.1, and no answer to anything else. */
const silentOne = () =>
  rawProgram((socket) =>
    socket.on("data", (bytes) => {
      if (bytes.toString().startsWith("GET /")) {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
      }
    })
  )

/** HTTP/2 that says nothing on any connection until it is let. */
const slowTwo = () => {
  const two = ofTwo()
  let silent: Array<() => void> | undefined = []
  const server = rawProgram((socket) => {
    const speak = () => void two.emit("connection", socket)
    if (silent === undefined) speak()
    else silent.push(speak)
  })
  return {
    server,
    silent: () => silent?.length ?? 0,
    hush: () => {
      silent = []
    },
    speak: () => {
      const those = silent ?? []
      silent = undefined
      for (const speak of those) speak()
    }
  }
}

const advance = async (ticker: HandTicker, by: number): Promise<void> => {
  ticker.advance(by)
  for (let i = 0; i < 5; i++) await turn()
}

const post = (body: string, change: Partial<Call> = {}) =>
  httpCall({ method: "POST", framing: { kind: "length", length: body.length } }, change)

describe("a program of which nobody has said which HTTP it speaks", () => {
  it.each([
    ["one", ofOne],
    ["two", ofTwo]
  ] as const)("is asked once, and called by what it speaks: %s", async (name, make) => {
    const app = await program(make())
    const { dispatch } = endpointAt(app.port)
    const body = "x".repeat(300_000)
    const [first, second] = await Promise.all([
      exchange(dispatch, post(body), body),
      exchange(dispatch, post("b"), "b")
    ])
    expect(first.text).toBe(`${name} ${body}`)
    expect(second.text).toBe(`${name} b`)
    const before = app.accepted()
    expect((await exchange(dispatch, post("c"), "c")).text).toBe(`${name} c`)
    expect(app.accepted()).toBe(before)
  })

  it("is asked again when it may have been replaced", async () => {
    const first = await startProgram(ofOne())
    const { port } = first
    const { dispatch, endpoint, ticker } = endpointAt(port)
    expect((await exchange(dispatch, post("a"), "a")).text).toBe("one a")
    await first.close()
    while (endpoint.status().connections > 0) await turn()
    expect((await exchange(dispatch, httpCall())).fault?.code).toBe("upstream_connect")
    ticker.advance(10_000)
    const second = ofTwo()
    await new Promise<void>((resolve) => second.listen(port, "127.0.0.1", resolve))
    cleanups.push(() => void second.close())
    expect((await exchange(dispatch, post("b"), "b")).text).toBe("two b")
  })

  it("that is not there is asked at each call until it is", async () => {
    const port = await freePort()
    const { dispatch } = endpointAt(port)
    const { fault } = await exchange(dispatch, httpCall())
    expect(fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(fault?.message).toContain("ECONNREFUSED, nothing listens there")
    const late = ofTwo()
    await new Promise<void>((resolve) => late.listen(port, "127.0.0.1", resolve))
    cleanups.push(() => void late.close())
    expect((await exchange(dispatch, post("b"), "b")).text).toBe("two b")
  })

  it("that says nothing to the question is called by HTTP/1.1, with the usual time of a request", async () => {
    const app = await program(silentOne())
    const { dispatch, ticker } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    dispatch(httpCall(), receiver).end(noFields)
    while (app.accepted() < 1) await turn()
    for (let i = 0; i < 5; i++) await turn()
    while (!receiver.over) await advance(ticker, 10)
    expect(receiver.text).toBe("ok")
    // Later ones wait for no answer.
    expect((await exchange(dispatch, httpCall())).text).toBe("ok")
  })

  it("that is slow to answer is called by what it speaks as soon as it has", async () => {
    const slow = slowTwo()
    const app = await program(slow.server)
    const { dispatch, ticker } = endpointAt(app.port)
    const early = new RecordingReceiver()
    dispatch(httpCall(), early).end(noFields)
    while (slow.silent() < 1) await turn()
    // The request goes by a guess, and the question stands.
    while (slow.silent() < 2) await advance(ticker, 10)
    slow.speak()
    await early.done
    while ((await exchange(dispatch, post("b"), "b")).text !== "two b") await advance(ticker, 10)
    // And not after 10 s, when it would be asked whether it is another.
    expect(ticker.now() - 1_000).toBeLessThan(1_000)
  })

  it("is believed to be what it was when it says nothing", async () => {
    const slow = slowTwo()
    const app = await program(slow.server)
    slow.speak()
    const { dispatch, endpoint, ticker } = endpointAt(app.port)
    expect((await exchange(dispatch, post("a"), "a")).text).toBe("two a")
    for (const socket of app.sockets) socket.destroy()
    while (endpoint.status().connections > 0) await turn()
    ticker.advance(10_000)
    slow.hush()
    const held = new RecordingReceiver()
    dispatch(httpCall(), held).end(noFields)
    while (slow.silent() < 1) await turn()
    // The question, and then the request's own connection, by what it spoke before.
    while (slow.silent() < 2) await advance(ticker, 10)
    slow.speak()
    await held.done
    expect(held.text).toBe("two ")
  })

  it("is another in the end, if it never answers any more", async () => {
    const first = await startProgram(ofTwo())
    const { port } = first
    const { dispatch, endpoint, ticker } = endpointAt(port)
    expect((await exchange(dispatch, post("a"), "a")).text).toBe("two a")
    await first.close()
    while (endpoint.status().connections > 0) await turn()
    ticker.advance(10_000)
    const second = silentOne()
    await new Promise<void>((resolve) => second.listen(port, "127.0.0.1", resolve))
    cleanups.push(() => void second.close())
    const call = () => httpCall({}, { deadline: 1_000 })
    for (;;) {
      const receiver = new RecordingReceiver()
      dispatch(call(), receiver).end(noFields)
      for (let i = 0; i < 100 && !receiver.over; i++) await advance(ticker, 10)
      if (receiver.text === "ok") break
      expect(ticker.now()).toBeLessThan(60_000)
    }
  })

  it("that closes at the question is not taken for what it is not", async () => {
    let closes = 1
    const two = ofTwo()
    const app = await program(
      rawProgram((socket) => {
        if (closes-- > 0) socket.destroy()
        else two.emit("connection", socket)
      })
    )
    const { dispatch, ticker } = endpointAt(app.port)
    await exchange(dispatch, post("a"), "a")
    for (;;) {
      const { text } = await exchange(dispatch, post("b"), "b")
      if (text === "two b") break
      await advance(ticker, 100)
    }
    expect(ticker.now()).toBeLessThan(5_000)
  })

  it("keeps nobody waiting longer than they want, and forgets who leaves", async () => {
    const app = await program(rawProgram((socket) => socket.resume()))
    const { dispatch, endpoint, ticker } = endpointAt(app.port)
    const short = new RecordingReceiver()
    dispatch(httpCall({}, { connectTimeout: 20 }), short).end(noFields)
    const gone = new RecordingReceiver()
    const leaving = dispatch(httpCall(), gone)
    expect(endpoint.status().waiting).toBe(2)
    const fault = { code: "client_gone", message: "", node: "", service: undefined, sent: false }
    leaving.cancel({ ...fault, code: "client_gone" })
    expect(endpoint.status().waiting).toBe(1)
    ticker.advance(20)
    await short.done
    expect(short.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(short.fault?.message).toContain("no connection within 20 ms")
    expect(endpoint.status().waiting).toBe(0)
    expect(gone.over).toBe(false)
  })

  it("carries tunnels without a question", async () => {
    const app = await program(rawProgram((socket) => socket.pipe(socket)))
    const { dispatch } = endpointAt(app.port)
    expect((await exchange(dispatch, tcpCall(), "all of it")).text).toBe("all of it")
    expect(app.accepted()).toBe(1)
  })
})
