import http from "node:http"
import type net from "node:net"
import { afterEach, describe, expect, it, vi } from "vitest"
import { hostCaller, serviceCaller } from "../../model/Caller.ts"
import {
  type Call,
  type Fields,
  noFields,
  type ResponseReceiver,
  streamBody
} from "../../model/Exchange.ts"
import { NodeName, ServiceName } from "../../model/Names.ts"
import {
  exchange,
  freePort,
  HandTicker,
  httpCall,
  type Program,
  payments,
  RecordingReceiver,
  rawProgram,
  startProgram
} from "../../testing/InboundFixture.ts"
import type { EndpointStream } from "./EndpointStream.ts"
import { HttpEndpoint, type HttpEndpointOptions } from "./HttpEndpoint.ts"
import { OwnConnectionPlaces } from "./Places.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const program = async (server: net.Server): Promise<Program> => {
  const started = await startProgram(server)
  cleanups.push(started.close)
  return started
}

const endpointAt = (port: number, change: Partial<HttpEndpointOptions> = {}) => {
  const ticker = new HandTicker()
  const counts = { connectFailures: 0, staleRetries: 0 }
  const endpoint = new HttpEndpoint({
    service: payments,
    host: "127.0.0.1",
    port,
    connectTimeout: 300,
    idleTimeout: 30_000,
    node: "host-a",
    ticker,
    onConnectFailure: () => counts.connectFailures++,
    onStaleRetry: () => counts.staleRetries++,
    ...change
  })
  cleanups.push(() => endpoint.retire())
  const dispatch = (call: Call, receiver: ResponseReceiver): EndpointStream =>
    endpoint.open(call, call.head?.fields ?? noFields, receiver)
  return { endpoint, ticker, counts, dispatch }
}

/** Resolves when the program has received bytes that match. */
const received = (socket: net.Socket, pattern: RegExp): Promise<string> =>
  new Promise((resolve) => {
    let text = ""
    const look = (chunk: Buffer) => {
      text += chunk.toString("latin1")
      if (!pattern.test(text)) return
      socket.off("data", look)
      resolve(text)
    }
    socket.on("data", look)
  })

const onceConnected = (server: net.Server): Promise<net.Socket> =>
  new Promise((resolve) => server.once("connection", resolve))

/** For one connection. */
const onePlace = () => new OwnConnectionPlaces(1, 1_024)

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

describe("HttpEndpoint", () => {
  it("sends requests over one kept connection", async () => {
    const app = await program(
      http.createServer((request, response) => {
        response.end(`${request.method} ${request.url} ${request.headers.host}`)
      })
    )
    const { endpoint, dispatch } = endpointAt(app.port)
    for (const target of ["/a", "/b", "/c"]) {
      const { head, text } = await exchange(dispatch, httpCall({ target }))
      expect(head?.status).toBe(200)
      expect(text).toBe(`GET ${target} payments.mesh`)
    }
    expect(app.accepted()).toBe(1)
    expect(endpoint.connections).toBe(1)
    expect(endpoint.idleConnections).toBe(1)
  })

  it("carries bodies with a length and chunked ones with trailers, both ways", async () => {
    const app = await program(
      http.createServer((request, response) => {
        response.setHeader("trailer", "x-sum")
        request.on("data", (chunk) => response.write(chunk))
        request.on("end", () => {
          response.addTrailers({ "x-sum": String(request.trailers["x-in"] ?? "none") })
          response.end()
        })
      })
    )
    const { dispatch, endpoint } = endpointAt(app.port)
    const length = await exchange(
      dispatch,
      httpCall({ method: "POST", framing: { kind: "length", length: 5 } }),
      "hello"
    )
    expect(length.text).toBe("hello")
    const receiver = new RecordingReceiver()
    const stream = dispatch(httpCall({ method: "POST", framing: streamBody }), receiver)
    stream.write(Buffer.from("hel"))
    stream.write(Buffer.alloc(0))
    stream.write(Buffer.from("lo"))
    stream.end(["x-in", "5"])
    await receiver.done
    expect(receiver.text).toBe("hello")
    expect(receiver.trailers).toEqual(["x-sum", "5"])
    expect(app.accepted()).toBe(1)
    expect(endpoint.idleConnections).toBe(1)
  })

  it("knows that no body follows HEAD, 204 and 304", async () => {
    const app = await program(
      http.createServer((request, response) => {
        const status = Number(request.url?.slice(1))
        response.writeHead(status, status === 200 ? { "content-length": "1000" } : {})
        response.end()
      })
    )
    const { dispatch } = endpointAt(app.port)
    const head = await exchange(dispatch, httpCall({ method: "HEAD", target: "/200" }))
    expect(head.head?.framing).toEqual({ kind: "length", length: 1000 })
    expect(head.bytes).toBe(0)
    for (const target of ["/204", "/304"]) {
      const { fault, bytes } = await exchange(dispatch, httpCall({ target }))
      expect(fault).toBeUndefined()
      expect(bytes).toBe(0)
    }
    expect(app.accepted()).toBe(1)
  })

  it("takes a body that ends with the connection, and does not use that connection again", async () => {
    const app = await program(
      rawProgram((socket) => {
        socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nto the end"))
      })
    )
    const { dispatch, endpoint } = endpointAt(app.port)
    for (let i = 0; i < 2; i++) {
      const { text, fault } = await exchange(dispatch, httpCall())
      expect(fault).toBeUndefined()
      expect(text).toBe("to the end")
    }
    expect(app.accepted()).toBe(2)
    expect(endpoint.idleConnections).toBe(0)
  })

  it("passes 1xx on and lets the program decide about 100-continue", async () => {
    const server = rawProgram(() => undefined)
    const app = await program(server)
    const { dispatch } = endpointAt(app.port)
    const connected = onceConnected(server)
    const receiver = new RecordingReceiver()
    const stream = dispatch(
      httpCall({ method: "PUT", framing: { kind: "length", length: 2 }, expectsContinue: true }),
      receiver
    )
    const socket = await connected
    expect(await received(socket, /\r\n\r\n/)).toContain("expect: 100-continue")
    socket.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    await receiver.until(() => receiver.infos.length === 2)
    expect(receiver.infos.map(({ status }) => status)).toEqual([103, 100])
    const body = received(socket, /hi/)
    stream.write(Buffer.from("hi"))
    stream.end(noFields)
    await body
    socket.write(ok)
    await receiver.done
    expect(receiver.text).toBe("ok")
  })

  it("switches to a tunnel with 101, which half-closes", async () => {
    const server = rawProgram(() => undefined)
    const app = await program(server)
    const { dispatch } = endpointAt(app.port)
    const connected = onceConnected(server)
    const receiver = new RecordingReceiver()
    const stream = dispatch(httpCall({ upgrade: "websocket" }), receiver)
    const socket = await connected
    expect(await received(socket, /\r\n\r\n/)).toMatch(/connection: upgrade\r\nupgrade: websocket/)
    socket.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst")
    await receiver.until(() => receiver.text === "first")
    const ended = new Promise((resolve) => socket.once("end", resolve))
    const echoed = received(socket, /ping/)
    stream.write(Buffer.from("ping"))
    await echoed
    stream.end(noFields)
    await ended
    socket.end("last")
    await receiver.done
    expect(receiver.text).toBe("firstlast")
    expect(receiver.fault).toBeUndefined()
  })

  it("refuses a switch nobody asked for", async () => {
    const app = await program(
      rawProgram((socket) => {
        socket.once("data", () =>
          socket.write("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
        )
      })
    )
    const { dispatch } = endpointAt(app.port)
    const { fault } = await exchange(dispatch, httpCall())
    expect(fault).toMatchObject({ code: "upstream_reset", sent: true })
  })

  it("says that nothing was sent when the program does not listen", async () => {
    const port = await freePort()
    const { dispatch, counts, endpoint } = endpointAt(port)
    const { fault } = await exchange(dispatch, httpCall({ method: "POST" }))
    expect(fault).toMatchObject({ code: "upstream_connect", sent: false, node: "host-a" })
    expect(fault?.message).toBe(
      `the program of payments at 127.0.0.1:${port} could not be connected to: ECONNREFUSED, nothing listens there`
    )
    expect(counts.connectFailures).toBe(1)
    expect(endpoint.connections).toBe(0)
  })

  // A connection is made in a later turn of the event loop; where the clock is moved before that,
  // the program has not accepted in time.
  it.each([
    ["its own limit, for a call that brings none", undefined, 300],
    ["the call's limit, where it is shorter", 120, 120],
    ["the call's limit, where it is longer", 900, 900]
  ])("gives up connecting after %s", async (_, connectTimeout, limit) => {
    const app = await program(rawProgram(() => undefined))
    const { dispatch, ticker, counts, endpoint } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    dispatch(httpCall({}, { connectTimeout }), receiver).end(noFields)
    ticker.advance(limit - 20)
    expect(counts.connectFailures).toBe(0)
    ticker.advance(30)
    await receiver.done
    expect(receiver.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(receiver.fault?.message).toContain(`no connection within ${limit} ms`)
    expect(counts.connectFailures).toBe(1)
    expect(endpoint.connections).toBe(0)
    expect(ticker.timers).toBe(0)
  })

  it("gives up each connection for the request it was made for, and for no other", async () => {
    const app = await program(http.createServer((_, response) => response.end("ok")))
    const { dispatch, ticker } = endpointAt(app.port)
    const hasty = new RecordingReceiver()
    dispatch(httpCall({}, { connectTimeout: 50 }), hasty).end(noFields)
    const patient = new RecordingReceiver()
    dispatch(httpCall({}, { connectTimeout: 500 }), patient).end(noFields)
    ticker.advance(60)
    await Promise.all([hasty.done, patient.done])
    expect(hasty.fault?.code).toBe("upstream_connect")
    expect(patient.text).toBe("ok")
  })

  it("counts the wait for a free connection against the call's limit", async () => {
    const server = rawProgram(() => undefined)
    const app = await program(server)
    const { dispatch, ticker, endpoint } = endpointAt(app.port, { places: onePlace() })
    const connected = onceConnected(server)
    const first = new RecordingReceiver()
    const busy = dispatch(httpCall(), first)
    await received(await connected, /GET/)
    const [hasty, patient] = [new RecordingReceiver(), new RecordingReceiver()]
    dispatch(httpCall({}, { connectTimeout: 100 }), hasty).end(noFields)
    dispatch(httpCall({}, { connectTimeout: 500 }), patient).end(noFields)
    ticker.advance(110)
    expect(hasty.fault).toMatchObject({ code: "overflow", sent: false })
    expect(hasty.fault?.message).toContain("1 connections in use and none came free within 100 ms")
    expect(endpoint.waiting).toBe(1)
    ticker.advance(290)
    const after = vi.spyOn(ticker, "after")
    const gone = { code: "client_gone", message: "", node: "", service: undefined } as const
    busy.cancel({ ...gone, sent: true })
    while (endpoint.waiting > 0) await new Promise(setImmediate)
    // Its place is free; to connect there are 100 ms left of the 500.
    expect(after.mock.calls.map(([delay]) => delay)).toEqual([100])
    while (app.accepted() < 2) await new Promise(setImmediate)
    while (ticker.timers > 0) await new Promise(setImmediate)
    expect(patient.over).toBe(false)
  })

  it.each([
    ["a reset", (socket: net.Socket) => socket.resetAndDestroy()],
    ["a close", (socket: net.Socket) => socket.end()],
    ["half a head", (socket: net.Socket) => socket.end("HTTP/1.1 20")],
    ["half a body", (socket: net.Socket) => socket.end(ok.slice(0, -1))],
    ["another protocol", (socket: net.Socket) => socket.end("SSH-2.0-x\r\n")]
  ])("reports %s instead of a response as upstream_reset", async (_, answer) => {
    const app = await program(
      rawProgram((socket) => {
        socket.once("data", () => answer(socket))
      })
    )
    const { dispatch, endpoint } = endpointAt(app.port)
    const { fault } = await exchange(dispatch, httpCall())
    expect(fault).toMatchObject({ code: "upstream_reset", sent: true })
    expect(app.accepted()).toBe(1)
    expect(endpoint.idleConnections).toBe(0)
  })

  it("tells the program who calls, which nobody else can say", async () => {
    const heads: Array<string> = []
    const app = await program(
      rawProgram((socket) => {
        socket.on("data", (chunk) => {
          heads.push(chunk.toString("latin1"))
          socket.write(ok)
        })
      })
    )
    const { dispatch } = endpointAt(app.port)
    const orders = serviceCaller(ServiceName.make("orders"))
    for (const identity of [orders, hostCaller(NodeName.make("db-1")), orders]) {
      await exchange(dispatch, httpCall({}, { identity }))
    }
    expect(heads.map((head) => /\r\nskein-caller: (.*)\r\n\r\n$/.exec(head)?.[1])).toEqual([
      "orders",
      "host/db-1",
      "orders"
    ])
  })

  it("tells the program the time that is left, and which attempt this is", async () => {
    const heads: Array<string> = []
    const app = await program(
      rawProgram((socket) => {
        socket.on("data", (chunk) => {
          heads.push(chunk.toString("latin1"))
          socket.write(ok)
        })
      })
    )
    const { dispatch } = endpointAt(app.port)
    await exchange(dispatch, httpCall())
    await exchange(dispatch, httpCall({}, { deadline: 1_499.7 }))
    await exchange(dispatch, httpCall({}, { deadline: 0.2, attempt: 2 }))
    expect(heads[0]).toMatch(/\r\nskein-caller: host\/host-a\r\n\r\n$/)
    expect(heads[1]).toMatch(/\r\nskein-deadline: 1499\r\n\r\n$/)
    expect(heads[2]).toMatch(/\r\nskein-deadline: 1\r\nskein-attempt: 2\r\n\r\n$/)
  })

  it("tells it what is left when a connection was waited for", async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const app = await program(
      rawProgram((socket) => {
        socket.on("data", (chunk) => {
          const head = chunk.toString("latin1")
          if (head.includes("skein-deadline")) resolve(head)
          else socket.write(ok)
        })
      })
    )
    const { dispatch, ticker, endpoint } = endpointAt(app.port, { places: onePlace() })
    const first = new RecordingReceiver()
    const stream = dispatch(httpCall({ method: "POST", framing: streamBody }), first)
    const waiting = dispatch(httpCall({}, { deadline: 200 }), new RecordingReceiver())
    waiting.end(noFields)
    expect(endpoint.waiting).toBe(1)
    ticker.advance(150)
    stream.end(noFields)
    expect(await promise).toMatch(/\r\nskein-deadline: 50\r\n/)
  })

  describe("when the program closes a kept connection as the next request goes out", () => {
    const staleOnce = () => {
      let first = true
      return rawProgram((socket) => {
        let requests = 0
        const closes = first
        first = false
        socket.on("data", () => {
          if (closes && ++requests === 2) socket.resetAndDestroy()
          else socket.write(ok)
        })
      })
    }

    it("sends a request that asks for no effect once more", async () => {
      const app = await program(staleOnce())
      const { dispatch, counts } = endpointAt(app.port)
      await exchange(dispatch, httpCall())
      const { text, fault } = await exchange(dispatch, httpCall())
      expect(fault).toBeUndefined()
      expect(text).toBe("ok")
      expect(counts.staleRetries).toBe(1)
      expect(app.accepted()).toBe(2)
    })

    it("makes the new connection within the call's limit", async () => {
      const server = staleOnce()
      const app = await program(server)
      const onStaleRetry = () => queueMicrotask(() => ticker.advance(60))
      const { dispatch, ticker } = endpointAt(app.port, { onStaleRetry })
      await exchange(dispatch, httpCall())
      const { fault } = await exchange(dispatch, httpCall({}, { connectTimeout: 50 }))
      expect(fault?.code).toBe("upstream_connect")
      expect(fault?.message).toContain("no connection within 50 ms")
    })

    it.each([
      ["POST", undefined],
      ["DELETE", undefined],
      ["PUT", { kind: "length", length: 2 } as const]
    ])("does not send %s again", async (method, framing) => {
      const app = await program(staleOnce())
      const { dispatch, counts } = endpointAt(app.port)
      await exchange(dispatch, httpCall())
      const call = httpCall(framing === undefined ? { method } : { method, framing })
      const { fault } = await exchange(dispatch, call, framing === undefined ? undefined : "hi")
      expect(fault).toMatchObject({ code: "upstream_reset", sent: true })
      expect(counts.staleRetries).toBe(0)
    })

    it("does not send again what the program may have worked on", async () => {
      const server = rawProgram((socket) => {
        let requests = 0
        socket.on("data", () => {
          if (++requests === 1) {
            socket.write(ok)
            return
          }
          ticker.advance(300)
          socket.resetAndDestroy()
        })
      })
      const app = await program(server)
      const { counts, dispatch, ticker } = endpointAt(app.port)
      await exchange(dispatch, httpCall())
      const { fault } = await exchange(dispatch, httpCall())
      expect(fault).toMatchObject({ code: "upstream_reset", sent: true })
      expect(counts.staleRetries).toBe(0)
      expect(app.accepted()).toBe(1)
    })

    it("sends it once more and not twice", async () => {
      let answers = 1
      const app = await program(
        rawProgram((socket) => {
          socket.on("data", () => {
            if (answers-- > 0) socket.write(ok)
            else socket.resetAndDestroy()
          })
        })
      )
      const { dispatch, counts } = endpointAt(app.port)
      await exchange(dispatch, httpCall())
      const { fault } = await exchange(dispatch, httpCall())
      expect(fault).toMatchObject({ code: "upstream_reset", sent: true })
      expect(counts.staleRetries).toBe(1)
      expect(app.accepted()).toBe(2)
    })
  })

  it("drops a kept connection that the program closes, before using it", async () => {
    const server = rawProgram((socket) => {
      socket.on("data", () => socket.write(ok))
    })
    const app = await program(server)
    const { dispatch, endpoint } = endpointAt(app.port)
    await exchange(dispatch, httpCall())
    for (const socket of app.sockets) socket.end()
    while (endpoint.connections > 0) await new Promise(setImmediate)
    const { fault } = await exchange(dispatch, httpCall({ method: "POST" }))
    expect(fault).toBeUndefined()
    expect(app.accepted()).toBe(2)
  })

  it("does not use a kept connection when the program is about to close it", async () => {
    const server = http.createServer((_, response) => response.end("ok"))
    server.keepAliveTimeout = 5_000 // says `Keep-Alive: timeout=5`
    const app = await program(server)
    const { endpoint, ticker, dispatch } = endpointAt(app.port)
    await exchange(dispatch, httpCall())
    ticker.advance(3_990)
    await exchange(dispatch, httpCall())
    expect(app.accepted()).toBe(1)
    ticker.advance(4_010)
    await exchange(dispatch, httpCall({ method: "POST" }))
    expect(app.accepted()).toBe(2)
    expect(endpoint.idleConnections).toBe(1)
  })

  it("does not reuse a connection on which more came than was asked for", async () => {
    const app = await program(
      rawProgram((socket) => {
        socket.on("data", () => socket.write(`${ok}HTTP/1.1 200 OK\r\n`))
      })
    )
    const { dispatch } = endpointAt(app.port)
    for (let i = 0; i < 2; i++) expect((await exchange(dispatch, httpCall())).text).toBe("ok")
    expect(app.accepted()).toBe(2)
  })

  it("ends with a response that comes before the end of the request, and closes", async () => {
    const server = rawProgram((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"))
    })
    const ended = onceConnected(server).then(
      (socket) => new Promise((resolve) => socket.once("end", resolve))
    )
    const app = await program(server)
    const { dispatch, endpoint } = endpointAt(app.port)
    const receiver = new RecordingReceiver()
    const stream = dispatch(
      httpCall({ method: "POST", framing: { kind: "length", length: 100 } }),
      receiver
    )
    stream.write(Buffer.from("some"))
    await receiver.done
    expect(receiver.head?.status).toBe(413)
    expect(stream.write(Buffer.from("more"))).toBe(true)
    stream.end(noFields)
    while (endpoint.connections > 0) await new Promise(setImmediate)
    await ended
  })

  it("destroys the connection when the caller cancels, and calls it no more", async () => {
    const server = rawProgram(() => undefined)
    const app = await program(server)
    const { dispatch, endpoint, ticker } = endpointAt(app.port)
    const connected = onceConnected(server)
    const receiver = new RecordingReceiver()
    const stream = dispatch(httpCall(), receiver)
    stream.end(noFields)
    const socket = await connected
    await received(socket, /\r\n\r\n/)
    const closed = new Promise((resolve) => socket.once("close", resolve))
    socket.on("end", () => socket.end())
    stream.cancel({
      code: "client_gone",
      message: "",
      node: "host-a",
      service: undefined,
      sent: true
    })
    await closed
    while (endpoint.connections > 0) await new Promise(setImmediate)
    expect(receiver.over).toBe(false)
    expect(ticker.timers).toBe(0)
  })

  it("hands a slow caller what came before the program reset, then tells it", async () => {
    const server = rawProgram((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${1024 * 1024}\r\n\r\n`)
      socket.write(Buffer.alloc(80 * 1024))
    })
    const app = await program(server)
    const { dispatch, ticker } = endpointAt(app.port)
    const connected = onceConnected(server)
    const receiver = new RecordingReceiver()
    receiver.accept = false
    const stream = dispatch(httpCall(), receiver)
    stream.end(noFields)
    const socket = await connected
    await receiver.until(() => receiver.bytes > 0)
    const closed = new Promise((resolve) => socket.once("close", resolve))
    while (socket.writableLength > 0) await new Promise(setImmediate)
    socket.resetAndDestroy()
    await closed
    ticker.advance(5_000)
    for (let i = 0; i < 50; i++) await new Promise(setImmediate)
    expect(receiver.over).toBe(false)
    receiver.accept = true
    stream.resume()
    await receiver.done
    expect(receiver.bytes).toBe(80 * 1024)
    expect(receiver.fault).toMatchObject({ code: "upstream_reset" })
  })

  it("stops reading while the caller says so, and writing while the program does not read", async () => {
    const size = 32 * 1024 * 1024
    const server = rawProgram((socket) => {
      socket.pause()
    })
    const app = await program(server)
    const { dispatch } = endpointAt(app.port)
    const connected = onceConnected(server)
    const receiver = new RecordingReceiver()
    receiver.accept = false
    const stream = dispatch(
      httpCall({ method: "POST", framing: { kind: "length", length: size } }),
      receiver
    )
    const chunk = Buffer.alloc(64 * 1024, "x")
    let written = 0
    const pump = () => {
      while (written < size) {
        written += chunk.length
        if (!stream.write(chunk)) return
      }
      stream.end(noFields)
    }
    pump()
    const socket = await connected
    // The kernel's buffers fill; then the stream must say stop, far from the end.
    for (let quiet = 0, seen = 0; quiet < 200; quiet++) {
      await new Promise(setImmediate)
      if (receiver.writable === seen) continue
      seen = receiver.writable
      quiet = 0
      pump()
    }
    expect(written).toBeLessThan(size)
    let got = 0
    const all = new Promise<void>((resolve) => {
      socket.on("data", (bytes) => {
        got += bytes.length
        if (got >= size) resolve()
      })
    })
    socket.resume()
    while (written < size) {
      const seen = receiver.writable
      await receiver.until(() => receiver.writable > seen)
      pump()
    }
    await all
    // The response: the caller takes one chunk and stops.
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
    let sent = 0
    while (sent < size && socket.writableLength < 1024 * 1024) {
      socket.write(chunk)
      sent += chunk.length
      await new Promise(setImmediate)
    }
    expect(receiver.bytes).toBeLessThanOrEqual(128 * 1024)
    receiver.accept = true
    stream.resume()
    while (sent < size) {
      socket.write(chunk)
      sent += chunk.length
    }
    await receiver.done
    expect(receiver.bytes).toBe(size)
  })

  it("waits at the limit of connections, and refuses at the limit of those that wait", async () => {
    const server = rawProgram(() => undefined)
    const app = await program(server)
    const { dispatch, endpoint } = endpointAt(app.port, {
      places: new OwnConnectionPlaces(1, 1)
    })
    const connected = onceConnected(server)
    const first = new RecordingReceiver()
    dispatch(httpCall({ target: "/1" }), first).end(noFields)
    const socket = await connected
    await received(socket, /\/1 /)
    const second = new RecordingReceiver()
    const waiting = dispatch(
      httpCall({ target: "/2", method: "POST", framing: { kind: "length", length: 4 } }),
      second
    )
    expect(waiting.write(Buffer.from("body"))).toBe(false)
    waiting.end(noFields)
    expect(endpoint.waiting).toBe(1)
    const { fault } = await exchange(dispatch, httpCall({ target: "/3" }))
    expect(fault).toMatchObject({ code: "overflow", sent: false })
    expect(fault?.message).toContain("1 connections in use and 1 requests waiting")
    const next = received(socket, /\/2 [\s\S]*body/)
    socket.write(ok)
    await first.done
    await next
    expect(endpoint.waiting).toBe(0)
    socket.write(ok)
    await second.done
    expect(second.text).toBe("ok")
    expect(app.accepted()).toBe(1)
  })

  it("forgets a waiting request that is cancelled", async () => {
    const server = rawProgram(() => undefined)
    const app = await program(server)
    const { dispatch, endpoint } = endpointAt(app.port, { places: onePlace() })
    const first = dispatch(httpCall(), new RecordingReceiver())
    const second = new RecordingReceiver()
    const waiting = dispatch(httpCall(), second)
    const gone = { code: "client_gone", message: "", node: "", service: undefined } as const
    waiting.cancel({ ...gone, sent: false })
    expect(waiting.sent).toBe(false)
    expect(endpoint.waiting).toBe(0)
    first.cancel({ ...gone, sent: false })
    // The connection that was being made is kept, with nothing sent on it.
    while (endpoint.idleConnections === 0) await new Promise(setImmediate)
    expect(app.accepted()).toBe(1)
    expect(first.sent).toBe(false)
  })

  it("closes connections that nobody has used for the idle timeout, oldest first", async () => {
    const app = await program(http.createServer((_, response) => response.end("ok")))
    const { dispatch, endpoint, ticker } = endpointAt(app.port)
    await Promise.all([exchange(dispatch, httpCall()), exchange(dispatch, httpCall())])
    expect(endpoint.idleConnections).toBe(2)
    ticker.advance(20_000)
    await exchange(dispatch, httpCall())
    ticker.advance(10_010)
    expect(endpoint.idleConnections).toBe(1)
    ticker.advance(20_010)
    expect(endpoint.idleConnections).toBe(0)
    while (app.sockets.size > 0) await new Promise(setImmediate)
    expect(ticker.timers).toBe(0)
  })

  it("finishes what runs after it was retired, then closes", async () => {
    const server = rawProgram(() => undefined)
    const app = await program(server)
    const { dispatch, endpoint } = endpointAt(app.port)
    const connected = onceConnected(server)
    const receiver = new RecordingReceiver()
    dispatch(httpCall(), receiver).end(noFields)
    const socket = await connected
    await received(socket, /\r\n\r\n/)
    endpoint.retire()
    socket.write(ok)
    await receiver.done
    expect(receiver.text).toBe("ok")
    while (endpoint.connections > 0) await new Promise(setImmediate)
  })

  it.each([
    ["longer", "too much"],
    ["shorter", "x"]
  ])("sends nothing further of a body that is %s than announced", async (_, body) => {
    let got = ""
    const app = await program(
      rawProgram((socket) => {
        socket.once("data", () => {
          socket.write(ok)
          socket.on("data", (chunk) => {
            got += chunk.toString("latin1")
          })
        })
      })
    )
    const { dispatch, endpoint } = endpointAt(app.port)
    await exchange(dispatch, httpCall())
    const { fault } = await exchange(
      dispatch,
      httpCall({ method: "POST", framing: { kind: "length", length: 4 } }),
      body
    )
    expect(fault?.code).toBe("bad_request")
    expect(endpoint.idleConnections).toBe(0)
    while (endpoint.connections > 0) await new Promise(setImmediate)
    expect(got).not.toContain("too much")
  })

  it("hands on many small chunks of one read as one", async () => {
    const pieces = 5_000
    const app = await program(
      rawProgram((socket) => {
        socket.once("data", () =>
          socket.write(
            `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(pieces)}0\r\n\r\n`
          )
        )
      })
    )
    const { dispatch } = endpointAt(app.port)
    const receiver = await exchange(dispatch, httpCall())
    expect(receiver.bytes).toBe(pieces)
    expect(receiver.chunks.length).toBeLessThan(10)
  })

  it("forwards the fields it is given in place of the head's", async () => {
    const app = await program(
      http.createServer((request, response) => response.end(String(request.headers["x-span"])))
    )
    const { endpoint } = endpointAt(app.port)
    const fields: Fields = ["x-span", "7"]
    const { text } = await exchange((call, receiver) => endpoint.open(call, fields, receiver), {
      ...httpCall()
    })
    expect(text).toBe("7")
  })
})
