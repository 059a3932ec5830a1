/** Clients of HTTP/2 that nobody here wrote, through two nodes, to a program that speaks HTTP/1.1. */
import { createHash, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import http2 from "node:http2"
import type { AddressInfo } from "node:net"
import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"
import { frame, opcodes, type WebSocketApp, webSocketApp } from "../fixtures/WebSocketApp.ts"

const mesh = new TestMesh()
let a: Host
let port: number
let chat: WebSocketApp
const big = randomBytes(8 * 1024 * 1024)
const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const app = createServer((request, response) => {
  const url = request.url ?? ""
  if (url === "/big") return response.writeHead(200, { "content-length": big.length }).end(big)
  if (url === "/early") response.writeEarlyHints({ link: "</style.css>; rel=preload" })
  if (url === "/trailers") {
    response.writeHead(200, { trailer: "x-sum" })
    response.write("body")
    response.addTrailers({ "x-sum": "4" })
    return response.end()
  }
  if (url === "/never") return undefined
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    response.setHeader("Content-Type", "application/json")
    const { headers, method, trailers } = request
    const body = Buffer.concat(chunks)
    response.end(
      JSON.stringify({ method, url, headers, trailers, length: body.length, sha: sha(body) })
    )
  })
  return undefined
})

const curl = async (...args: ReadonlyArray<string>): Promise<string> => {
  const { end, stdout, stderr } = await run(program("curl"), [
    ...["-sS", "--http2-prior-knowledge", "--max-time", "20"],
    ...args
  ])
  if (end.code !== 0) throw new Error(stderr)
  return stdout
}

interface Answer {
  readonly status: number
  readonly headers: http2.IncomingHttpHeaders
  readonly trailers: http2.IncomingHttpHeaders | undefined
  readonly informed: ReadonlyArray<http2.IncomingHttpHeaders>
  readonly body: string
}

const ask = (
  client: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  send?: (stream: http2.ClientHttp2Stream) => void
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const stream = client.request(
      { ":authority": "web.mesh", ...headers },
      { endStream: send === undefined }
    )
    send?.(stream)
    const informed: Array<http2.IncomingHttpHeaders> = []
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {}
    let trailers: http2.IncomingHttpHeaders | undefined
    const chunks: Array<Buffer> = []
    stream.on("headers", (fields) => informed.push(fields))
    stream.on("response", (fields) => {
      head = fields
    })
    stream.on("trailers", (fields) => {
      trailers = fields
    })
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("error", reject)
    stream.on("end", () => {
      const body = Buffer.concat(chunks).toString()
      resolve({ status: head[":status"] ?? 0, headers: head, trailers, informed, body })
    })
  })

beforeAll(async () => {
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve))
  port = await freePort()
  a = await mesh.first("host-a", {
    upstreams: [{ service: "web", listen: `127.0.0.1:${port}`, protocol: "http" }]
  })
  const address = `127.0.0.1:${(app.address() as AddressInfo).port}` // it listens at a port
  chat = await webSocketApp({ onOpen: () => undefined })
  await mesh.join("host-b", {
    services: [
      { name: "web", address },
      { name: "chat", address: chat.address }
    ]
  })
  await until("host-a sees web", async () =>
    (await fetch(`http://127.0.0.1:${port}/`)).status === 200 ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await chat.close()
  app.closeAllConnections()
  app.close()
  await stopAll()
})

describe("curl with prior knowledge of HTTP/2", () => {
  it("gets through the port of a service and through the proxy's", async () => {
    const out = JSON.parse(await curl(`http://127.0.0.1:${port}/x?y=1`)) as Record<string, unknown>
    expect(out).toMatchObject({
      method: "GET",
      url: "/x?y=1",
      headers: { host: `127.0.0.1:${port}`, via: "2.0 host-a", "skein-caller": expect.any(String) }
    })
    const version = await curl(
      ...["-H", "Host: web.mesh", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"],
      `http://${a.proxy}/`
    )
    expect(version).toBe("2 200")
  })

  it("gets and sends large bodies", async () => {
    const { stdout } = await run("sh", [
      "-c",
      `${program("curl")} -sS --http2-prior-knowledge --max-time 20 http://127.0.0.1:${port}/big | sha256sum`
    ])
    expect(stdout.split(" ")[0]).toBe(sha(big))
    const client = http2.connect(`http://127.0.0.1:${port}`)
    const answer = await ask(client, { ":method": "PUT", ":path": "/up" }, (stream) =>
      stream.end(big)
    )
    expect(JSON.parse(answer.body)).toMatchObject({ length: big.length, sha: sha(big) })
    client.close()
  })

  it("sees the mesh's own answers", async () => {
    const out = await curl("-i", "-H", "Host: nobody.mesh", `http://${a.proxy}/`)
    expect(out).toContain("HTTP/2 404")
    expect(out).toContain("skein-error: route_not_found")
    expect(await curl("-i", "-H", "Host: evil.example", `http://127.0.0.1:${port}/`)).toContain(
      "HTTP/2 403"
    )
  })
})

describe("node:http2", () => {
  it("gets trailers, early hints, folded cookies and an answer to HEAD", async () => {
    const client = http2.connect(`http://${a.proxy}`)
    expect(await ask(client, { ":path": "/trailers" })).toMatchObject({
      status: 200,
      body: "body",
      trailers: { "x-sum": "4" }
    })
    const early = await ask(client, { ":path": "/early" })
    expect(early.informed).toMatchObject([{ ":status": 103, link: "</style.css>; rel=preload" }])
    const cookies = await ask(client, { ":path": "/", cookie: ["a=1", "b=2"], te: "trailers" })
    expect(JSON.parse(cookies.body)).toMatchObject({
      headers: { cookie: "a=1; b=2", te: "trailers" }
    })
    const head = await ask(client, { ":path": "/big", ":method": "HEAD" })
    expect(head.headers["content-length"]).toBe(String(big.length))
    expect(head.body).toBe("")
    client.close()
  })

  it("sends trailers, and a body when it is told to go on", async () => {
    const client = http2.connect(`http://${a.proxy}`)
    const answer = await ask(client, { ":method": "POST", ":path": "/" }, (stream) => {
      stream.end("part")
    })
    expect(JSON.parse(answer.body)).toMatchObject({
      length: 4,
      headers: { "transfer-encoding": "chunked" }
    })
    const told = await ask(
      client,
      { ":method": "POST", ":path": "/", expect: "100-continue", "content-length": "4" },
      (stream) => stream.once("continue", () => stream.end("body"))
    )
    expect(JSON.parse(told.body)).toMatchObject({ length: 4 })
    client.close()
  })

  it("has many requests at a time on one connection", async () => {
    const client = http2.connect(`http://${a.proxy}`)
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => ask(client, { ":path": `/${n}` }))
    )
    expect(answers.map(({ body }) => (JSON.parse(body) as { url: string }).url)).toEqual(
      answers.map((_, n) => `/${n}`)
    )
    client.close()
  })

  it("cancels what it does not want any more", async () => {
    const client = http2.connect(`http://${a.proxy}`)
    const asked = new Promise<IncomingMessage>((resolve) => app.once("request", resolve))
    const stream = client.request({ ":authority": "web.mesh", ":path": "/never" })
    stream.on("error", () => undefined)
    const request = await asked
    const gone = new Promise<void>((resolve) => request.once("close", resolve))
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await gone
    expect(await ask(client, { ":path": "/" })).toMatchObject({ status: 200 })
    client.close()
  })

  it("is answered 400 where a request is none, and goes on", async () => {
    const client = http2.connect(`http://${a.proxy}`)
    expect(await ask(client, { ":path": "/", ":authority": "a b" })).toMatchObject({
      status: 400,
      headers: { "skein-error": "bad_request" }
    })
    expect(await ask(client, { ":path": "/" })).toMatchObject({ status: 200 })
    client.close()
  })
})

describe("a WebSocket on a stream of node:http2's", () => {
  it("reaches a program of HTTP/1.1, both ways and to its close", async () => {
    const client = http2.connect(`http://${a.proxy}`)
    const settings = await new Promise<http2.Settings>((resolve) =>
      client.once("remoteSettings", resolve)
    )
    expect(settings.enableConnectProtocol).toBe(true)
    const stream = client.request({
      ...{ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/chat" },
      ...{ ":authority": "chat.mesh", "sec-websocket-version": "13" }
    })
    const head = await new Promise<http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader>(
      (resolve) => stream.once("response", resolve)
    )
    expect(head[":status"]).toBe(200)
    expect(head["sec-websocket-accept"]).toBeUndefined()
    let heard = Buffer.alloc(0)
    stream.on("data", (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
    })
    // A mask of nothing leaves a client's frame as a server's, but for its bit and four bytes.
    const masked = (opcode: number, text: Buffer): Buffer => {
      const plain = frame(opcode, text)
      const from = plain.length - text.length
      plain[1] = plain[1]! | 0x80
      return Buffer.concat([plain.subarray(0, from), Buffer.alloc(4), text])
    }
    const text = Buffer.from("hello ".repeat(20_000))
    stream.write(masked(opcodes.text, text))
    const answer = frame(opcodes.text, text)
    await until("it is echoed", async () => (heard.length >= answer.length ? true : undefined))
    expect(heard.equals(answer)).toBe(true)
    const closed = new Promise((resolve) => stream.once("end", resolve))
    stream.write(masked(opcodes.close, Buffer.of(3, 232)))
    await closed
    stream.end()
    await until("the program has closed it", async () => (chat.open() === 0 ? true : undefined))
    expect(chat.closed).toEqual([1_000])
    client.close()
  })
})

describe("h2load", () => {
  it("loses nothing on many connections with many streams", async () => {
    const { stdout } = await run(program("h2load"), [
      ...["-n", "2000", "-c", "4", "-m", "50", "-H", ":authority: web.mesh"],
      `http://${a.proxy}/load`
    ])
    expect(stdout).toContain("2000 done, 2000 succeeded, 0 failed, 0 errored")
    expect(stdout).toContain("status codes: 2000 2xx")
  })
})

describe("the first bytes", () => {
  it("tell HTTP/2 from a method that begins like it, however they are split", async () => {
    const socket = connect(port, "127.0.0.1")
    const heard: Array<Buffer> = []
    socket.on("data", (chunk) => heard.push(chunk))
    for (const part of [
      "P",
      "R",
      "OPFIND / HTTP/1.1\r\nHost: web.mesh\r\nConnection: close\r\n\r\n"
    ]) {
      await new Promise((resolve) => socket.write(part, resolve))
      await new Promise(setImmediate)
    }
    await new Promise((resolve) => socket.once("close", resolve))
    expect(Buffer.concat(heard).toString()).toMatch(
      /^HTTP\/1.1 200 OK\r\n[\s\S]*"method":"PROPFIND"/
    )
  })
})
