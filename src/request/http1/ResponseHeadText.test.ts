import { describe, expect, it } from "vitest"
import { type Framing, noBody, streamBody } from "../../model/Exchange.ts"
import { StrictBlocks } from "./BlockSource.ts"
import { defaultHttp1Limits } from "./Limits.ts"
import {
  decodeResponseHead,
  type ParsedResponse,
  type ResponseBody,
  readResponseHead
} from "./ResponseHeadText.ts"

const read = (text: string, method = "GET"): ParsedResponse =>
  readResponseHead(`${text}\r\n\r\n`, method, new StrictBlocks(defaultHttp1Limits, "program"))

const length = (bytes: number): Framing => ({ kind: "length", length: bytes })

describe("readResponseHead", () => {
  it("reads status, reason and fields", () => {
    expect(
      read("HTTP/1.1 404 Not  found\xe9\r\nX: y\r\nSet-Cookie: a\r\nset-cookie: b").head
    ).toEqual({
      status: 404,
      reason: "Not  found\xe9",
      fields: ["X", "y", "Set-Cookie", "a", "set-cookie", "b"],
      framing: streamBody,
      upgrade: undefined
    })
  })

  it("takes a status line without reason, with and without the blank", () => {
    expect(read("HTTP/1.1 200").head).toMatchObject({ status: 200, reason: "" })
    expect(read("HTTP/1.1 200 ").head).toMatchObject({ status: 200, reason: "" })
  })

  it("reads any HTTP/1.x, and no other", () => {
    expect(read("HTTP/1.2 200 OK\r\nContent-Length: 0")).toMatchObject({
      version: 1,
      keepAlive: true
    })
    expect(read("HTTP/1.0 200 OK\r\nContent-Length: 0")).toMatchObject({
      version: 0,
      keepAlive: false
    })
    for (const version of ["HTTP/2.0", "HTTP/1.10", "HTTP/0.9"]) {
      expect(() => read(`${version} 200 OK`)).toThrow(
        expect.objectContaining({ rule: "bad_version" })
      )
    }
  })

  const cases: ReadonlyArray<
    readonly [text: string, method: string, Framing, ResponseBody, keepAlive: boolean]
  > = [
    ["HTTP/1.1 200 OK\r\nContent-Length: 5", "GET", length(5), "length", true],
    ["HTTP/1.1 200 OK\r\nContent-Length: 0", "GET", length(0), "length", true],
    // RFC 9112 §6.3: processed with the single value, if all are valid and the same.
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5", "GET", length(5), "length", true],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5, 005 ,", "GET", length(5), "length", true],
    [
      "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\nContent-Length: 05",
      "GET",
      length(5),
      "length",
      true
    ],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", "GET", streamBody, "chunked", true],
    ["HTTP/1.1 200 OK", "GET", streamBody, "until_close", false],
    [
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close",
      "GET",
      length(5),
      "length",
      false
    ],
    ["HTTP/1.0 200 OK\r\nContent-Length: 5", "GET", length(5), "length", false],
    [
      "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive",
      "GET",
      length(5),
      "length",
      true
    ],
    ["HTTP/1.0 200 OK\r\nConnection: keep-alive", "GET", streamBody, "until_close", false],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD", length(5), "none", true],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "HEAD", streamBody, "none", true],
    ["HTTP/1.1 200 OK", "HEAD", noBody, "none", true],
    ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5", "GET", length(5), "none", true],
    ["HTTP/1.1 304 Not Modified", "GET", noBody, "none", true],
    ["HTTP/1.1 204 No Content", "GET", noBody, "none", true],
    ["HTTP/1.1 204 No Content\r\nContent-Length: 0", "GET", noBody, "none", true],
    ["HTTP/1.1 204 No Content\r\nContent-Length: 5", "GET", noBody, "none", false],
    ["HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked", "GET", noBody, "none", false],
    ["HTTP/1.1 100 Continue", "POST", noBody, "none", true],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5", "CONNECT", streamBody, "tunnel", false],
    ["HTTP/1.1 403 No\r\nContent-Length: 5", "CONNECT", length(5), "length", true]
  ]
  it.each(cases)("%j to %s", (text, method, framing, body, keepAlive) => {
    const parsed = read(text, method)
    expect(parsed.head.framing).toEqual(framing)
    expect(parsed).toMatchObject({ body, keepAlive })
  })

  it("reads a switch of protocols", () => {
    const parsed = read("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y")
    expect(parsed.body).toBe("tunnel")
    expect(parsed.head).toMatchObject({
      upgrade: "websocket",
      framing: streamBody,
      fields: ["X", "y"]
    })
  })

  it.each([
    ["timeout=5, max=10", 5],
    ["max=10,timeout = 7", 7],
    ['timeout\t=\t"9"', 9],
    ["xtimeout=3", undefined],
    ["timeout", undefined]
  ])("reads how long a connection is kept: %j", (value, seconds) => {
    const { keepAliveTimeout } = read(
      `HTTP/1.1 200 OK\r\nKeep-Alive: ${value}\r\nContent-Length: 0`
    )
    expect(keepAliveTimeout).toBe(seconds)
  })

  it.each([
    ["a/1, b", "a/1, b"],
    [", websocket ,", "websocket"],
    [",", undefined],
    ["a b", undefined]
  ])("reads the protocols a 101 switches to: %j", (value, upgrade) => {
    const text = `HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: ${value}`
    if (upgrade === undefined)
      expect(() => read(text)).toThrow(expect.objectContaining({ rule: "bad_switch" }))
    else expect(read(text).head.upgrade).toBe(upgrade)
  })

  it.each([
    ["HTTP/1.1 426 X", "Connection: Upgrade\r\nUpgrade: websocket", "websocket"],
    ["HTTP/1.1 426 X", "Upgrade: TLS/1.3, websocket", "TLS/1.3, websocket"],
    ["HTTP/1.1 426 X", "Upgrade: web socket", undefined],
    ["HTTP/1.1 426 X", "Upgrade: h2c", undefined],
    ["HTTP/1.0 426 X", "Connection: upgrade\r\nUpgrade: websocket", undefined],
    ["HTTP/1.1 200 OK", "Connection: upgrade\r\nUpgrade: h2,h2c", undefined],
    ["HTTP/1.1 200 OK", "Connection: keep-alive, upgrade\r\nUpgrade: h2c, chat", "chat"],
    ["HTTP/1.1 200 OK", "Upgrade: websocket", undefined],
    ["HTTP/1.1 103 Hints", "Connection: upgrade\r\nUpgrade: websocket", undefined]
  ])("%s, %j offers %s", (line, lines, upgrade) => {
    const { head } = read(`${line}\r\n${lines}\r\nContent-Length: 0`)
    expect(head.upgrade).toBe(upgrade)
    expect(head.fields).toEqual([])
  })

  it("drops what only the mesh may say, of answers and of 1xx", () => {
    const lines = [
      "skein-error: upstream_timeout",
      "Skein-Node: host-z",
      "SKEIN-anything: 1",
      "skein-: 1",
      "skein_error: 1",
      "skein: 1",
      "skeins-x: 1",
      "Server: x",
      "set-cookie: a"
    ].join("\r\n")
    const kept = ["skein", "1", "skeins-x", "1", "Server", "x", "set-cookie", "a"]
    expect(read(`HTTP/1.1 200 OK\r\n${lines}`).head.fields).toEqual(kept)
    expect(read(`HTTP/1.1 103 Hints\r\n${lines}`).head.fields).toEqual(kept)
  })

  it("drops what concerns one hop", () => {
    const { head } = read(
      "HTTP/1.1 407 X\r\nConnection: x-a\r\nKeep-Alive: x\r\nX-A: b\r\nProxy-Authenticate: Basic\r\nUpgrade: x\r\nX-B: c"
    )
    expect(head.fields).toEqual(["X-B", "c"])
  })
})

describe("decodeResponseHead", () => {
  it("leaves a node of the mesh what it says of the mesh", () => {
    const text = "HTTP/1.1 200 OK\r\nskein-node: host-b\r\nContent-Length: 0\r\n\r\n"
    const { head } = decodeResponseHead(Buffer.from(text), "GET")
    expect(head.fields).toEqual(["skein-node", "host-b"])
  })
})
