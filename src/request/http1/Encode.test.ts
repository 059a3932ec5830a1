import { describe, expect, it } from "vitest"
import {
  noBody,
  noFields,
  type RequestHead,
  type ResponseHead,
  streamBody
} from "../../model/Exchange.ts"
import {
  chunkPrefix,
  encodeRequestHead,
  encodeResponseHead,
  lastChunk,
  mustClose,
  responseBodyCoding,
  unsafePart
} from "./Encode.ts"
import { asSection } from "./FieldSection.ts"

const request: RequestHead = {
  method: "GET",
  target: "/x?y",
  authority: "a.mesh",
  fields: ["Accept", "*/*"],
  framing: noBody,
  upgrade: undefined,
  expectsContinue: false
}
const response: ResponseHead = {
  status: 200,
  reason: "OK",
  fields: ["X", "y"],
  framing: streamBody,
  upgrade: undefined
}
const to11 = { method: "GET", version: 1, keepAlive: true } as const
const to10 = { ...to11, version: 0 } as const

describe("encodeRequestHead", () => {
  it("writes Host first and what the hop says last", () => {
    expect(encodeRequestHead(request)).toBe(
      "GET /x?y HTTP/1.1\r\nhost: a.mesh\r\nAccept: */*\r\n\r\n"
    )
    expect(encodeRequestHead({ ...request, framing: streamBody, expectsContinue: true })).toBe(
      "GET /x?y HTTP/1.1\r\nhost: a.mesh\r\nAccept: */*\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
    )
  })

  it("lists TE and an upgrade in Connection", () => {
    const head = { ...request, fields: ["TE", "trailers"], upgrade: "websocket" }
    expect(encodeRequestHead(head)).toBe(
      "GET /x?y HTTP/1.1\r\nhost: a.mesh\r\nTE: trailers\r\nconnection: upgrade, te\r\nupgrade: websocket\r\n\r\n"
    )
    expect(encodeRequestHead({ ...head, upgrade: undefined })).toContain("\r\nconnection: te\r\n")
  })

  it("writes a section as its fields, or leaves it out", () => {
    const fields = ["Accept", "*/*", "TE", "trailers"]
    const plain = encodeRequestHead({ ...request, fields })
    const section = asSection(fields)
    expect(encodeRequestHead({ ...request, fields })).toBe(plain)
    expect(encodeRequestHead({ ...request, fields }, section)).toBe(
      "GET /x?y HTTP/1.1\r\nhost: a.mesh\r\nconnection: te\r\n\r\n"
    )
  })

  it("does not offer an upgrade beside a body", () => {
    const head = { ...request, upgrade: "websocket", framing: streamBody }
    expect(encodeRequestHead(head)).not.toContain("upgrade")
  })
})

describe("encodeResponseHead", () => {
  it("follows the version of the client", () => {
    expect(encodeResponseHead(response, to11)).toBe(
      "HTTP/1.1 200 OK\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    // No chunks for HTTP/1.0: the end of the connection is the end of the body.
    expect(encodeResponseHead(response, to10)).toBe(
      "HTTP/1.1 200 OK\r\nX: y\r\nconnection: close\r\n\r\n"
    )
    const sized: ResponseHead = { ...response, framing: { kind: "length", length: 3 } }
    expect(encodeResponseHead(sized, to10)).toBe(
      "HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n"
    )
    expect(encodeResponseHead(sized, { ...to11, keepAlive: false })).toBe(
      "HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 3\r\nconnection: close\r\n\r\n"
    )
  })

  it("says a length of 0 where silence would mean: until the connection closes", () => {
    const empty = { ...response, framing: noBody }
    expect(encodeResponseHead(empty, to11)).toContain("\r\ncontent-length: 0\r\n")
    for (const [status, method] of [
      [200, "HEAD"],
      [204, "GET"],
      [304, "GET"],
      [103, "GET"]
    ] as const) {
      expect(encodeResponseHead({ ...empty, status }, { ...to11, method })).not.toContain("length")
    }
  })

  it("never announces a body for 204, 1xx and tunnels", () => {
    for (const [status, method] of [
      [204, "GET"],
      [101, "GET"],
      [200, "CONNECT"]
    ] as const) {
      const text = encodeResponseHead({ ...response, status }, { ...to11, method })
      expect(text).not.toMatch(/content-length|transfer-encoding|close/)
    }
  })

  it("lists an Upgrade in Connection, beside what it says of the connection", () => {
    const head: ResponseHead = {
      ...response,
      status: 426,
      framing: { kind: "length", length: 0 },
      upgrade: "websocket"
    }
    const written = (options: Parameters<typeof encodeResponseHead>[1]) =>
      encodeResponseHead(head, options).replace(/^[\s\S]*content-length: 0\r\n/, "")
    expect(written(to11)).toBe("connection: upgrade\r\nupgrade: websocket\r\n\r\n")
    expect(written({ ...to11, keepAlive: false })).toBe(
      "connection: close, upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    expect(written(to10)).toBe("connection: keep-alive, upgrade\r\nupgrade: websocket\r\n\r\n")
  })

  it("adds the given Date only where there is none", () => {
    const date = "Tue, 15 Nov 1994 08:12:31 GMT"
    expect(encodeResponseHead(response, { ...to11, date })).toContain(`\r\ndate: ${date}\r\n`)
    const dated = { ...response, fields: ["Date", "x"] }
    expect(encodeResponseHead(dated, { ...to11, date })).not.toContain(date)
    expect(encodeResponseHead(response, to11)).not.toContain("date")
  })
})

describe("bodies", () => {
  it("says how each is written", () => {
    expect(responseBodyCoding(response, "GET", 1)).toBe("chunked")
    expect(responseBodyCoding(response, "GET", 0)).toBe("until_close")
    expect(responseBodyCoding(response, "HEAD", 1)).toBe("none")
    expect(responseBodyCoding(response, "CONNECT", 1)).toBe("tunnel")
    expect(responseBodyCoding({ ...response, status: 101 }, "GET", 1)).toBe("tunnel")
    expect(responseBodyCoding({ ...response, framing: noBody }, "GET", 1)).toBe("length")
    expect(mustClose("until_close")).toBe(true)
    expect(mustClose("chunked")).toBe(false)
  })

  it("frames chunks", () => {
    expect(chunkPrefix(255)).toBe("ff\r\n")
    expect(lastChunk(noFields)).toBe("0\r\n\r\n")
    expect(lastChunk(["a", "b", "c", ""])).toBe("0\r\na: b\r\nc: \r\n\r\n")
  })
})

describe("unsafePart", () => {
  it.each([
    [{ fields: ["x", "a\r\nHost: b"] }, "the value of header x"],
    [{ fields: ["x", "\u0100"] }, "the value of header x"],
    [{ fields: ["x y", "a"] }, 'header name "x y"'],
    [{ fields: ["Content-Length", "1"] }, "connection header content-length"],
    [{ method: "GET /" }, 'method "GET /"'],
    [{ target: "/a b" }, 'target "/a b"'],
    [{ target: "http://b/" }, 'target "http://b/"'],
    [{ authority: "a\r\nb" }, 'authority "a\\r\\nb"']
  ])("finds in a request: %j", (change, found) => {
    expect(unsafePart({ ...request, ...change })).toBe(found)
  })

  it("finds in a response", () => {
    expect(unsafePart({ ...response, reason: "a\nb" })).toBe("the reason phrase")
    expect(unsafePart({ ...response, status: 99 })).toBe("status 99")
    expect(unsafePart({ ...response, fields: ["Skein-Error", "x"] })).toBe(
      "mesh header skein-error"
    )
    expect(unsafePart(response)).toBeUndefined()
  })
})
