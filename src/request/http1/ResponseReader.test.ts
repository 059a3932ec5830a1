import { describe, expect, it } from "vitest"
import { ResponseReader } from "./ResponseReader.ts"

/** A reader, and what it has called. */
const open = () => {
  const calls: Array<string> = []
  const on = { head: () => {}, end: () => {} }
  const reader = new ResponseReader({
    onInfo: (head) => calls.push(`info ${head.status}`),
    onHead: ({ head, keepAlive }) => {
      calls.push(`head ${head.status}${keepAlive ? "" : " last"}`)
      on.head()
    },
    onBody: (chunk) => calls.push(`body ${chunk.toString("latin1")}`),
    onEnd: (trailers) => {
      calls.push(trailers.length === 0 ? "end" : `end ${trailers.join(" ")}`)
      on.end()
    },
    onDroppedTrailer: (field) => calls.push(`dropped ${field}`),
    onError: (error) => calls.push(`error ${error.rule}`)
  })
  const feed = (text: string) => reader.feed(Buffer.from(text, "latin1"))
  const seen = () => calls.splice(0)
  return { reader, feed, seen, on }
}

const ok = (lines: string, body = ""): string => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${body}`

describe("ResponseReader", () => {
  it("reads one response after another", () => {
    const { reader, feed, seen } = open()
    expect(reader.expect("GET")).toBe(true)
    expect(reader.idle).toBe(false)
    expect(reader.expect("GET")).toBe(false)
    feed(ok("Content-Length: 3", "abc"))
    expect(seen()).toEqual(["head 200", "body abc", "end"])
    expect(reader.idle).toBe(true)
    expect(reader.expect("HEAD")).toBe(true)
    feed(ok("Content-Length: 3"))
    expect(seen()).toEqual(["head 200", "end"])
    expect(reader.expect("GET")).toBe(true)
    feed(ok("Transfer-Encoding: chunked", "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"))
    expect(seen()).toEqual(["head 200", "body a", "end X-Sum 1"])
  })

  it("delivers a body whole whose trailers cannot all be trailers", () => {
    const { reader, feed, seen } = open()
    reader.expect("GET")
    feed(
      ok(
        "Transfer-Encoding: chunked",
        "3\r\nabc\r\n0\r\nSet-Cookie: a\r\nX-Sum: 1\r\nSkein-Any: x\r\n\r\n"
      )
    )
    expect(seen()).toEqual([
      "head 200",
      "body abc",
      "dropped set-cookie",
      "dropped skein-*",
      "end X-Sum 1"
    ])
    expect(reader.idle).toBe(true)
  })

  it("hands on content before what is wrong behind it in the same read", () => {
    const { reader, feed, seen } = open()
    reader.expect("GET")
    feed(ok("Transfer-Encoding: chunked", "3\r\nabc\r\nxyz\r\n"))
    expect(seen()).toEqual(["head 200", "body abc", "error bad_chunk_size"])
  })

  it("hands on any number of interim responses", () => {
    const { reader, feed, seen } = open()
    reader.expect("POST")
    feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n")
    expect(reader.state).toBe("head")
    feed(ok("Content-Length: 0"))
    expect(seen()).toEqual(["info 100", "info 103", "head 200", "end"])
  })

  it("ends a body without length with the connection, which is then of no use", () => {
    const { reader, feed, seen } = open()
    reader.expect("GET")
    feed(ok("X: y", "abc"))
    feed("def")
    expect(seen()).toEqual(["head 200 last", "body abc", "body def"])
    reader.eof()
    reader.eof()
    expect(seen()).toEqual(["end"])
    expect(reader.idle).toBe(false)
    expect(reader.expect("GET")).toBe(false)
  })

  it.each([
    ["", ["error incomplete"]],
    ["HTTP/1.1 200", ["error incomplete"]],
    ["HTTP/1.1 100 Continue\r\n\r\n", ["info 100", "error incomplete"]],
    [ok("Content-Length: 2", "a"), ["head 200", "body a", "error incomplete"]],
    [ok("Transfer-Encoding: chunked", "0\r\n"), ["head 200", "error incomplete"]]
  ])("broken off after %j", (bytes, calls) => {
    const { reader, feed, seen } = open()
    reader.expect("GET")
    feed(bytes)
    reader.eof()
    expect(seen()).toEqual(calls)
  })

  it("says nothing when an idle connection ends", () => {
    const { reader, seen } = open()
    reader.eof()
    expect(seen()).toEqual([])
    expect(reader.idle).toBe(false)
  })

  it.each([
    [
      "GET",
      "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      "head 101 last"
    ],
    ["CONNECT", ok("Content-Length: 3"), "head 200 last"]
  ])("goes over to a tunnel: %s", (method, head, call) => {
    const { reader, feed, seen } = open()
    reader.expect(method)
    feed(`${head}ab`)
    feed("\r\n")
    expect(seen()).toEqual([call, "body ab", "body \r\n"])
    expect(reader.state).toBe("tunnel")
    reader.eof()
    expect(seen()).toEqual(["end"])
  })

  it("refuses a switch of protocols that was not asked for", () => {
    const { reader, feed, seen } = open()
    reader.expect("GET", false)
    feed("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    expect(seen()).toEqual(["error bad_switch"])
  })

  it("never takes surplus bytes for the answer to a request sent from within onEnd", () => {
    const { reader, feed, seen, on } = open()
    reader.expect("GET")
    const again: Array<boolean> = []
    on.end = () => again.push(reader.idle, reader.expect("GET"))
    feed(ok("Content-Length: 1", `a${ok("Content-Length: 1", "b")}`))
    expect(again).toEqual([false, false])
    expect(seen()).toEqual(["head 200", "body a", "end", "error unexpected_bytes"])

    const other = open()
    other.reader.expect("GET")
    other.on.end = () => again.push(other.reader.idle, other.reader.expect("GET"))
    other.feed(ok("Content-Length: 0", ok("Content-Length: 1", "b")))
    expect(again).toEqual([false, false, false, false])
    expect(other.seen()).toEqual(["head 200", "end", "error unexpected_bytes"])
  })

  it("fails when bytes come before they are asked for", () => {
    const { reader, feed, seen } = open()
    feed("H")
    expect(seen()).toEqual(["error unexpected_bytes"])
    expect(reader.expect("GET")).toBe(false)
  })

  it("can be stopped within a callback", () => {
    const { reader, feed, seen, on } = open()
    reader.expect("GET")
    on.head = () => reader.stop()
    feed(ok("Content-Length: 3", "abc"))
    reader.eof()
    expect(seen()).toEqual(["head 200"])
    expect(reader.state).toBe("failed")
  })

  it("reads what a callback feeds after the rest of the chunk being read", () => {
    const { reader, feed, seen, on } = open()
    reader.expect("GET")
    on.head = () => feed("de")
    feed(ok("Content-Length: 5", "abc"))
    expect(seen()).toEqual(["head 200", "body abc", "body de", "end"])
  })
})
