import { describe, expect, it } from "vitest"
import { noBody } from "../../model/Exchange.ts"
import { StrictBlocks } from "./BlockSource.ts"
import { Http1Error } from "./Http1Error.ts"
import { defaultHttp1Limits } from "./Limits.ts"
import { decodeRequestHead, type ParsedRequest, readRequestHead } from "./RequestHeadText.ts"

const read = (text: string, limits = defaultHttp1Limits): ParsedRequest =>
  readRequestHead(text, new StrictBlocks(limits, "client"), limits)
const get = (lines: string): ParsedRequest =>
  read(`GET / HTTP/1.1\r\nHost: a.mesh\r\n${lines}\r\n\r\n`)

describe("readRequestHead", () => {
  it("keeps order, case and repetition of fields, without the blanks around values", () => {
    const { head } = get("X-B:  1 \t\r\nx-a: two  words\r\nX-B:2\r\nEmpty:\r\nBytes: caf\xe9")
    expect(head.fields).toEqual([
      "X-B",
      "1",
      "x-a",
      "two  words",
      "X-B",
      "2",
      "Empty",
      "",
      "Bytes",
      "caf\xe9"
    ])
    expect(head).toMatchObject({ method: "GET", target: "/", authority: "a.mesh" })
  })

  it.each([
    ["GET http://b.mesh/x?y HTTP/1.1", "/x?y", "b.mesh"],
    ["GET HTTP://b.mesh:81 HTTP/1.1", "/", "b.mesh:81"],
    ["GET http://b.mesh?q HTTP/1.1", "/?q", "b.mesh"],
    ["GET http://[::1]:80/ HTTP/1.1", "/", "[::1]:80"],
    ["OPTIONS http://b.mesh HTTP/1.1", "*", "b.mesh"],
    ["OPTIONS http://b.mesh/ HTTP/1.1", "/", "b.mesh"],
    ["OPTIONS * HTTP/1.1", "*", "a.mesh"],
    ["CONNECT b.mesh:443 HTTP/1.1", "b.mesh:443", "b.mesh:443"],
    ["GET //b.mesh/x HTTP/1.1", "//b.mesh/x", "a.mesh"],
    ["GET /http://b.mesh/ HTTP/1.1", "/http://b.mesh/", "a.mesh"],
    ["GET http://b.mesh:/x HTTP/1.1", "/x", "b.mesh"],
    ["GET http://b.mesh:?q HTTP/1.1", "/?q", "b.mesh"],
    ["GET http://b.mesh:08080/ HTTP/1.1", "/", "b.mesh:8080"],
    ["CONNECT b.mesh:0443 HTTP/1.1", "b.mesh:443", "b.mesh:443"],
    ["GET /a?b=C:\\x&c?\\ HTTP/1.1", "/a?b=C:\\x&c?\\", "a.mesh"],
    ["GET http://b.mesh?\\ HTTP/1.1", "/?\\", "b.mesh"]
  ])("%s → %s at %s: the target's authority wins over Host", (line, target, authority) => {
    const { head } = read(`${line}\r\nHost: a.mesh\r\n\r\n`)
    expect(head).toMatchObject({ target, authority })
  })

  it.each([
    ["a.mesh:", "a.mesh"],
    ["[::1]:", "[::1]"],
    ["a.mesh:0080", "a.mesh:80"],
    ["a.mesh:80", "a.mesh:80"],
    ["a'b;c=d", "a'b;c=d"]
  ])("takes Host: %s for %s", (host, authority) => {
    expect(read(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`).head.authority).toBe(authority)
  })

  it("takes an empty Host, and none in HTTP/1.0, for no authority", () => {
    expect(read("GET / HTTP/1.1\r\nHost:\r\n\r\n").head.authority).toBe("")
    expect(read("GET / HTTP/1.0\r\n\r\n").head.authority).toBe("")
  })

  it.each([
    ["HTTP/1.1", "X: y", true],
    ["HTTP/1.1", "Connection: close", false],
    ["HTTP/1.1", "Connection: x, CLOSE", false],
    ["HTTP/1.1", "Connection: keep-alive\r\nConnection: close", false],
    ["HTTP/1.0", "X: y", false],
    ["HTTP/1.0", "Connection: Keep-Alive", true],
    ["HTTP/1.0", "Connection: keep-alive, close", false],
    ["HTTP/1.0", "Proxy-Connection: keep-alive", false]
  ])("%s with %s: keepAlive %s", (version, line, keepAlive) => {
    expect(read(`GET / ${version}\r\nHost: a\r\n${line}\r\n\r\n`).keepAlive).toBe(keepAlive)
  })

  it("drops what concerns one hop and what Connection lists", () => {
    const { head } = get(
      [
        "Connection: X-One, keep-alive, x-two",
        "X-One: 1",
        "Keep-Alive: timeout=5",
        "x-TWO: 2",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eDp5",
        "Upgrade: websocket",
        "TE: gzip",
        "X-Three: 3",
        "Trailer: X-Sum"
      ].join("\r\n")
    )
    expect(head.fields).toEqual(["X-Three", "3", "Trailer", "X-Sum"])
    expect(head.upgrade).toBeUndefined()
  })

  it("drops of the mesh's own names those that say nothing in a request", () => {
    const lines =
      "skein-error: x\r\nSKEIN-NODE: y\r\nSkein_Caller: a\r\nskein.caller: a\r\nskein-other: z"
    expect(get(lines).head.fields).toEqual(["skein-other", "z"])
  })

  it("takes out what the client says of its call, and leaves gRPC its own", () => {
    const parsed = get("Skein-Deadline: 900\r\nskein-attempt: 1\r\ngrpc-timeout: 1S")
    expect(parsed.call).toEqual({ deadline: 900, attempt: 1 })
    expect(parsed.head.fields).toEqual(["grpc-timeout", "1S"])
    expect(get("x: y").call).toBeUndefined()
  })

  it("drops what CGI could not tell from this node's own fields", () => {
    const lines = [
      "Content_Length: 5",
      "transfer_encoding: chunked",
      "X_Forwarded_For: 192.0.2.1",
      "X-Forwarded_Host: b",
      "x_forwarded-proto: https",
      "x_forwarded_for: kept_by_nobody",
      "x_request_id: 7",
      "X-Forwarded-For: 192.0.2.2",
      "x_forwarded_port: 1"
    ]
    expect(get(lines.join("\r\n")).head).toMatchObject({
      framing: noBody,
      fields: ["x_request_id", "7", "X-Forwarded-For", "192.0.2.2", "x_forwarded_port", "1"]
    })
  })

  it("drops listed fields also when Connection comes after them", () => {
    expect(get("X-One: 1\r\nConnection: x-one").head.fields).toEqual([])
  })

  it("keeps the word trailers of TE, which gRPC asks for end to end", () => {
    expect(get("TE: trailers").head.fields).toEqual(["te", "trailers"])
    expect(get("Connection: TE\r\nTE: gzip;q=0.5, Trailers").head.fields).toEqual([
      "te",
      "trailers"
    ])
  })

  it.each([
    ["Connection: Upgrade\r\nUpgrade: websocket", "websocket"],
    ["Connection: keep-alive, upgrade\r\nUpgrade: a/1, b", "a/1, b"],
    ["Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b", "a, b"],
    ["Upgrade: websocket", undefined],
    ["Connection: upgrade", undefined],
    ["Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", undefined],
    ["Connection: upgrade\r\nUpgrade: h2c, websocket", "websocket"],
    ["Connection: upgrade\r\nUpgrade: web socket", undefined],
    ["Connection: ,upgrade,\r\nUpgrade: , a\t,, b/2 ,", "a, b/2"],
    ["Connection: upgrade\r\nUpgrade: H2, H2C, Chat/1", "Chat/1"],
    ["Connection: upgrade\r\nUpgrade: ,", undefined],
    ["Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0", "websocket"],
    ["Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3", undefined],
    ["Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked", undefined]
  ])("%j asks to switch to %s", (lines, upgrade) => {
    const { head } = get(lines)
    expect(head.upgrade).toBe(upgrade)
    expect(head.fields).toEqual([])
  })

  it("takes Expect: 100-continue, leaves other expectations, ignores it in HTTP/1.0", () => {
    expect(get("Expect: 100-Continue").head).toMatchObject({ expectsContinue: true, fields: [] })
    expect(get("Expect: tea").head).toMatchObject({
      expectsContinue: false,
      fields: ["Expect", "tea"]
    })
    for (const [value, rest] of [
      ["100-continue,", []],
      ["100-continue\t, 100-Continue", []],
      ["Tea , 100-continue", ["Expect", "Tea"]]
    ] as const) {
      const { head } = get(`Expect: ${value}`)
      expect(head, value).toMatchObject({ expectsContinue: true, fields: rest })
    }
    for (const value of ["", "100-continued", 'x="100-continue, 100-continue"']) {
      const { head } = get(`Expect: ${value}`)
      expect(head, value).toMatchObject({ expectsContinue: false, fields: ["Expect", value] })
    }
    const old = read("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    expect(old.head).toMatchObject({ expectsContinue: false, fields: [] })
  })

  it.each([
    ["HTTP/1.0", 0],
    ["HTTP/1.1", 1],
    ["HTTP/1.2", 1],
    ["HTTP/1.9", 1]
  ])("reads %s as the version it knows that comes next below", (version, minor) => {
    const { version: read1, keepAlive } = read(`GET / ${version}\r\nHost: a\r\n\r\n`)
    expect(read1).toBe(minor)
    expect(keepAlive).toBe(minor === 1)
  })

  it.each([
    ["GET / HTTP/2.0", "unsupported_version", "version_not_supported"],
    ["GET / HTTP/0.9", "unsupported_version", "version_not_supported"],
    ["PRI * HTTP/2.0", "unsupported_version", "version_not_supported"],
    ["GET / HTTP/1.10", "bad_version", "bad_request"],
    ["GET / HTTP/2", "bad_version", "bad_request"],
    [`${"M".repeat(65)} / HTTP/1.1`, "method_bytes", "not_implemented"],
    [`${"M".repeat(65)}/ HTTP/1.1`, "method_bytes", "not_implemented"],
    [`GET /${"x".repeat(16_384)} HTTP/1.1`, "target_bytes", "target_too_long"],
    [`GET http://a.mesh/${"x".repeat(16_384)} HTTP/1.1`, "target_bytes", "target_too_long"]
  ])("answers %s by its kind", (line, rule, code) => {
    const text = `${line}\r\nHost: a\r\n\r\n`
    expect(() => read(text)).toThrow(expect.objectContaining({ rule, code }))
  })

  it("takes methods of 64 and targets of 16,384 characters", () => {
    const target = `/${"x".repeat(16_383)}`
    const { head } = read(`${"M".repeat(64)} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(head.method).toHaveLength(64)
    expect(head.target).toBe(target)
  })

  it.each([
    ["gzip, chunked", "unsupported_coding", "not_implemented"],
    ["gzip,deflate , chunked", "unsupported_coding", "not_implemented"],
    ["gzip", "bad_transfer_encoding", "bad_request"],
    ["chunked, gzip", "bad_transfer_encoding", "bad_request"],
    ["chunked, gzip, chunked", "bad_transfer_encoding", "bad_request"],
    ["gzip;q=1, chunked", "bad_transfer_encoding", "bad_request"]
  ])(
    "tells codings it does not know from those that leave the length open: %s",
    (coding, rule, code) => {
      const lines = `Transfer-Encoding: ${coding}`
      expect(() => get(lines)).toThrow(expect.objectContaining({ rule, code }))
    }
  )

  it("limits the number of fields", () => {
    const limits = { ...defaultHttp1Limits, fieldCount: 2 }
    const head = (lines: string): string => `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`
    expect(read(head("A: b\r\n"), limits).head.fields).toEqual(["A", "b"])
    expect(() => read(head("A: b\r\nC: d\r\n"), limits)).toThrow(
      expect.objectContaining({ code: "head_too_large", rule: "field_count" })
    )
  })
})

describe("decodeRequestHead", () => {
  const bytes = (text: string): Buffer => Buffer.from(text, "latin1")

  it("wants exactly one head", () => {
    expect(decodeRequestHead(bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).head.authority).toBe("a")
    for (const text of [
      "",
      "GET / HTTP/1.1\r\nHost: a\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    ]) {
      expect(() => decodeRequestHead(bytes(text))).toThrow(Http1Error)
    }
  })

  it("says in words what is wrong, with the value cut short and made printable", () => {
    const head = `GET / HTTP/1.1\r\nHost: ${"\x9b".repeat(100)}\r\n\r\n`
    expect(() => decodeRequestHead(bytes(head))).toThrow(
      `host "${"\\x9b".repeat(40)}..." is not a host or host:port (ports are 1 to 65535)`
    )
  })
})
