import http from "node:http"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { accepted, fieldValue, noFields } from "../../model/Exchange.ts"
import type { Fault, FaultCode } from "../../model/Fault.ts"
import { payments, self } from "../../testing/InboundFixture.ts"
import {
  HoldingCallee,
  makeContext,
  RawClient,
  responseHead,
  turn
} from "../../testing/ListenerFixture.ts"
import { SocketBudget } from "../socket/SocketBudget.ts"
import { type HttpListener, type HttpListenerOptions, openHttpListener } from "./HttpListener.ts"

let context: ReturnType<typeof makeContext>
let callee: HoldingCallee
let listener: HttpListener
const clients: Array<RawClient> = []

const listen = async (change: Partial<HttpListenerOptions> = {}): Promise<void> => {
  context = makeContext()
  callee = new HoldingCallee()
  listener = await context.open(
    openHttpListener({ ...context.base, dispatch: callee.dispatch, ...change })
  )
}

beforeEach(() => listen())
afterEach(async () => {
  context.dispose()
  for (const client of clients.splice(0)) client.socket.destroy()
})

const connect = (): RawClient => {
  const client = new RawClient(listener.address.port)
  clients.push(client)
  return client
}

const get = (target: string, more = ""): string =>
  `GET ${target} HTTP/1.1\r\nhost: payments.mesh\r\n${more}\r\n`

const post = (length: number, more = ""): string =>
  `POST /p HTTP/1.1\r\nhost: payments.mesh\r\ncontent-length: ${length}\r\n${more}\r\n`

const fault = (code: FaultCode, change: Partial<Fault> = {}): Fault => ({
  code,
  message: "why",
  node: "host-b",
  service: payments,
  sent: false,
  ...change
})

describe("requests", () => {
  it("become calls, with forwarding fields", async () => {
    connect().send(get("/a?b=c", "X-One: 1\r\nconnection: x-hop\r\nx-hop: 2\r\n"))
    const held = await callee.next()
    await held.until(() => held.trailers !== undefined)
    const { call } = held
    expect(call).toMatchObject({
      kind: "http",
      service: "payments",
      endpoint: undefined,
      caller: self.peer,
      deadline: undefined,
      attempt: 0,
      head: { method: "GET", target: "/a?b=c", authority: "payments.mesh" }
    })
    expect(call.head?.fields).toEqual([
      "X-One",
      "1",
      "x-forwarded-for",
      "127.0.0.1",
      "x-forwarded-proto",
      "http",
      "x-forwarded-host",
      "payments.mesh",
      "via",
      "1.1 host-a"
    ])
    expect(held.trailers).toEqual(noFields)
  })

  it("may come in absolute-form", async () => {
    connect().send("GET http://payments.mesh:80/x HTTP/1.1\r\nhost: other\r\n\r\n")
    const { call } = await callee.next()
    expect(call.service).toBe("payments")
    expect(call.head).toMatchObject({ authority: "payments.mesh:80", target: "/x" })
  })

  it.each([
    [
      "another host",
      "GET http://example.com/ HTTP/1.1\r\nhost: example.com\r\n\r\n",
      "example.com"
    ],
    ["an address", "GET / HTTP/1.1\r\nhost: 127.0.0.1:4140\r\n\r\n", "127.0.0.1:4140"],
    ["nothing", "GET / HTTP/1.1\r\nhost:\r\n\r\n", "names no service"]
  ])(
    "for %s are answered with route_not_found, and the connection lives on",
    async (_, text, part) => {
      const client = connect().send(text)
      await client.receives(/\}\n$/)
      expect(client.text).toMatch(/^HTTP\/1.1 404 Not Found\r\n/)
      expect(client.text).toMatch(/\r\nskein-error: route_not_found\r\nskein-node: host-a\r\n/)
      expect(client.text).toContain(part)
      client.text = ""
      client.send(get("/"))
      const held = await callee.next()
      held.respond(200, "ok")
      await client.receives(/ok$/)
    }
  )

  it("for another host, CONNECT, are refused, and what was sent ahead is no request", async () => {
    const client = connect().send(
      `CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n${get("/ahead")}`
    )
    await client.end()
    expect(client.text).toMatch(/^HTTP\/1.1 404 Not Found\r\n/)
    expect(client.text).toMatch(/\r\nconnection: close\r\n/)
    expect(client.text).toContain("NO_PROXY")
    expect(callee.exchanges).toEqual([])
  })

  it.each([
    ["/x?y", "payments.mesh"],
    ["/", "nobody.example"],
    ["http://payments.mesh:/x?y", "other"]
  ])("to TRACE %s at %s end here with Max-Forwards 0, and come back", async (target, host) => {
    const client = connect()
    client.send(
      `TRACE ${target} HTTP/1.1\r\nHost: ${host}\r\nX-One: caf\xe9\r\nmax-forwards: 0\r\n` +
        "Connection: x-hop\r\nX-Hop: 1\r\nCookie: a=b\r\nAuthorization: Basic x\r\nX-Api-Key: k\r\n\r\n"
    )
    await client.receives(/\r\n\r\n[\s\S]*\r\n\r\n$/)
    const authority = target.startsWith("http") ? "payments.mesh" : host
    const path = target.replace(/^http:\/\/[^/]*/, "")
    const echo = `TRACE ${path} HTTP/1.1\r\nhost: ${authority}\r\nX-One: caf\xe9\r\nmax-forwards: 0\r\n\r\n`
    const [head = "", ...rest] = client.text.split("\r\n\r\n")
    expect(rest.join("\r\n\r\n")).toBe(echo)
    expect(head).toMatch(
      /^HTTP\/1.1 200 OK\r\ncontent-type: message\/http\r\nskein-node: host-a\r\n/
    )
    expect(head).toMatch(new RegExp(`\r\ncontent-length: ${echo.length}$`))
    expect(head).not.toContain("skein-error")
    client.text = ""
    client.send(get("/next"))
    ;(await callee.next()).respond(200, "ok")
    await client.receives(/ok$/)
    expect(callee.exchanges).toHaveLength(1)
  })

  it.each(["*", "/x", "http://nobody.mesh"])(
    "to OPTIONS %s end here with Max-Forwards 0, with what is allowed",
    async (target) => {
      const client = connect()
      client.send(
        `OPTIONS ${target} HTTP/1.1\r\nhost: 127.0.0.1\r\nmax-forwards: 0\r\ncontent-length: 3\r\n\r\nabc${get("/next")}`
      )
      ;(await callee.next()).respond(200, "ok")
      await client.receives(/ok$/)
      expect(client.text).toMatch(
        /^HTTP\/1.1 200 OK\r\nallow: [A-Z, ]*\bOPTIONS\b[^\r]*\r\nskein-node: host-a\r\ndate: [^\r]*\r\ncontent-length: 0\r\n\r\nHTTP/
      )
    }
  )

  it.each([
    ["TRACE", "5", "4"],
    ["OPTIONS", "1", "0"],
    ["OPTIONS", "0010", "9"],
    ["TRACE", "99999999999999999999", "2147483647"],
    ["GET", "5", "5"],
    ["GET", "0", "0"],
    ["trace", "0", "0"]
  ])("to %s with Max-Forwards %s go on with %s", async (method, sent, forwarded) => {
    connect().send(get("/", `max-forwards: ${sent}\r\n`).replace("GET", method))
    const { call } = await callee.next()
    expect(fieldValue(call.head?.fields ?? [], "max-forwards")).toBe(forwarded)
  })

  it.each(["", "x", "-1", "1, 2", "1\r\nMax-Forwards: 1"])(
    "whose Max-Forwards cannot be counted down are refused: %j",
    async (value) => {
      const client = connect().send(get("/", `max-forwards: ${value}\r\n`).replace("GET", "TRACE"))
      await client.receives(/\}\n$/)
      expect(client.text).toMatch(/^HTTP\/1.1 400 [\s\S]*skein-error: bad_request/)
      expect(client.text).toContain("not one number of hops")
      expect(callee.exchanges).toHaveLength(0)
    }
  )

  it("that loop through this node are stopped", async () => {
    const client = connect().send(get("/", `via: ${"1.1 host-a, ".repeat(16)}1.1 x\r\n`))
    await client.receives(/loop/)
    expect(client.text).toMatch(/^HTTP\/1.1 400 /)
  })

  it.each([
    ["GET / HTTP/1.0\r\n\r\n", "payments.mesh"],
    ["GET / HTTP/1.0\r\nhost:\r\n\r\n", "payments.mesh"],
    ["GET / HTTP/1.1\r\nhost:\r\n\r\n", "payments.mesh"],
    ["OPTIONS * HTTP/1.1\r\nhost: \r\n\r\n", "payments.mesh"],
    ["GET / HTTP/1.1\r\nhost: PAYMENTS.mesh.:8080\r\n\r\n", "PAYMENTS.mesh.:8080"],
    ["GET / HTTP/1.1\r\nhost: localhost:5433\r\n\r\n", "localhost:5433"],
    ["GET / HTTP/1.1\r\nhost: LOCALHOST.\r\n\r\n", "LOCALHOST."],
    ["GET / HTTP/1.1\r\nhost: 127.9.8.7\r\n\r\n", "127.9.8.7"],
    ["GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", "[::1]:80"],
    ["GET http://payments.mesh:/ HTTP/1.1\r\nhost: x.example\r\n\r\n", "payments.mesh"]
  ])("reach the fixed service under its names and this host's: %j", async (text, authority) => {
    context.dispose()
    await listen({ fixedService: payments })
    connect().send(text.replace("\r\n\r\n", "\r\nforwarded: for=x\r\n\r\n"))
    const { call } = await callee.next()
    expect(call.service).toBe("payments")
    expect(call.head?.authority).toBe(authority)
    const fields = call.head?.fields ?? []
    expect(fieldValue(fields, "x-forwarded-host")).toBe(authority)
    const host = `"?${authority.replaceAll(/[[\]]/g, "\\$&")}"?`
    expect(fieldValue(fields, "forwarded")).toMatch(new RegExp(`host=${host};proto=http$`))
  })

  it.each([
    "shop.example",
    "shop.example:8080",
    "ledger.mesh",
    "payments",
    "mesh",
    "127.0.0.1.example",
    "localhost.example",
    "192.0.2.1",
    "[2001:db8::1]",
    "0.0.0.0"
  ])("do not reach the fixed service under another's name: %s", async (authority) => {
    context.dispose()
    await listen({ fixedService: payments })
    const client = connect()
    for (const text of [
      `GET /1 HTTP/1.1\r\nhost: ${authority}\r\n\r\n`,
      `GET http://${authority}/2 HTTP/1.1\r\nhost: payments.mesh\r\n\r\n`
    ]) {
      client.text = ""
      client.send(text)
      await client.receives(/\}\n$/)
      expect(client.text).toMatch(/^HTTP\/1.1 403 [\s\S]*skein-error: denied/)
      const { message } = JSON.parse(client.text.split("\r\n\r\n")[1] ?? "")
      expect(message).toContain(
        `this port reaches payments alone, and ${authority} is no name of it`
      )
      expect(message).toContain("ask for payments.mesh, localhost or 127.0.0.1")
    }
    // The connection is as good as before, and what was allowed once is not remembered for others.
    client.text = ""
    client.send("GET /3 HTTP/1.1\r\nhost: localhost\r\n\r\n")
    ;(await callee.next()).respond(200, "ok")
    await client.receives(/ok$/)
    client.text = ""
    client.send(`GET /4 HTTP/1.1\r\nhost: ${authority}\r\n\r\n`)
    await client.receives(/denied/)
    expect(callee.exchanges).toHaveLength(1)
  })

  it("reach the fixed service from other hosts under addresses and the names told", async () => {
    context.dispose()
    await listen({ fixedService: payments, remoteNames: ["host-b"] })
    for (const authority of ["192.0.2.1:80", "[2001:db8::1]", "Host-B", "payments.mesh"]) {
      connect().send(`GET / HTTP/1.1\r\nhost: ${authority}\r\n\r\n`)
      expect((await callee.next()).call.service).toBe("payments")
    }
    const client = connect().send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
    await client.receives(/\}\n$/)
    expect(client.text).toContain("an IP address or host-b")
  })

  it("for a host with an empty port are for the host", async () => {
    connect().send("GET / HTTP/1.1\r\nhost: payments.mesh:\r\n\r\n")
    expect((await callee.next()).call).toMatchObject({
      service: "payments",
      head: { authority: "payments.mesh" }
    })
  })

  it("stream their bodies, many chunks of one read as one", async () => {
    const client = connect().send(
      `POST / HTTP/1.1\r\nhost: payments.mesh\r\ntransfer-encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(1_000)}`
    )
    const held = await callee.next()
    await held.until(() => held.text.length === 1_000)
    expect(held.chunks.length).toBeLessThan(5)
    expect(held.trailers).toBeUndefined()
    client.send("2\r\nyz\r\n0\r\nx-sum: 7\r\n\r\n")
    await held.until(() => held.trailers !== undefined)
    expect(held.trailers).toEqual(["x-sum", "7"])
    expect(held.text.endsWith("xyz")).toBe(true)
  })

  it("stop being read while the callee says so", async () => {
    const size = 32 * 1024 * 1024
    const client = connect().send(post(size))
    const held = await callee.next()
    held.accept = false
    client.socket.write(Buffer.alloc(size))
    await held.until(() => held.chunks.length > 0)
    for (let i = 0; i < 200; i++) await turn()
    const taken = held.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    expect(taken).toBeLessThanOrEqual(128 * 1024)
    held.accept = true
    held.receiver.onWritable()
    await held.until(() => held.trailers !== undefined)
    expect(held.chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(size)
  })

  it.each([
    ["both lengths", post(5, "transfer-encoding: chunked\r\n"), 400, "both_lengths"],
    ["a bare LF", "GET / HTTP/1.1\nhost: payments.mesh\n\n", 400, "bare_lf"],
    ["no HTTP", "\x16\x03\x01\x02", 400, "bad_method"],
    ["a large head", get("/", `x: ${"y".repeat(40_000)}\r\n`), 431, "head_bytes"],
    ["a long target", get(`/${"y".repeat(20_000)}`), 414, "target_bytes"],
    ["a long method", get("/").replace("GET", "M".repeat(100)), 501, "method_bytes"],
    [
      "a coding nobody knows",
      get("/", "transfer-encoding: gzip, chunked\r\n"),
      501,
      "unsupported_coding"
    ],
    ["another HTTP", get("/").replace("1.1", "2.0"), 505, "unsupported_version"]
  ])("with %s are refused and the connection closed", async (_, text, status, rule) => {
    const client = connect().send(text)
    await client.end()
    expect(client.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(client.text).toContain("\r\nconnection: close\r\n")
    expect(callee.exchanges).toHaveLength(0)
    const cells = context.metrics.families.get("skein_listener_parse_errors_total")?.cells
    expect([...(cells?.keys() ?? [])].join()).toContain(`"rule":"${rule}"`)
    client.socket.end()
    await client.closed
  })

  it("that turn wrong in their body are cancelled and answered", async () => {
    const client = connect().send(
      "POST / HTTP/1.1\r\nhost: payments.mesh\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"
    )
    const held = await callee.next()
    await client.end()
    expect(held.cancelled?.code).toBe("bad_request")
    expect(client.text).toMatch(/^HTTP\/1.1 400 /)
  })
})

describe("responses", () => {
  it("with a length keep the connection, in one write with their head", async () => {
    const client = connect().send(get("/1"))
    for (const body of ["one", "two"]) {
      const held = await callee.next()
      const reads = client.reads
      client.text = ""
      held.respond(200, body, { fields: ["X-App", "1"] })
      await client.receives(new RegExp(`${body}$`))
      expect(client.text).toMatch(
        /^HTTP\/1.1 200 R\r\nX-App: 1\r\ndate: .* GMT\r\ncontent-length: 3\r\n\r\n/
      )
      expect(client.reads).toBe(reads + 1)
      client.send(get("/2"))
    }
    expect(listener.connections).toBe(1)
  })

  it("without a length are chunked, with trailers", async () => {
    const client = connect().send(get("/"))
    const { receiver } = await callee.next()
    receiver.onHead(responseHead(200, undefined))
    receiver.onData(Buffer.from("hello"))
    receiver.onData(Buffer.alloc(0))
    receiver.onData(Buffer.from("!"))
    receiver.onEnd(["x-sum", "1"])
    await client.receives(/x-sum: 1\r\n\r\n$/)
    expect(client.text).toMatch(/\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nx-sum: 1\r\n\r\n$/)
  })

  it("to HTTP/1.0 have no 1xx and end with the connection", async () => {
    const client = connect().send(
      "GET / HTTP/1.0\r\nhost: payments.mesh\r\nconnection: keep-alive\r\n\r\n"
    )
    const { receiver } = await callee.next()
    receiver.onInfo(responseHead(103, 0))
    receiver.onHead(responseHead(200, undefined))
    receiver.onData(Buffer.from("all"))
    receiver.onEnd(noFields)
    await client.end()
    expect(client.text).toMatch(/^HTTP\/1.1 200 R\r\ndate: [^\r]*\r\nconnection: close\r\n\r\nall$/)
  })

  it("to HTTP/1.0 with keep-alive and a length keep the connection", async () => {
    const client = connect().send(
      "GET / HTTP/1.0\r\nhost: payments.mesh\r\nconnection: keep-alive\r\n\r\n"
    )
    ;(await callee.next()).respond(200, "ok")
    await client.receives(/connection: keep-alive\r\n\r\nok$/)
    client.send(get("/"))
    await callee.next()
  })

  it("to HEAD have no body", async () => {
    const client = connect().send(`${get("/").replace("GET", "HEAD")}${get("/2")}`)
    const { receiver } = await callee.next()
    receiver.onHead(responseHead(200, 1_000))
    receiver.onEnd(noFields)
    ;(await callee.next()).respond(204, undefined, { framing: { kind: "none" } })
    await client.receives(/204/)
    expect(client.text).toMatch(/content-length: 1000\r\n\r\nHTTP\/1.1 204 R\r\n/)
  })

  it("to Connection: close are followed by a close", async () => {
    const client = connect().send(get("/", "connection: close\r\n"))
    ;(await callee.next()).respond(200, "ok")
    await client.end()
    expect(client.text).toMatch(/connection: close\r\n\r\nok$/)
  })

  it("come in the order of pipelined requests, one exchange at a time", async () => {
    const client = connect().send(get("/1") + get("/2") + get("/3"))
    for (const target of ["/1", "/2", "/3"]) {
      const held = await callee.next()
      await turn()
      expect(callee.exchanges.at(-1)).toBe(held)
      expect(held.call.head?.target).toBe(target)
      held.respond(200, target)
    }
    await client.receives(/\/3$/)
    expect(client.text.match(/\/\d/g)?.filter((it) => it !== "/1.1")).toEqual([
      "/1",
      "/1",
      "/1",
      "/2",
      "/1",
      "/3"
    ])
  })

  it("make the callee stop while the client does not read", async () => {
    const client = connect().send(get("/"))
    client.socket.pause()
    const held = await callee.next()
    const size = 64 * 1024 * 1024
    const chunk = Buffer.alloc(64 * 1024)
    held.receiver.onHead(responseHead(200, size))
    let sent = 0
    const pump = () => {
      while (sent < size) {
        sent += chunk.length
        if (!held.receiver.onData(chunk)) return
      }
      held.receiver.onEnd(noFields)
    }
    pump()
    for (let quiet = 0, seen = 0; quiet < 200; quiet++) {
      await turn()
      if (held.resumed === seen) continue
      seen = held.resumed
      quiet = 0
      pump()
    }
    expect(sent).toBeLessThan(size / 2)
    client.socket.resume()
    while (sent < size) {
      const seen = held.resumed
      await held.until(() => held.resumed > seen)
      pump()
    }
    await client.until(() => client.bytes >= size)
  })

  it("that a pipelining client does not read keep its next requests waiting", async () => {
    const client = connect()
    client.socket.pause()
    client.send(get("/").repeat(100))
    const size = 1024 * 1024
    const answerAll = () => {
      for (const held of callee.exchanges.splice(0)) {
        held.receiver.onHead(responseHead(200, size))
        held.receiver.onData(Buffer.alloc(size))
        held.receiver.onEnd(noFields)
        answered++
      }
    }
    let answered = 0
    for (let quiet = 0, seen = -1; quiet < 200; quiet++) {
      await turn()
      answerAll()
      if (answered === seen) continue
      seen = answered
      quiet = 0
    }
    expect(answered).toBeLessThan(50)
    client.socket.resume()
    while (answered < 100) {
      await turn()
      answerAll()
    }
    await client.until(() => client.bytes > 100 * size)
  })

  it("come to all requests of a client that sends hundreds of kilobytes of them ahead", async () => {
    const client = connect()
    const requests = 10_000
    client.send(get("/").repeat(requests))
    for (let n = 0; n < requests; n++) {
      const held = await Promise.race([callee.next(), client.end()])
      if (held === undefined) break
      await turn() // an endpoint is never there in the same turn
      held.respond(200, "")
    }
    await client.until(() => client.ended || callee.exchanges.length === requests)
    expect(client.text).not.toContain("HTTP/1.1 400")
    expect(callee.exchanges.length).toBe(requests)
  })

  it.each([
    ["that the connection ends with", "connection: close\r\n", 61_000],
    ["that the connection outlives", "", 121_000]
  ])("%s wait for a client that pauses for less than timeout.idle", async (_, more, pause) => {
    const client = connect()
    client.socket.pause()
    client.send(get("/", more))
    const held = await callee.next()
    const size = 32 * 1024 * 1024
    held.receiver.onHead(responseHead(200, size))
    held.receiver.onData(Buffer.alloc(size))
    held.receiver.onEnd(noFields)
    for (let waited = 0; waited < pause; waited += 1_000) {
      context.ticker.advance(1_000)
      await turn()
    }
    client.socket.resume()
    await client.until(() => client.ended || client.error !== undefined || client.bytes > size)
    expect(client.bytes).toBeGreaterThan(size)
  })

  it("that end with the connection are reset when a client does not take them to the end", async () => {
    const client = connect().send("GET http://payments.mesh/ HTTP/1.0\r\n\r\n")
    client.socket.pause()
    const held = await callee.next()
    const size = 32 * 1024 * 1024
    held.receiver.onHead(responseHead(200, undefined))
    held.receiver.onData(Buffer.alloc(size))
    held.receiver.onEnd(noFields)
    for (let waited = 0; waited < 200_000; waited += 1_000) {
      context.ticker.advance(1_000)
      await turn()
    }
    client.socket.resume()
    await client.until(() => client.ended || client.error !== undefined)
    if (client.bytes < size) expect(client.error).toMatchObject({ code: "ECONNRESET" })
  })

  it("pass 100 on when the endpoint says so", async () => {
    const client = connect().send(post(2, "expect: 100-continue\r\n"))
    const held = await callee.next()
    expect(held.call.head?.expectsContinue).toBe(true)
    held.receiver.onInfo(responseHead(100, 0))
    await client.receives(/^HTTP\/1.1 100 R\r\n\r\n$/)
    client.send("hi")
    await held.until(() => held.trailers !== undefined)
    held.respond(200, "ok")
    await client.receives(/ok$/)
    expect(client.text).not.toContain("connection: close")
  })

  it("close the connection when a client that waits for 100 gets none", async () => {
    const client = connect().send(post(2, "expect: 100-continue\r\n"))
    ;(await callee.next()).respond(417, "no")
    await client.end()
    expect(client.text).toMatch(/connection: close\r\n\r\nno$/)
  })

  it("that come early let the rest of a small body pass", async () => {
    const client = connect().send(`${post(10)}12345`)
    const held = await callee.next()
    held.respond(200, "early")
    await client.receives(/early$/)
    client.send(`67890${get("/next")}`)
    const next = await callee.next()
    expect(next.call.head?.target).toBe("/next")
    expect(held.text.length).toBeLessThanOrEqual(5)
  })

  it("that come early let the rest of a large body pass too, and leave the connection", async () => {
    const size = 20_000_000
    const client = connect().send(post(size))
    ;(await callee.next()).respond(413, "no")
    await client.receives(/no$/)
    client.socket.write(Buffer.alloc(size))
    client.send(get("/next"))
    expect((await callee.next()).call.head?.target).toBe("/next")
  })

  it("that come early close the connection when the rest does not come", async () => {
    const client = connect().send(post(10))
    ;(await callee.next()).respond(413, "no")
    await client.receives(/no$/)
    context.ticker.advance(6_000)
    await client.end()
    expect(client.text).toMatch(/no$/)
  })

  it("that come early close the connection when the rest comes for too long", async () => {
    const client = connect().send(post(100))
    ;(await callee.next()).respond(413, "no")
    await client.receives(/no$/)
    for (let i = 0; i < 40 && !client.ended; i++) {
      client.send("x")
      for (let turns = 0; turns < 20; turns++) await turn()
      context.ticker.advance(1_000)
    }
    await client.end()
    expect(client.text).toMatch(/no$/)
  })

  it("that close the connection are not reset away by what the client still sends", async () => {
    const size = 20_000_000
    const client = connect().send(
      `POST / HTTP/1.0\r\nhost: payments.mesh\r\ncontent-length: ${size}\r\n\r\n`
    )
    client.socket.pause()
    ;(await callee.next()).respond(413, "no")
    let written = false
    client.socket.write(Buffer.alloc(size), () => {
      written = true
    })
    while (!written) await turn()
    client.socket.resume()
    await client.end()
    expect(client.text).toMatch(/no$/)
    expect(client.error).toBeUndefined()
  })

  it("that break off are cut off", async () => {
    const client = connect().send(get("/"))
    const { receiver } = await callee.next()
    receiver.onHead(responseHead(200, undefined))
    receiver.onData(Buffer.from("half"))
    receiver.onFault(fault("upstream_reset", { sent: true }))
    await client.end()
    expect(client.text).toMatch(/4\r\nhalf\r\n$/)
  })

  it("that break off are reset where the end of the connection would pass for theirs", async () => {
    const client = connect().send("GET / HTTP/1.0\r\nhost: payments.mesh\r\n\r\n")
    const { receiver } = await callee.next()
    receiver.onHead(responseHead(200, undefined))
    receiver.onData(Buffer.from("half"))
    await client.receives(/half$/)
    receiver.onFault(fault("upstream_reset", { sent: true }))
    await client.closed
    expect(client.ended).toBe(false)
    expect(client.error).toMatchObject({ code: "ECONNRESET" })
  })

  it("shorter or longer than announced are cut off", async () => {
    for (const body of ["abc", "abcdefgh"]) {
      const client = connect().send(get("/"))
      const held = await callee.next()
      held.receiver.onHead(responseHead(200, 5))
      held.receiver.onData(Buffer.from(body))
      if (held.cancelled === undefined) held.receiver.onEnd(noFields)
      await client.end()
      expect(client.text.split("\r\n\r\n")[1]?.length).toBeLessThan(5)
    }
  })

  it.each([
    ["no_healthy_endpoint", 503],
    ["denied", 403],
    ["upstream_timeout", 504],
    ["upstream_reset", 502]
  ] as const)("for the fault %s are %d with code, node and body", async (code, status) => {
    const client = connect().send(get("/1"))
    ;(await callee.next()).receiver.onFault(fault(code))
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(client.text).toContain(`\r\nskein-error: ${code}\r\nskein-node: host-b\r\n`)
    const body: unknown = JSON.parse(client.text.split("\r\n\r\n")[1] ?? "")
    expect(body).toMatchObject({ code, message: "why", service: "payments", node: "host-b" })
    client.text = ""
    client.send(get("/2"))
    ;(await callee.next()).respond(200, "ok")
    await client.receives(/ok$/)
  })
})

describe("tunnels", () => {
  it("begin with 101 and half-close", async () => {
    const client = connect().send(get("/chat", "connection: upgrade\r\nupgrade: websocket\r\n"))
    const held = await callee.next()
    expect(held.call.head?.upgrade).toBe("websocket")
    held.receiver.onHead(responseHead(101, undefined, { upgrade: "websocket" }))
    held.receiver.onData(Buffer.from("welcome"))
    await client.receives(/connection: upgrade\r\nupgrade: websocket\r\n\r\nwelcome$/)
    client.send("ping")
    await held.until(() => held.text === "ping")
    client.socket.end()
    await held.until(() => held.trailers !== undefined)
    held.receiver.onData(Buffer.from("bye"))
    held.receiver.onEnd(noFields)
    await client.closed
    expect(client.text).toMatch(/welcomebye$/)
    expect(held.cancelled).toBeUndefined()
  })

  it("that are refused leave the connection as it was", async () => {
    const client = connect().send(get("/chat", "connection: upgrade\r\nupgrade: websocket\r\n"))
    ;(await callee.next()).respond(426, "no")
    await client.receives(/no$/)
    client.send(get("/plain"))
    expect((await callee.next()).call.head?.target).toBe("/plain")
  })

  it("by CONNECT are tcp calls", async () => {
    const client = connect().send(
      "CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\nhello"
    )
    const held = await callee.next()
    expect(held.call).toMatchObject({ kind: "tcp", service: "payments", head: undefined })
    for (let turns = 0; turns < 50; turns++) await turn()
    expect(client.text).toBe("")
    held.receiver.onHead(accepted)
    await client.receives(/^HTTP\/1.1 200 Connection Established\r\ndate: [^\r]*\r\n\r\n$/)
    await held.until(() => held.text === "hello")
    held.receiver.onData(Buffer.from("world"))
    held.receiver.onEnd(noFields)
    await client.end()
    expect(client.text).toMatch(/\r\n\r\nworld$/)
  })

  it("by CONNECT go through the port of one service to that service alone", async () => {
    context.dispose()
    await listen({ fixedService: payments })
    const client = connect().send(
      "CONNECT PAYMENTS.mesh.:8080 HTTP/1.1\r\nhost: payments.mesh\r\n\r\n"
    )
    const held = await callee.next()
    expect(held.call).toMatchObject({ kind: "tcp", service: "payments" })
    held.receiver.onHead(accepted)
    await client.receives(/^HTTP\/1.1 200 /)
    for (const target of ["example.com:443", "ledger.mesh:80", "127.0.0.1:22", "[::1]:80"]) {
      const refused = connect().send(`CONNECT ${target} HTTP/1.1\r\nhost: payments.mesh\r\n\r\n`)
      await refused.receives(/\}\n$/)
      expect(refused.text).toMatch(/^HTTP\/1.1 400 [\s\S]*skein-error: bad_request/)
      expect(refused.text).toContain(`a tunnel to ${target} was asked for`)
    }
    expect(callee.exchanges).toHaveLength(1)
  })

  it.each(["x:99999", "payments.mesh:0", "payments.mesh:", "payments.mesh"])(
    "by CONNECT to %s are refused on both kinds of ports",
    async (target) => {
      for (const fixedService of [undefined, payments]) {
        context.dispose()
        await listen({ fixedService })
        const client = connect().send(`CONNECT ${target} HTTP/1.1\r\nhost: x\r\n\r\n`)
        await client.end()
        expect(client.text).toMatch(/^HTTP\/1.1 400 [\s\S]*skein-error: bad_request/)
      }
    }
  )

  it("by CONNECT are answered with what was in the way, and reset once they stand", async () => {
    const connectText = "CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\n"
    const refused = connect().send(connectText)
    ;(await callee.next()).receiver.onFault(fault("upstream_connect"))
    await refused.receives(/^HTTP\/1.1 503 [\s\S]*skein-error: upstream_connect\r\n/)
    await refused.end()
    const reset = connect().send(connectText)
    const held = await callee.next()
    held.receiver.onHead(accepted)
    await reset.receives(/Established/)
    held.receiver.onFault(fault("upstream_reset"))
    await reset.closed
    expect(reset.error).toMatchObject({ code: "ECONNRESET" })
    const resets = context.metrics.families.get("skein_listener_tunnel_resets_total")?.cells
    expect([...(resets?.values() ?? [])]).toMatchObject([
      { labels: { code: "upstream_reset" }, cell: { value: 1 } }
    ])
  })
})

describe("clients that go away", () => {
  it.each([
    ["closing", (client: RawClient) => client.socket.destroy()],
    ["resetting", (client: RawClient) => client.socket.resetAndDestroy()]
  ])("by %s cancel their exchange", async (_, leave) => {
    const client = connect().send(get("/"))
    const held = await callee.next()
    leave(client)
    await held.until(() => held.cancelled !== undefined)
    expect(held.cancelled?.code).toBe("client_gone")
    while (listener.connections > 0) await turn()
  })

  it("in the middle of a body cancel their exchange", async () => {
    const client = connect().send(`${post(10)}123`)
    const held = await callee.next()
    client.socket.end()
    await held.until(() => held.cancelled !== undefined)
    expect(held.cancelled?.code).toBe("client_gone")
  })

  it.each([
    ["a body nobody takes", `${post(16 * 1024 * 1024)}${"x".repeat(8 * 1024 * 1024)}`],
    ["requests ahead", get("/").repeat(100_000)]
  ])("by resetting cancel their exchange while they are not read: %s", async (_, text) => {
    const client = connect()
    client.socket.write(text)
    const held = await callee.next()
    held.accept = false
    for (let i = 0; i < 200; i++) await turn()
    client.socket.resetAndDestroy()
    await client.closed
    context.ticker.advance(500)
    await held.until(() => held.cancelled !== undefined)
    expect(held.cancelled?.code).toBe("client_gone")
    while (listener.connections > 0) await turn()
  })

  it("after the last piece of a body, which was one too many, cancel their exchange", async () => {
    const client = connect().send(post(3))
    const held = await callee.next()
    held.accept = false
    client.send("123")
    await held.until(() => held.trailers !== undefined)
    client.socket.end()
    await held.until(() => held.cancelled !== undefined)
    expect(held.cancelled?.code).toBe("client_gone")
  })

  it("are not those that end their half while they are not read", async () => {
    const size = 4 * 1024 * 1024
    const client = connect()
    client.socket.end(Buffer.concat([Buffer.from(post(size)), Buffer.alloc(size)]))
    const held = await callee.next()
    held.accept = false
    for (let second = 0; second < 5; second++) {
      for (let i = 0; i < 50; i++) await turn()
      context.ticker.advance(1_000)
    }
    expect(held.cancelled).toBeUndefined()
    held.accept = true
    held.receiver.onWritable()
    await held.until(() => held.trailers !== undefined)
    expect(held.chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(size)
  })

  it("in the middle of a response cancel their exchange", async () => {
    const client = connect().send(get("/"))
    const held = await callee.next()
    held.receiver.onHead(responseHead(200, 10))
    held.receiver.onData(Buffer.from("12345"))
    await client.receives(/12345/)
    client.socket.destroy()
    await held.until(() => held.cancelled !== undefined)
  })
})

describe("time", () => {
  it("closes connections without a request after the idle timeout", async () => {
    const [fresh, used] = [connect(), connect().send(get("/"))]
    ;(await callee.next()).respond(200, "ok")
    await used.receives(/ok$/)
    while (listener.connections < 2) await turn()
    context.ticker.advance(59_000)
    await turn()
    expect(fresh.ended || used.ended).toBe(false)
    context.ticker.advance(1_500)
    await Promise.all([fresh.end(), used.end()])
    for (const client of [fresh, used]) client.socket.end()
    await Promise.all([fresh.closed, used.closed])
  })

  it("gives a head its time from the first byte, however it trickles", async () => {
    const client = connect()
    while (listener.connections === 0) await turn()
    context.ticker.advance(30_000)
    client.send("GET / HT")
    for (let i = 0; i < 50; i++) await turn()
    for (let second = 0; second < 9; second++) {
      context.ticker.advance(1_000)
      client.send("T")
      await turn()
    }
    expect(client.ended).toBe(false)
    context.ticker.advance(2_000)
    await client.end()
    expect(client.text).toMatch(/^HTTP\/1.1 408 /)
    expect(client.text).toContain("no whole request head within 10000 ms")
  })

  it("does not end connections that are busy", async () => {
    const client = connect().send(get("/"))
    const held = await callee.next()
    context.ticker.advance(600_000)
    held.respond(200, "ok")
    await client.receives(/ok$/)
  })

  it("destroys a connection whose client does not close after we did", async () => {
    const client = connect().send(get("/", "connection: close\r\n"))
    ;(await callee.next()).respond(200, "ok")
    await client.end()
    expect(listener.connections).toBe(1)
    context.ticker.advance(2_500)
    while (listener.connections > 0) await turn()
    context.ticker.advance(1_000)
    expect(context.ticker.timers).toBe(0)
  })
})

describe("drain", () => {
  it("closes idle connections, lets running requests finish, and accepts nothing", async () => {
    const idle = connect().send(get("/idle"))
    ;(await callee.next()).respond(200, "ok")
    await idle.receives(/ok$/)
    const busy = connect().send(get("/busy"))
    const held = await callee.next()
    const draining = listener.drain(10_000)
    await idle.end()
    idle.socket.end()
    const late = connect()
    await late.closed
    expect(late.error).toMatchObject({ code: "ECONNREFUSED" })
    held.respond(200, "done")
    await busy.end()
    expect(busy.text).toMatch(/connection: close\r\n\r\ndone$/)
    busy.socket.end()
    await draining
    expect(listener.connections).toBe(0)
  })

  it("closes what is left at its deadline", async () => {
    const client = connect().send(get("/"))
    const held = await callee.next()
    const draining = listener.drain(1_000)
    context.ticker.advance(990)
    await turn()
    expect(held.cancelled).toBeUndefined()
    context.ticker.advance(10)
    await draining
    await client.end()
    expect(held.cancelled?.code).toBe("draining")
  })

  it("is over when the listener is closed meanwhile, and can be asked for after that", async () => {
    const client = connect().send(get("/"))
    const held = await callee.next()
    const draining = listener.drain(10_000)
    listener.close()
    const late = listener.drain(10_000)
    await Promise.all([draining, late, client.end()])
    expect(held.cancelled?.code).toBe("draining")
    await listener.drain(10_000)
    listener.close()
    expect(context.ticker.timers).toBe(0)
  })
})

describe("without room for a connection", () => {
  const refusals = () => [
    ...(context.metrics.families.get("skein_listener_refused_total")?.cells.values() ?? [])
  ]
  const listenWithin = async (change: Partial<HttpListenerOptions>): Promise<void> => {
    context.dispose()
    await listen(change)
  }

  it.each<[string, string, () => Partial<HttpListenerOptions>]>([
    ["max_connections", "has 1 connections, its limit", () => ({ maxConnections: 1 })],
    ["descriptors", "limit of open files", () => ({ sockets: new SocketBudget(2).clients })]
  ])("(%s) says so to its first request, and counts it", async (reason, words, change) => {
    await listenWithin(change())
    const first = connect().send(get("/"))
    const held = await callee.next()
    const second = connect().send(get("/"))
    await second.end()
    expect(second.text).toMatch(/^HTTP\/1.1 503 [\s\S]*connection: close/i)
    expect(second.text).toMatch(/skein-error: overflow[\s\S]*skein-node: host-a/)
    expect(second.text).toContain(words)
    held.respond(200, "ok")
    await first.receives(/ok$/)
    expect(first.text).not.toMatch(/connection: close/i)
    expect(refusals()).toMatchObject([{ labels: { reason }, cell: { value: 1 } }])
    expect(callee.exchanges.length).toBe(1)
  })

  it("closes who says nothing within a second, and who comes when no socket is left for that", async () => {
    const budget = new SocketBudget(2, 1)
    await listenWithin({ sockets: budget.clients })
    connect().send(get("/"))
    await callee.next()
    const [silent, late] = [connect(), connect()]
    await late.until(() => late.ended || late.error !== undefined)
    expect(silent.ended).toBe(false)
    context.ticker.advance(2_000)
    await silent.end()
    silent.socket.end()
    while (!budget.clients.borrow()) await turn()
  })

  it("gives the place of one that was idle for a second", async () => {
    const budget = new SocketBudget(2)
    await listenWithin({ sockets: budget.clients })
    const idle = connect().send(get("/"))
    ;(await callee.next()).respond(200, "ok")
    await idle.receives(/ok$/)
    context.ticker.advance(1_000)
    const other = connect().send(get("/"))
    ;(await callee.next()).respond(200, "yes")
    await other.receives(/yes$/)
    await idle.end()
    expect(budget.clients.held).toBe(1)
    other.socket.end()
    while (budget.held > 0) await turn()
  })

  it("ends the turn of one that has had a second while others were refused", async () => {
    await listenWithin({ sockets: new SocketBudget(2).clients })
    const first = connect().send(get("/"))
    const held = await callee.next()
    context.ticker.advance(1_000)
    await connect().send(get("/")).end()
    held.respond(200, "ok")
    await first.end()
    expect(first.text).toMatch(/^HTTP\/1.1 200 [\s\S]*connection: close/i)
    // Nobody is refused any more, so nobody has to go.
    first.socket.end()
    context.ticker.advance(2_000)
    while (listener.connections > 0) await turn()
    const other = connect().send(get("/"))
    ;(await callee.next()).respond(200, "ok")
    await other.receives(/ok$/)
    expect(other.text).not.toMatch(/connection: close/i)
  })
})

it("serves node:http with keep-alive", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const ask = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      http
        .get(
          { port: listener.address.port, path, agent, headers: { host: "payments.mesh" } },
          (response) => {
            let text = ""
            response.on("data", (chunk) => {
              text += chunk
            })
            response.on("end", () => resolve(text))
          }
        )
        .on("error", reject)
    })
  for (const path of ["/1", "/2", "/3"]) {
    const answer = ask(path)
    ;(await callee.next()).respond(200, path)
    expect(await answer).toBe(path)
  }
  expect(listener.connections).toBe(1)
  agent.destroy()
})

describe("what throws", () => {
  it.each(["dispatch", "write", "end", "cancel"] as const)(
    "(%s) costs the connection it threw on",
    async (what) => {
      const defects: Array<unknown> = []
      const budget = new SocketBudget()
      const breaks = (): never => {
        throw new Error("thrown by the test")
      }
      context.dispose()
      await listen({
        sockets: budget.clients,
        onDefect: (error, where) => defects.push([where, String(error)]),
        dispatch: (call, receiver) => {
          if (what === "dispatch") breaks()
          return Object.assign(callee.dispatch(call, receiver), { [what]: breaks })
        }
      })
      for (const times of [1, 2]) {
        const client = connect().send(`${post(3)}abc`)
        if (what === "cancel") {
          await callee.next()
          client.socket.resetAndDestroy()
        }
        while (listener.connections > 0 || defects.length < times) await turn()
      }
      expect(budget.held).toBe(0)
      const told = ["a connection of an HTTP client", "Error: thrown by the test"]
      expect(defects.slice(0, 2)).toEqual([told, told])
    }
  )

  it("as connections are looked at does not end the looking", async () => {
    const { ticker } = context
    const client = connect()
    while (listener.connections === 0) await turn()
    const now = ticker.now.bind(ticker)
    ticker.now = () => {
      ticker.now = now
      throw new Error("thrown by the test")
    }
    expect(() => ticker.advance(500)).toThrow("thrown by the test")
    ticker.advance(60_000)
    ticker.advance(500)
    await client.end()
  })
})
