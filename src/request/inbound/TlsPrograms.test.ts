/** Programs that only speak TLS, in all the protocols that endpoints speak. */
import http2 from "node:http2"
import https from "node:https"
import net from "node:net"
import tls from "node:tls"
import { afterEach, describe, expect, it, vi } from "vitest"
import { TestCa } from "../../../test/fixtures/Certificates.ts"
import { type Call, noFields, type ResponseReceiver } from "../../model/Exchange.ts"
import type { LocalService, ProgramProtocol } from "../../model/LocalService.ts"
import type { ProgramTls } from "../../model/ProgramTls.ts"
import {
  exchange,
  HandTicker,
  httpCall,
  payments,
  RecordingReceiver,
  self,
  startProgram,
  tcpCall
} from "../../testing/InboundFixture.ts"
import { MetricRegistry } from "../cells/Metrics.ts"
import { SocketBudget, type SocketLane } from "../socket/SocketBudget.ts"
import { InboundMetrics } from "./InboundMetrics.ts"
import { LocalEndpoint } from "./LocalEndpoint.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const ca = new TestCa()
const forPay = ca.issue(["pay.test"])

const program = async (server: net.Server): Promise<number> => {
  const started = await startProgram(server)
  cleanups.push(started.close)
  return started.port
}

const endpointAt = (
  port: number,
  protocol: ProgramProtocol,
  given: Partial<ProgramTls> = {},
  sockets?: SocketLane
) => {
  const both = ["h2", "http/1.1"]
  const alpn = { http: ["http/1.1"], http2: ["h2"], grpc: ["h2"], tcp: [], auto: both }[protocol]
  const service: LocalService = {
    ...{ name: payments, protocol, endpoints: [] },
    tls: { ca: ca.cert, serverName: "pay.test", alpn, ...given }
  }
  const endpoint = new LocalEndpoint({
    service,
    address: { id: "0", host: "127.0.0.1", port, weight: 100 },
    node: self.node,
    ticker: new HandTicker(),
    sockets,
    metrics: new InboundMetrics(new MetricRegistry(), self.peer)
  })
  cleanups.push(() => endpoint.retire())
  return (call: Call, receiver: ResponseReceiver) =>
    endpoint.transport(call.kind).open(call, call.head?.fields ?? noFields, receiver)
}

const web = (certificate = forPay) =>
  program(
    https.createServer(certificate, (request, response) => {
      const { alpnProtocol, servername } = request.socket as tls.TLSSocket & { servername: string }
      response.write(`${alpnProtocol} ${servername} `)
      request.pipe(response)
    })
  )

const h2 = (options: http2.SecureServerOptions = {}) =>
  program(
    http2.createSecureServer({ ...forPay, ...options }, (request, response) => {
      response.write(`h2 ${request.stream.session?.alpnProtocol} `)
      request.pipe(response)
    })
  )

const post = (body: string) => ({
  call: httpCall({ method: "POST", framing: { kind: "length", length: body.length } }),
  body
})

/** Why a call cannot be made, without the words before it. */
const why = async (
  port: number,
  given: Partial<ProgramTls>,
  protocol: ProgramProtocol = "http"
) => {
  const call = protocol === "tcp" ? tcpCall() : httpCall()
  const { fault } = await exchange(endpointAt(port, protocol, given), call)
  expect(fault).toMatchObject({ code: "upstream_connect", sent: false })
  return fault?.message.replace(/^.*could not be connected to: /, "")
}

describe("a program that only speaks TLS", () => {
  it("is called by HTTP/1.1, over one kept connection", async () => {
    const server = https.createServer(forPay, (_, response) => response.end("ok"))
    const started = await startProgram(server)
    cleanups.push(started.close)
    const dispatch = endpointAt(started.port, "http")
    for (let i = 0; i < 3; i++) expect((await exchange(dispatch, httpCall())).text).toBe("ok")
    expect(started.accepted()).toBe(1)
    const { call, body } = post("x".repeat(300_000))
    const echoed = await exchange(endpointAt(await web(), "http"), call, body)
    expect(echoed.text).toBe(`http/1.1 pay.test ${body}`)
  })

  it("is called by HTTP/2", async () => {
    const dispatch = endpointAt(await h2(), "http2")
    const { call, body } = post("x".repeat(300_000))
    const [one, two] = await Promise.all([
      exchange(dispatch, call, body),
      exchange(dispatch, post("b").call, "b")
    ])
    expect(one.text).toBe(`h2 h2 ${body}`)
    expect(two.text).toBe("h2 h2 b")
  })

  it("chooses by which HTTP it is called, where nobody has said", async () => {
    const { call, body } = post("x".repeat(300_000))
    const two = await exchange(endpointAt(await h2(), "auto"), call, body)
    expect(two.text).toBe(`h2 h2 ${body}`)
    const one = await exchange(endpointAt(await web(), "auto"), call, body)
    expect(one.text).toBe(`http/1.1 pay.test ${body}`)
    const { text } = await exchange(endpointAt(await web(), "auto", { alpn: [] }), call, body)
    expect(text).toBe(`http/1.1 pay.test ${body}`)
    expect(await why(await web(), { ca: undefined }, "auto")).toContain("no CA that is known here")
  })

  it("is not called where the runtime refuses to begin, and nothing stays taken", async () => {
    const server = https.createServer(forPay, (_, response) => response.end("ok"))
    const started = await startProgram(server)
    cleanups.push(started.close)
    for (const protocol of ["http", "http2", "tcp"] as const) {
      const sockets = new SocketBudget(2).programs
      const given = { alpn: ["x".repeat(300)] }
      const dispatch = endpointAt(started.port, protocol, given, sockets)
      for (let i = 0; i < 3; i++) {
        const call = protocol === "tcp" ? tcpCall() : httpCall()
        const { fault } = await exchange(dispatch, call)
        expect(fault).toMatchObject({ code: "upstream_connect", sent: false })
        expect(fault?.message).toContain("could not be connected to: TLS cannot be begun: ")
      }
      await vi.waitFor(() => expect(sockets.held).toBe(0))
    }
  })

  it("is carried bytes, with a half that ends before the other", async () => {
    const port = await program(
      tls.createServer({ ...forPay, allowHalfOpen: true }, (socket) => {
        let heard = ""
        socket.on("data", (chunk) => {
          heard += chunk
        })
        socket.on("end", () => socket.end(`heard ${heard.length}`))
      })
    )
    const { text } = await exchange(endpointAt(port, "tcp"), tcpCall(), "x".repeat(200_000))
    expect(text).toBe("heard 200000")
  })

  it("is reset when its caller breaks off, and not told of an end", async () => {
    let told = ""
    const gone = Promise.withResolvers<void>()
    const port = await program(
      tls.createServer({ ...forPay, allowHalfOpen: true }, (socket) => {
        socket.on("data", () => socket.write("heard"))
        socket.on("end", () => {
          told += "end "
        })
        socket.on("error", (error) => {
          told += "code" in error ? error.code : error.message
        })
        socket.on("close", () => gone.resolve())
      })
    )
    const receiver = new RecordingReceiver()
    const stream = endpointAt(port, "tcp")(tcpCall(), receiver)
    stream.write(Buffer.from("x"))
    await receiver.until(() => receiver.bytes > 0)
    const fault = { code: "client_gone", message: "", node: "", service: undefined, sent: true }
    stream.cancel({ ...fault, code: "client_gone" })
    await gone.promise
    expect(told).toBe("ECONNRESET")
  })

  it("that is another than it is to be hears nothing", async () => {
    const heard: Array<string> = []
    const port = await program(
      tls.createServer(new TestCa("another CA").issue(["pay.test"]), (socket) => {
        socket.on("data", (chunk) => heard.push(chunk.toString()))
        socket.on("error", () => undefined)
      })
    )
    for (const protocol of ["http", "http2", "tcp"] as const) {
      expect(await why(port, { alpn: [] }, protocol)).toMatch(
        /^no CA of tls\.ca has signed its certificate, CN=another CA has .*tls\.pin: sha256\//
      )
    }
    expect(heard).toEqual([])
  })

  it("says what is wrong with its certificate, and what the mend is", async () => {
    const port = await web()
    expect(await why(port, { serverName: undefined })).toBe(
      "its certificate is for DNS:pay.test and not for 127.0.0.1; write one of its names to tls.serverName"
    )
    expect(await why(port, { ca: undefined })).toMatch(
      /^no CA that is known here has signed its certificate, CN=test CA has/
    )
    const pin = /sha256\/\S{44}/.exec((await why(port, { ca: undefined })) ?? "")?.[0] ?? ""
    const pinned = { ca: undefined, serverName: undefined, pins: [pin] }
    expect((await exchange(endpointAt(port, "http", pinned), httpCall())).head?.status).toBe(200)
    const other = `sha256/${"A".repeat(43)}=`
    expect(await why(port, { ...pinned, pins: [other] })).toContain(`its key is ${pin}`)
    const anybody = { ca: undefined, serverName: undefined, insecure: true }
    expect((await exchange(endpointAt(port, "http", anybody), httpCall())).head?.status).toBe(200)
    const old = await web(ca.issue(["pay.test"], new Date(Date.now() - 60_000)))
    expect(await why(old, {})).toMatch(/^its certificate has expired \(/)
    const byAddress = await web(ca.issue(["127.0.0.1"]))
    const named = endpointAt(byAddress, "http", { serverName: undefined })
    expect((await exchange(named, httpCall())).head?.status).toBe(200)
  })

  it("says what it does not speak", async () => {
    expect(await why(await h2(), { alpn: ["http/1.1"] }, "http2")).toMatch(
      /it speaks nothing of what is offered \(tls\.alpn\)$/
    )
    const plain = await program(
      net.createServer((socket) => {
        socket.on("error", () => undefined)
        socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      })
    )
    expect(await why(plain, {})).toMatch(/it does not speak TLS; leave out tls, or let it$/)
    const closing = await program(
      net.createServer((socket) => socket.on("data", () => undefined).end())
    )
    expect(await why(closing, {})).toMatch(/it closed the connection within the handshake of TLS$/)
    const tls11 = await program(
      tls.createServer({ ...forPay, minVersion: "TLSv1", maxVersion: "TLSv1.1" })
    )
    expect(await why(tls11, {})).toMatch(/it speaks neither TLS 1\.2 nor TLS 1\.3$/)
  })
})
