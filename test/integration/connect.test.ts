/** gRPC and gRPC-Web through two nodes, client and program by Connect; gRPC-Web by curl as well. */
import { Buffer } from "node:buffer"
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect"
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type ConnectShop, connectShop } from "../fixtures/ConnectShop.ts"
import { TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"
import { Shop } from "../fixtures/ShopService.ts"

const mesh = new TestMesh()
const page = "https://shop.example"
let shop: ConnectShop
let url: string
let down: string

beforeAll(async () => {
  shop = await connectShop()
  const [port, downPort] = [await freePort(), await freePort()]
  url = `http://127.0.0.1:${port}`
  down = `http://127.0.0.1:${downPort}`
  const common = { protocol: "grpc", grpcWeb: { origins: [page] } }
  await mesh.first("host-a", {
    upstreams: [
      { service: "shop", listen: `127.0.0.1:${port}`, ...common },
      { service: "down", listen: `127.0.0.1:${downPort}`, ...common }
    ]
  })
  await mesh.join("host-b", {
    services: [
      { name: "shop", address: `127.0.0.1:${shop.port}`, protocol: "grpc" },
      { name: "down", address: `127.0.0.1:${await freePort()}`, protocol: "grpc" }
    ]
  })
  const client = createClient(Shop, createGrpcTransport({ baseUrl: url }))
  await until("host-a sees shop", () =>
    client.charge({ value: "ready" }).then(
      () => true,
      () => undefined
    )
  )
})

afterAll(async () => {
  await mesh.stop()
  shop.close()
  await stopAll()
})

const failure = async (call: Promise<unknown>): Promise<ConnectError> => {
  try {
    await call
  } catch (error) {
    if (error instanceof ConnectError) return error
    throw error
  }
  throw new Error("it did not fail")
}

const transports: ReadonlyArray<readonly [string, (baseUrl: string) => Transport]> = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web by HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC-Web by HTTP/2", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })]
]

describe.each(transports)("Connect's %s", (_, make) => {
  const client = () => createClient(Shop, make(url))

  it("brings message, metadata and trailers both ways", async () => {
    let head: Headers | undefined
    let trailers: Headers | undefined
    const { value } = await client().charge(
      { value: "5 euros" },
      {
        headers: { "x-asks": "a client" },
        timeoutMs: 5_000,
        onHeader: (fields) => {
          head = fields
        },
        onTrailer: (fields) => {
          trailers = fields
        }
      }
    )
    expect(value).toBe("connect: 5 euros")
    expect(head?.get("x-head")).toBe("at the beginning")
    expect(trailers?.get("x-trailer")).toBe("at the end")
    expect(shop.seen?.headers.get("x-asks")).toBe("a client")
    expect(shop.seen?.timeout).toBeGreaterThan(1_000)
    expect(shop.seen?.timeout).toBeLessThanOrEqual(5_000)
  })

  it("fails as the program says", async () => {
    const error = await failure(client().charge({ value: "fail 9 not now: 50 %" }))
    expect(error.code).toBe(Code.FailedPrecondition)
    expect(error.rawMessage).toBe("not now: 50 %")
    expect(error.metadata.get("x-why")).toBe("not now: 50 %")
  })

  it("fails as the mesh says", async () => {
    const error = await failure(createClient(Shop, make(down)).charge({ value: "x" }))
    expect(error.code).toBe(Code.Unavailable)
    expect(error.metadata.get("skein-error")).toBe("upstream_connect")
    expect(error.metadata.get("skein-node")).toBe("host-b")
  })

  it("streams answers as they come, to their end or until it has had enough", async () => {
    const heard: Array<string> = []
    for await (const { value } of client().watch({ value: "1000" })) heard.push(value)
    expect(heard).toEqual(Array.from({ length: 1_000 }, (_, n) => `message ${n}`))
    const before = shop.cancelled
    for await (const { value } of client().watch({ value: "2+" })) if (value === "message 1") break
    await until("the program hears of it", async () => (shop.cancelled > before ? true : undefined))
  })

  it("fails when its time is over, and the program hears of it", async () => {
    const before = shop.cancelled
    const drain = async (): Promise<void> => {
      for await (const _ of client().watch({ value: "1+" }, { timeoutMs: 300 }));
    }
    expect((await failure(drain())).code).toBe(Code.DeadlineExceeded)
    await until("the program hears of it", async () => (shop.cancelled > before ? true : undefined))
  })

  it("streams requests", async () => {
    const { value } = await client().upload(
      (async function* () {
        for (let n = 0; n < 500; n++) yield { value: `message ${n}` }
      })()
    )
    expect(value).toBe("500")
  })
})

describe("Connect's gRPC", () => {
  it("streams both ways, message by message", async () => {
    const asked = ["one", "two", "three"]
    const heard: Array<string> = []
    let answered: () => void = () => undefined
    const client = createClient(Shop, createGrpcTransport({ baseUrl: url }))
    const words = async function* () {
      for (const value of asked) {
        const answer = new Promise<void>((resolve) => {
          answered = resolve
        })
        yield { value }
        await answer
      }
    }
    for await (const { value } of client.chat(words())) {
      heard.push(value)
      answered()
    }
    expect(heard).toEqual(asked.map((word) => `connect: ${word}`))
  })
})

describe("curl as a browser", () => {
  const curl = async (...args: ReadonlyArray<string>): Promise<string> => {
    const { end, stderr, stdout } = await run(program("curl"), ["-sS", "--max-time", "20", ...args])
    if (end.code !== 0) throw new Error(stderr)
    return stdout
  }
  /** A StringValue as one message, in base64. */
  const asked = (value: string): string => {
    const message = Buffer.concat([Buffer.of(0x0a, value.length), Buffer.from(value)])
    return Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]).toString("base64")
  }

  it("asks whether it may, and calls in base64", async () => {
    const preflight = await curl(
      ...["-i", "-X", "OPTIONS", "-H", `Origin: ${page}`],
      ...["-H", "Access-Control-Request-Method: POST"],
      ...["-H", "Access-Control-Request-Headers: content-type,x-grpc-web"],
      `${url}/shop.v1.Shop/Charge`
    )
    expect(preflight).toMatch(/^HTTP\/1\.1 200 /)
    expect(preflight).toContain(`access-control-allow-origin: ${page}\r\n`)
    const answer = await curl(
      ...["-i", "-H", "Content-Type: application/grpc-web-text+proto", "-H", "X-Grpc-Web: 1"],
      ...["-H", `Origin: ${page}`, "--data-binary", asked("5 euros")],
      `${url}/shop.v1.Shop/Charge`
    )
    const [head = "", body = ""] = answer.split("\r\n\r\n")
    expect(head).toContain(`access-control-allow-origin: ${page}\r\n`)
    expect(head).toMatch(/access-control-expose-headers: .*x-head/)
    expect(head).toContain("content-type: application/grpc-web-text+proto\r\n")
    // Each piece is padded; they are read one by one.
    const text = (body.match(/[^=]+={0,2}/g) ?? [])
      .map((piece) => Buffer.from(piece, "base64").toString("latin1"))
      .join("")
    expect(text).toContain("connect: 5 euros")
    expect(text).toContain("grpc-status: 0\r\n")
  })

  it("of another page is denied", async () => {
    const answer = await curl(
      ...["-i", "-H", "Content-Type: application/grpc-web", "-H", "Origin: https://evil.example"],
      ...["--data-binary", "x", `${url}/shop.v1.Shop/Charge`]
    )
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect(answer).toContain("skein-error: denied\r\n")
  })
})
