/** gRPC-Web at a listener, the mesh behind it by hand. */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { fieldValue, noFields } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { ServiceName } from "../../model/Names.ts"
import { type HeldExchange, HoldingCallee, makeContext } from "../../testing/ListenerFixture.ts"
import { GrpcFrames } from "./GrpcFrames.ts"
import { openHttpListener } from "./HttpListener.ts"

const page = "https://shop.example"
const payments = ServiceName.make("payments")
const context = makeContext()
let callee: HoldingCallee
let url: string

beforeEach(async () => {
  callee = new HoldingCallee()
  const listener = await context.open(
    openHttpListener({
      ...context.base,
      dispatch: callee.dispatch,
      fixedService: payments,
      grpcWeb: [page]
    })
  )
  url = `http://127.0.0.1:${listener.address.port}/shop.v1.Payments/Charge`
})

afterEach(() => context.dispose())

/** One message of gRPC. */
const message = (text: string, flag = 0): Buffer<ArrayBuffer> => {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(text.length, 1)
  return Buffer.concat([prefix, Buffer.from(text)])
}

const call = (
  body: string | Buffer<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {}
): Promise<Response> =>
  fetch(url, {
    method: "POST",
    body,
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", ...headers }
  })

const bodyOf = async (answer: Response): Promise<Buffer> => Buffer.from(await answer.arrayBuffer())
const fieldsOf = ({ call: { head } }: HeldExchange) => head?.fields ?? []
const ends = async (held: HeldExchange): Promise<void> => {
  while (held.trailers === undefined) await new Promise(setImmediate)
}

const grpcHead = (fields: ReadonlyArray<string> = []) => ({
  ...({ status: 200, reason: "", framing: { kind: "stream" }, upgrade: undefined } as const),
  fields: ["content-type", "application/grpc+proto", ...fields]
})

const fault = (change: Partial<Fault> = {}): Fault => ({
  code: "upstream_reset",
  message: "broke off",
  node: "host-b",
  service: payments,
  sent: true,
  ...change
})

describe("a call of gRPC-Web", () => {
  it("is one of gRPC to the mesh, and its trailers are a message", async () => {
    const answer = call(message("5 euros"), { "grpc-timeout": "2S", accept: "*/*" })
    const held = await callee.next()
    await ends(held)
    const fields = fieldsOf(held)
    expect(fieldValue(fields, "content-type")).toBe("application/grpc+proto")
    expect(fieldValue(fields, "te")).toBe("trailers")
    for (const name of ["x-grpc-web", "accept", "accept-encoding"]) {
      expect(fieldValue(fields, name)).toBeUndefined()
    }
    expect(held.call.deadline).toBe(2_000)
    expect(Buffer.concat(held.chunks)).toEqual(message("5 euros"))
    held.receiver.onHead(grpcHead(["x-head", "1"]))
    held.receiver.onData(message("paid"))
    held.receiver.onEnd(["grpc-status", "0", "X-Trailer", "2"])
    const { headers, status } = await answer
    expect(status).toBe(200)
    expect(headers.get("content-type")).toBe("application/grpc-web+proto")
    expect(headers.get("x-head")).toBe("1")
    expect(headers.get("access-control-allow-origin")).toBeNull()
    expect(await bodyOf(await answer)).toEqual(
      Buffer.concat([message("paid"), message("grpc-status: 0\r\nx-trailer: 2\r\n", 0x80)])
    )
  })

  it("in base64 is answered in base64", async () => {
    const bytes = message("5 euros")
    const text = bytes.subarray(0, 4).toString("base64") + bytes.subarray(4).toString("base64")
    const answer = call(text, { "content-type": "application/grpc-web-text" })
    const held = await callee.next()
    await ends(held)
    expect(fieldValue(fieldsOf(held), "content-type")).toBe("application/grpc")
    expect(Buffer.concat(held.chunks)).toEqual(bytes)
    held.receiver.onHead(grpcHead())
    held.receiver.onData(message("paid"))
    held.receiver.onEnd(["grpc-status", "0"])
    const got = await answer
    expect(got.headers.get("content-type")).toBe("application/grpc-web-text+proto")
    expect((await bodyOf(got)).toString()).toBe(
      message("paid").toString("base64") + message("grpc-status: 0\r\n", 0x80).toString("base64")
    )
  })

  it("gets what it accepts", async () => {
    const answer = call(message("x"), { accept: "application/grpc-web-text+proto" })
    const held = await callee.next()
    held.receiver.onHead(grpcHead())
    held.receiver.onEnd(["grpc-status", "0"])
    expect((await answer).headers.get("content-type")).toBe("application/grpc-web-text+proto")
    expect((await bodyOf(await answer)).toString()).toBe(
      message("grpc-status: 0\r\n", 0x80).toString("base64")
    )
  })

  it("gets an answer of trailers alone as a message, too", async () => {
    const answer = call(message("x"))
    const held = await callee.next()
    held.receiver.onHead(
      grpcHead(["grpc-status", "9", "grpc-message", "not now", "x-why", "because", "server", "s"])
    )
    held.receiver.onEnd(noFields)
    const got = await answer
    expect(got.headers.get("grpc-status")).toBeNull()
    expect(got.headers.get("server")).toBe("s")
    expect(await bodyOf(got)).toEqual(
      message("grpc-status: 9\r\ngrpc-message: not now\r\nx-why: because\r\n", 0x80)
    )
  })

  it("gets what is no answer of gRPC as it is", async () => {
    const answer = call(message("x"), { origin: page })
    const held = await callee.next()
    held.respond(404, "nobody", { fields: ["content-type", "text/plain"] })
    const got = await answer
    expect(got.status).toBe(404)
    expect(got.headers.get("access-control-allow-origin")).toBe(page)
    expect(await got.text()).toBe("nobody")
  })

  it("that is refused for its base64 costs the call", async () => {
    const answer = call("AAAA!AAA", { "content-type": "application/grpc-web-text+proto" })
    const held = await callee.next()
    const text = Buffer.from(await (await answer).text(), "base64").toString()
    expect(text).toContain("grpc-status: 13\r\n")
    expect(text).toContain("skein-error: bad_request\r\n")
    expect(held.cancelled?.code).toBe("bad_request")
  })

  it("that ends within a group of base64 is not whole", async () => {
    const answer = call("AAAAA", { "content-type": "application/grpc-web-text" })
    const held = await callee.next()
    const text = Buffer.from(await (await answer).text(), "base64").toString()
    expect(text).toContain("skein-error: bad_request\r\n")
    expect(held.trailers).toBeUndefined()
  })

  it("is cancelled when its client goes", async () => {
    const gone = new AbortController()
    const answer = fetch(url, {
      method: "POST",
      body: message("x"),
      headers: { "content-type": "application/grpc-web" },
      signal: gone.signal
    })
    const held = await callee.next()
    gone.abort()
    await expect(answer).rejects.toThrow()
    while (held.cancelled === undefined) await new Promise(setImmediate)
    expect(held.cancelled.code).toBe("client_gone")
  })
})

describe("what the mesh has to say", () => {
  const said = (bytes: Buffer): string => bytes.subarray(5).toString()

  it("is a status in the body", async () => {
    const answer = call(message("x"), { origin: page })
    const held = await callee.next()
    held.receiver.onFault(fault({ code: "upstream_connect" }))
    const got = await answer
    expect(got.status).toBe(200)
    expect(got.headers.get("access-control-expose-headers")).toContain("skein-node")
    expect(said(await bodyOf(got))).toBe(
      "grpc-status: 14\r\ngrpc-message: broke off\r\nskein-error: upstream_connect\r\nskein-node: host-b\r\n"
    )
  })

  it("comes between messages", async () => {
    const answer = call(message("x"))
    const held = await callee.next()
    held.receiver.onHead(grpcHead())
    held.receiver.onData(message("one"))
    held.receiver.onFault(fault())
    const bytes = await bodyOf(await answer)
    expect(bytes.subarray(0, 8)).toEqual(message("one"))
    expect(said(bytes.subarray(8))).toContain("grpc-status: 14\r\n")
  })

  it.each(["onEnd", "onFault"] as const)("within one breaks the answer off (%s)", async (how) => {
    const answer = call(message("x"))
    const held = await callee.next()
    held.receiver.onHead(grpcHead())
    held.receiver.onData(message("one").subarray(0, 7))
    const got = await answer
    if (how === "onEnd") held.receiver.onEnd(["grpc-status", "0"])
    else held.receiver.onFault(fault())
    await expect(got.arrayBuffer()).rejects.toThrow()
  })

  it("comes without the mesh, where nobody was called", async () => {
    const proxy = await context.open(
      openHttpListener({ ...context.base, dispatch: callee.dispatch, grpcWeb: [] })
    )
    url = `http://127.0.0.1:${proxy.address.port}/shop.v1.Payments/Charge`
    const got = await call(message("x"))
    expect(got.status).toBe(200)
    expect(got.headers.get("content-type")).toBe("application/grpc-web+proto")
    const text = said(await bodyOf(got))
    expect(text).toContain("grpc-status: 12\r\n")
    expect(text).toContain("skein-error: route_not_found\r\n")
    expect(text).not.toContain("skein-node")
    expect(got.headers.get("skein-node")).toBe("host-a")
  })
})

describe("pages", () => {
  const preflight = (origin: string, asked = "content-type,x-grpc-web,x-user-agent") =>
    fetch(url, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": asked
      }
    })

  it("are told that they may", async () => {
    const { headers, status } = await preflight(page)
    expect(status).toBe(200)
    expect(Object.fromEntries(headers)).toMatchObject({
      "access-control-allow-origin": page,
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": "content-type, x-grpc-web, x-user-agent",
      "access-control-max-age": "7200",
      vary: "Origin"
    })
    expect(callee.exchanges).toEqual([])
  })

  it("may read the answer", async () => {
    const answer = call(message("x"), { origin: page })
    const held = await callee.next()
    held.receiver.onHead(grpcHead(["x-head", "1", "access-control-allow-origin", "*"]))
    held.receiver.onEnd(["grpc-status", "0"])
    const { headers } = await answer
    expect(headers.get("access-control-allow-origin")).toBe(page)
    expect(headers.get("access-control-expose-headers")).toBe(
      "grpc-status, grpc-message, skein-error, skein-node, x-head"
    )
  })

  it("of the port's own origin may call", async () => {
    const answer = call(message("x"), { origin: new URL(url).origin })
    const held = await callee.next()
    held.receiver.onHead(grpcHead())
    held.receiver.onEnd(["grpc-status", "0"])
    expect((await answer).status).toBe(200)
  })

  it.each(["https://evil.example", "null", "https://shop.example.evil.example"])(
    "of %s may not",
    async (origin) => {
      for (const answer of [await preflight(origin), await call(message("x"), { origin })]) {
        expect(answer.status).toBe(403)
        expect(answer.headers.get("skein-error")).toBe("denied")
        expect(answer.headers.get("access-control-allow-origin")).toBeNull()
        expect(await answer.text()).toContain(`pages of ${origin} may not call`)
      }
      expect(callee.exchanges).toEqual([])
    }
  )

  it("that ask for something else are the program's to answer", async () => {
    const answer = preflight("https://evil.example", "content-type")
    const held = await callee.next()
    expect(held.call.head?.method).toBe("OPTIONS")
    held.respond(204, undefined)
    expect((await answer).status).toBe(204)
  })
})

describe("where it is not asked for", () => {
  it("gRPC-Web passes through as it came", async () => {
    const plain = await context.open(
      openHttpListener({ ...context.base, dispatch: callee.dispatch, fixedService: payments })
    )
    url = `http://127.0.0.1:${plain.address.port}/shop.v1.Payments/Charge`
    const answer = call(message("x"), { origin: "https://evil.example" })
    const held = await callee.next()
    expect(fieldValue(fieldsOf(held), "content-type")).toBe("application/grpc-web+proto")
    held.respond(200, "as it is")
    expect(await (await answer).text()).toBe("as it is")
  })
})

describe("messages", () => {
  it("are told apart however they come", () => {
    const bytes = Buffer.concat([message("one"), message(""), message("three")])
    const frames = new GrpcFrames()
    const between: Array<number> = []
    for (let i = 0; i < bytes.length; i++) {
      frames.feed(bytes.subarray(i, i + 1))
      if (frames.between) between.push(i + 1)
    }
    expect(between).toEqual([8, 13, 23])
    const whole = new GrpcFrames()
    whole.feed(bytes)
    expect(whole.between).toBe(true)
  })
})
