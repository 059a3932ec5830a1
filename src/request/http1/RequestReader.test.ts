import { describe, expect, it } from "vitest"
import type { Fields } from "../../model/Exchange.ts"
import { defaultHttp1Limits, type Http1Limits } from "./Limits.ts"
import { maxRetainedBytes, RequestReader } from "./RequestReader.ts"

/** A reader, and what it has called. */
const open = (limits = defaultHttp1Limits) => {
  const calls: Array<string> = []
  const bodies: Array<Buffer> = []
  const on = { head: () => {}, end: () => {} }
  const reader = new RequestReader(
    {
      onHead: ({ head }) => {
        calls.push(`head ${head.method} ${head.target}`)
        on.head()
      },
      onBody: (chunk) => {
        calls.push(`body ${chunk.toString("latin1")}`)
        bodies.push(chunk)
      },
      onEnd: (trailers: Fields) => {
        calls.push(trailers.length === 0 ? "end" : `end ${trailers.join(" ")}`)
        on.end()
      },
      onDroppedTrailer: (field) => calls.push(`dropped ${field}`),
      onError: (error) => calls.push(`error ${error.rule} ${error.code}`)
    },
    limits
  )
  const feed = (text: string) => reader.feed(Buffer.from(text, "latin1"))
  const seen = () => calls.splice(0)
  return { reader, feed, seen, bodies, on }
}

const get = (target: string, lines = ""): string =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`
const websocket = get("/ws", "Connection: upgrade\r\nUpgrade: websocket\r\n")

describe("RequestReader", () => {
  it("reads a request at a time and keeps what follows until next", () => {
    const { reader, feed, seen } = open()
    expect(reader.idle).toBe(true)
    feed(`${get("/1")}${get("/2")}GE`)
    expect(seen()).toEqual(["head GET /1", "end"])
    expect(reader.state).toBe("complete")
    feed("T /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    expect(seen()).toEqual([])
    reader.next()
    expect(seen()).toEqual(["head GET /2", "end"])
    reader.next()
    expect(seen()).toEqual(["head GET /3", "end"])
    expect(reader.idle).toBe(false)
    reader.next()
    expect(reader.idle).toBe(true)
    reader.next()
    expect(seen()).toEqual([])
  })

  it("lets next be called from within onEnd, for any number of requests in one chunk", () => {
    const { reader, feed, seen, on } = open()
    on.end = () => reader.next()
    feed(get("/").repeat(20_000))
    expect(seen()).toHaveLength(40_000)
    expect(reader.idle).toBe(true)
  })

  it("hands content on without copying it", () => {
    const { reader, bodies } = open()
    const first = Buffer.from("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
    const second = Buffer.from("cd")
    const third = Buffer.from("efGET")
    for (const chunk of [first, second, third]) reader.feed(chunk)
    expect(bodies.map((body) => body.buffer)).toEqual([first.buffer, second.buffer, third.buffer])
    expect(bodies[1]).toBe(second)
    expect(Buffer.concat(bodies).toString()).toBe("abcdef")
  })

  it("reads chunks, skips extensions, keeps trailers", () => {
    const { feed, seen } = open()
    feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    feed('3;a;b=c;d="e\\";"\r\nabc\r\n00a\r\n0123456789\r\n0;last\r\nX-Sum: 7\r\nx-t:\r\n\r\n')
    expect(seen()).toEqual(["head POST /", "body abc", "body 0123456789", "end X-Sum 7 x-t "])
  })

  it.each([
    "3 ;a",
    "3\t;\ta",
    "3 ; a = b",
    '3 ;a = "b ; c" ; d',
    '3;a="b" ;c',
    "3;a ;b = c\t;d",
    "3  ;  a  =  b"
  ])("reads blanks in extensions: %j", (line) => {
    const { feed, seen } = open()
    feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    feed(`${line}\r\nabc\r\n0${line.slice(1)}\r\n\r\n`)
    expect(seen()).toEqual(["head POST /", "body abc", "end"])
  })

  it("drops trailers that cannot be any, and says which", () => {
    const bytes =
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: x-hop\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "3\r\nabc\r\n0\r\nX-A: 1\r\nSet-Cookie: a\r\nX-Hop: 2\r\nskein-error: x\r\nskein_b: 3\r\nskein.c: 3\r\n\r\n"
    for (const size of [bytes.length, 7, 1]) {
      const { feed, seen } = open()
      for (let at = 0; at < bytes.length; at += size) feed(bytes.slice(at, at + size))
      const calls = seen()
      expect(calls.filter((call) => !call.startsWith("body"))).toEqual([
        "head POST /",
        "dropped set-cookie",
        "dropped connection-option",
        "dropped skein-*",
        "dropped skein-*",
        "dropped skein-*",
        "end X-A 1"
      ])
      expect(calls.join("").replaceAll("body ", "")).toContain("abc")
    }
  })

  it("skips one empty line before a request, in any pieces", () => {
    const { reader, feed, seen } = open()
    feed("\r")
    feed("\n")
    expect(reader.idle).toBe(true)
    feed(get("/"))
    expect(seen()).toEqual(["head GET /", "end"])
    reader.next()
    feed(`\r\n${get("/")}`)
    expect(seen()).toEqual(["head GET /", "end"])
  })

  it("refuses what cannot become a request at its first byte or line end", () => {
    for (const [bytes, rule] of [
      ["\x16", "bad_method"],
      ["\r\n\r", "bad_method"],
      ["GET / HTTP/1.1\n", "bare_lf"],
      ["GET / HTTP/1.1\r\nHost: a\n", "bare_lf"]
    ] as const) {
      const { feed, seen } = open()
      feed(bytes)
      expect(seen()).toEqual([`error ${rule} bad_request`])
    }
  })

  it("calls nothing after an error", () => {
    const { reader, feed, seen } = open()
    feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab")
    expect(seen()).toEqual(["head POST /", "body a", "error bad_chunk_end bad_request"])
    feed(get("/"))
    reader.next()
    reader.tunnel()
    reader.eof()
    expect(seen()).toEqual([])
    expect(reader.state).toBe("failed")
  })

  it("lets a refused upgrade be followed by the next request", () => {
    const { reader, feed, seen } = open()
    feed(websocket + get("/2"))
    expect(seen()).toEqual(["head GET /ws"])
    expect(reader.state).toBe("complete")
    reader.next()
    expect(seen()).toEqual(["head GET /2", "end"])
  })

  it("becomes a tunnel, retained bytes first, until the peer's end", () => {
    const { reader, feed, seen } = open()
    feed("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nearly")
    feed(" bytes")
    expect(seen()).toEqual(["head CONNECT a:1"])
    reader.tunnel()
    feed("\r\n\0\n")
    expect(seen()).toEqual(["body early bytes", "body \r\n\0\n"])
    expect(reader.state).toBe("tunnel")
    reader.eof()
    expect(seen()).toEqual(["end"])
    reader.eof()
    expect(seen()).toEqual([])
  })

  it("becomes a tunnel also from within onHead, and after the peer's end", () => {
    const first = open()
    first.on.head = () => first.reader.tunnel()
    first.feed(`${websocket}abc`)
    expect(first.seen()).toEqual(["head GET /ws", "body abc"])

    const second = open()
    second.feed(`${websocket}abc`)
    second.reader.eof()
    expect(second.seen()).toEqual(["head GET /ws"])
    second.reader.tunnel()
    expect(second.seen()).toEqual(["body abc", "end"])
  })

  it.each([
    ["", []],
    [get("/"), ["head GET /", "end"]],
    ["GET", ["error incomplete bad_request"]],
    [
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na",
      ["head PUT /", "body a", "error incomplete bad_request"]
    ],
    [
      "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
      ["head PUT /", "error incomplete bad_request"]
    ]
  ])("at the peer's end after %j", (bytes, calls) => {
    const { reader, feed, seen } = open()
    feed(bytes)
    reader.eof()
    expect(seen()).toEqual(calls)
  })

  it("finds an incomplete pipelined request once the one before is answered", () => {
    const { reader, feed, seen } = open()
    feed(`${get("/1")}GET /2`)
    reader.eof()
    expect(seen()).toEqual(["head GET /1", "end"])
    reader.next()
    expect(seen()).toEqual(["error incomplete bad_request"])
  })

  it("can be stopped within a callback", () => {
    const { reader, feed, seen, on } = open()
    on.head = () => reader.stop()
    feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    feed(get("/"))
    reader.eof()
    expect(seen()).toEqual(["head POST /"])
  })

  it("reads what a callback feeds after the rest of the chunk being read", () => {
    const { feed, seen, on } = open()
    on.head = () => {
      on.head = () => {}
      feed("de")
    }
    feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc")
    expect(seen()).toEqual(["head POST /", "body abc", "body de", "end"])
  })

  it("keeps what a callback feeds after the rest of the chunk that is kept", () => {
    const { reader, feed, seen, on } = open()
    on.end = () => {
      on.end = () => {}
      feed(" HTTP/1.1\r\nHost: a\r\n\r\n")
    }
    feed(`${get("/1")}GET /2`)
    reader.next()
    expect(seen()).toEqual(["head GET /1", "end", "head GET /2", "end"])
  })

  it("keeps nothing of the memory it was given, however that was cut", () => {
    const first = get("/1")
    const second = `PUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: u\r\n\r\n`
    const bytes = Buffer.from(`${first}${second}${get("/3")}`, "latin1")
    const memory = Buffer.alloc(bytes.length)
    for (let size = 1; size <= bytes.length; size++) {
      const { reader, seen } = open()
      const calls: Array<string> = []
      for (let at = 0; at < bytes.length; at += size) {
        const length = bytes.copy(memory, 0, at, at + size)
        reader.feed(memory.subarray(0, length))
        memory.fill(0)
      }
      for (let i = 0; i < 3; i++) {
        calls.push(...seen())
        reader.next()
      }
      expect(calls, `in reads of ${size}`).toEqual([
        "head GET /1",
        "end",
        "head PUT /2",
        "body x",
        "end T u",
        "head GET /3",
        "end"
      ])
    }
  })

  it("lets a handler's own failure through", () => {
    const { feed, on } = open()
    on.head = () => {
      throw new TypeError("mine")
    }
    expect(() => feed(get("/"))).toThrow("mine")
  })

  describe("limits", () => {
    const limits: Http1Limits = {
      methodBytes: 8,
      targetBytes: 12,
      headBytes: 64,
      fieldCount: 3,
      chunkExtensionBytes: 4,
      trailerBytes: 16,
      interimBytes: 64
    }
    const upload = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    it("takes a head of exactly the limit and refuses one byte more, as soon as it is known", () => {
      const base = "GET / HTTP/1.1\r\nHost: a\r\nX: "
      const exact = `${base}${"x".repeat(64 - base.length - 4)}\r\n\r\n`
      const fits = open(limits)
      fits.feed(exact)
      expect(fits.seen()).toEqual(["head GET /", "end"])
      const over = open(limits)
      for (const byte of exact.replace("X: ", "X: y").slice(0, 63)) over.feed(byte)
      expect(over.seen()).toEqual([])
      over.feed("x")
      expect(over.seen()).toEqual(["error head_bytes head_too_large"])
    })

    it.each([
      ["M".repeat(64), "method_bytes not_implemented"],
      [`${"M".repeat(9)} /${"x".repeat(60)}`, "method_bytes not_implemented"],
      [`GET /${"x".repeat(60)}`, "target_bytes target_too_long"],
      [`GET /${"x".repeat(12)} HTTP/1.1\r\nX: ${"y".repeat(60)}`, "target_bytes target_too_long"],
      [`GET / HTTP/1.1\r\nX: ${"y".repeat(60)}`, "head_bytes head_too_large"],
      [`G@T /${"x".repeat(60)}`, "head_bytes head_too_large"]
    ])("says of a head that does not end what fills it, however it is cut: %s", (text, error) => {
      for (const size of [64, 63, 10, 1]) {
        const { feed, seen } = open(limits)
        for (let at = 0; at < text.length; at += size) feed(text.slice(at, at + size))
        expect(seen(), `in reads of ${size}`).toEqual([`error ${error}`])
      }
    })

    it("counts extensions over the whole message", () => {
      const { feed, seen } = open(limits)
      feed(`${upload}1;a\r\nx\r\n1;a\r\nx\r\n`)
      expect(seen()).toEqual(["head PUT /", "body x", "body x"])
      feed("1;a\r\n")
      expect(seen()).toEqual(["error chunk_extension_bytes bad_request"])
      const blanks = open(limits)
      blanks.feed(`${upload}1 ; \t`)
      expect(blanks.seen()).toEqual(["head PUT /"])
      blanks.feed(" a\r\n")
      expect(blanks.seen()).toEqual(["error chunk_extension_bytes bad_request"])

      const several = open(limits)
      several.on.end = () => several.reader.next()
      several.feed(`${upload}0;abc\r\n\r\n`.repeat(3))
      expect(several.seen()).toEqual([
        "head PUT /",
        "end",
        "head PUT /",
        "end",
        "head PUT /",
        "end"
      ])
    })

    it("limits trailers in bytes and number", () => {
      const bytes = open(limits)
      bytes.feed(`${upload}0\r\nX-Long: 0123456789\r\n\r\n`)
      expect(bytes.seen()).toEqual(["head PUT /", "error trailer_bytes head_too_large"])
      const count = open({ ...limits, trailerBytes: 100 })
      count.feed(`${upload}0\r\n${"a: b\r\n".repeat(4)}\r\n`)
      expect(count.seen()).toEqual(["head PUT /", "error field_count head_too_large"])
    })

    it("keeps no more than a bounded number of bytes ahead of a response", () => {
      const { reader, feed, seen } = open()
      feed(get("/"))
      seen()
      feed("x".repeat(maxRetainedBytes))
      expect(seen()).toEqual([])
      feed("x")
      expect(seen()).toEqual(["error pipelined_bytes bad_request"])
      expect(reader.state).toBe("failed")

      const inOne = open()
      inOne.feed(get("/") + "x".repeat(maxRetainedBytes))
      expect(inOne.seen()).toEqual(["head GET /", "end"])
      const oneMore = open()
      oneMore.feed(get("/") + "x".repeat(maxRetainedBytes + 1))
      expect(oneMore.seen()).toEqual(["head GET /", "end", "error pipelined_bytes bad_request"])
    })
  })
})
