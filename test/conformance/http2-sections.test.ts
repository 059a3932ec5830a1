/**
 * What a listener answers to each thing that RFC 9113 (and 7541, 8441) says of frames, streams and messages, in the
 * order of its sections, after the manner of h2spec: to the connection, to the stream, or as if nothing had been.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { hasBody } from "../../src/model/Exchange.ts"
import {
  endHeaders,
  endStream,
  FrameType,
  frame,
  hasPriority,
  padded,
  preface,
  Setting,
  settingsPayload
} from "../../src/request/http2/Http2Frame.ts"
import { openHttpListener } from "../../src/request/listener/HttpListener.ts"
import { makeContext, responseHead } from "../../src/testing/ListenerFixture.ts"
import {
  asks,
  begins,
  data,
  fieldBlock,
  get,
  Http2Peer,
  lastData,
  type Pairs,
  path,
  post,
  settings
} from "./Http2Peer.ts"

const context = makeContext()
let port = 0

/** Answers when a request is whole; to `/hang` never, to `/big` with 100,000 bytes. */
beforeAll(async () => {
  const { address } = await context.open(
    openHttpListener({
      ...context.base,
      dispatch: ({ head, kind }, receiver) => {
        let isOver = kind === "tcp" || head?.target === "/hang"
        const answer = (): void => {
          if (isOver) return
          isOver = true
          receiver.onHead(responseHead(200, undefined))
          receiver.onData(Buffer.alloc(head?.target === "/big" ? 100_000 : 4, "x"))
          receiver.onEnd([])
        }
        if (head !== undefined && !hasBody(head)) queueMicrotask(answer)
        return {
          write: () => true,
          end: answer,
          cancel: () => {
            isOver = true
          },
          resume: () => undefined
        }
      }
    })
  )
  port = address.port
})

afterAll(() => context.dispose())

type Expected =
  /** GOAWAY with this code, and the end of the connection. */
  | { readonly connection: string }
  /** RST_STREAM with this code of stream 1, and the connection goes on. */
  | { readonly stream: string }
  /** Stream 1 is answered with this, and the connection goes on. */
  | { readonly status: number }
  /** No answer to it, and the connection goes on. */
  | "ignored"

type Case = readonly [what: string, said: ReadonlyArray<Buffer>, expected: Expected]

const connection = (code: string): Expected => ({ connection: `${code}_ERROR` })
const protocol = connection("PROTOCOL")
const frameSize = connection("FRAME_SIZE")
const flowControl = connection("FLOW_CONTROL")
const compression = connection("COMPRESSION")
const streamClosed: Expected = { connection: "STREAM_CLOSED" }
const malformed: Expected = { status: 400 }
const answered: Expected = { status: 200 }

const bytes = (...values: ReadonlyArray<number>): Buffer => Buffer.from(values)
const u32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}
const setting = (id: number, value: number): Buffer =>
  frame(FrameType.settings, 0, 0, settingsPayload([[id, value]]))
const reset = (stream: number, code = 8): Buffer => frame(FrameType.reset, 0, stream, u32(code))
const window = (stream: number, by: number): Buffer => frame(FrameType.window, 0, stream, u32(by))
const priority = (stream: number, on = 0): Buffer =>
  frame(FrameType.priority, 0, stream, Buffer.concat([u32(on), bytes(15)]))
const block = (stream: number, payload: Buffer, flags = endHeaders | endStream): Buffer =>
  frame(FrameType.headers, flags, stream, payload)
const more = (stream: number, payload: Buffer, flags = endHeaders): Buffer =>
  frame(FrameType.continuation, flags, stream, payload)
const whole = fieldBlock(get)
const hang = begins(1, [[":method", "POST"], ...path("/hang").slice(1)])
const ping = frame(FrameType.ping, 0, 0, Buffer.alloc(8))
const without = (name: string): Pairs => get.filter(([field]) => field !== name)
const also = (...pairs: Pairs): Buffer => asks(1, [...get, ...pairs])
const trailers = (...pairs: Pairs): Buffer => block(1, fieldBlock(pairs))
const websocket: Pairs = [[":method", "CONNECT"], ...path("/hang").slice(1)]

const sections: Readonly<Record<string, ReadonlyArray<Case>>> = {
  "3.4 connection preface": [
    ["settings that are empty", [asks(1)], answered],
    ["settings once more", [settings, asks(1)], answered]
  ],
  "4.1 frame format": [
    ["an unknown type", [frame(0xbe, 0, 0, Buffer.alloc(8)), asks(1)], answered],
    ["an unknown type on a stream", [hang, frame(0xbe, 0xff, 1, Buffer.alloc(8))], "ignored"],
    ["unknown flags", [frame(FrameType.ping, 0x16, 0, Buffer.alloc(8)), asks(1)], answered],
    ["the reserved bit", [frame(FrameType.headers, 5, 0x8000_0001, whole)], answered]
  ],
  "4.2 frame size": [
    ["the largest there may be", [begins(1), data(1, Buffer.alloc(16_384)), lastData(1)], answered],
    ["data larger than that", [hang, data(1, Buffer.alloc(16_385))], frameSize],
    ["fields larger than that", [block(1, Buffer.alloc(16_385))], frameSize],
    ["an unknown type larger than that", [frame(0xbe, 0, 0, Buffer.alloc(16_385))], frameSize]
  ],
  "4.3 field section compression": [
    ["a block that is cut off", [block(1, bytes(0x40, 0x0a, 0x61))], compression],
    ["a priority within a block", [block(1, whole, endStream), priority(1)], protocol],
    ["a block of another stream within one", [block(1, whole, endStream), asks(3)], protocol],
    ["an unknown type within one", [block(1, whole, endStream), frame(0xbe, 0, 1, whole)], protocol]
  ],
  "5.1 streams: idle": [
    ["data", [data(1, "x")], protocol],
    ["a reset", [reset(1)], protocol],
    ["a window", [window(1, 1)], protocol],
    ["a continuation", [more(1, whole)], protocol],
    ["a priority", [priority(1), asks(1)], answered]
  ],
  "5.1 streams: half-closed (remote)": [
    ["data", [asks(1, path("/hang")), data(1, "x")], { stream: "STREAM_CLOSED" }],
    ["fields", [asks(1, path("/hang")), asks(1)], { stream: "STREAM_CLOSED" }],
    ["a continuation", [asks(1, path("/hang")), more(1, whole)], protocol],
    ["a window", [asks(1, path("/hang")), window(1, 1)], "ignored"],
    ["a priority", [asks(1, path("/hang")), priority(1)], "ignored"]
  ],
  "5.1 streams: closed by a reset": [
    ["data", [hang, reset(1), data(1, "x")], streamClosed],
    ["fields", [hang, reset(1), asks(1)], streamClosed],
    ["a window", [hang, reset(1), window(1, 1)], "ignored"],
    ["another reset", [hang, reset(1), reset(1)], "ignored"],
    ["a priority", [hang, reset(1), priority(1)], "ignored"]
  ],
  "5.1.1 stream identifiers": [
    ["an even one", [asks(2)], protocol],
    [
      "one that was passed over, which is as closed as one that has ended",
      [asks(5), asks(3)],
      streamClosed
    ]
  ],
  "5.3 priority, which means nothing": [
    ["a stream on itself", [priority(1, 1), asks(1)], answered],
    ["fields with one", [block(1, Buffer.concat([u32(1), bytes(15), whole]), 0x25)], answered]
  ],
  "6.1 data": [
    ["on stream 0", [data(0, "x")], protocol],
    ["with padding", [begins(1), data(1, bytes(3, 120, 0, 0, 0), padded | endStream)], answered],
    ["with nothing but padding", [begins(1), data(1, bytes(1, 0), padded), lastData(1)], answered],
    ["with padding as long as it", [hang, data(1, bytes(3, 0, 0), padded)], protocol],
    ["padded, with no length", [hang, data(1, "", padded)], frameSize]
  ],
  "6.2 headers": [
    ["on stream 0", [block(0, whole)], protocol],
    [
      "with padding",
      [block(1, Buffer.concat([bytes(2), whole, bytes(0, 0)]), 0x5 | padded)],
      answered
    ],
    ["with padding as long as it", [block(1, bytes(5, 0x82), 0x5 | padded)], protocol],
    ["too short for its priority", [block(1, bytes(0, 0), 0x5 | hasPriority)], frameSize]
  ],
  "6.3 priority": [
    ["on stream 0", [priority(0)], protocol],
    ["of another length", [hang, frame(FrameType.priority, 0, 1, Buffer.alloc(4))], frameSize]
  ],
  "6.4 reset": [
    ["on stream 0", [reset(0)], protocol],
    ["of another length", [hang, frame(FrameType.reset, 0, 1, Buffer.alloc(3))], frameSize],
    ["with an unknown code", [hang, reset(1, 0xff), ping], "ignored"]
  ],
  "6.5 settings": [
    ["acknowledged, with more", [frame(FrameType.settings, 1, 0, Buffer.alloc(6))], frameSize],
    ["on a stream", [frame(FrameType.settings, 0, 1, Buffer.alloc(0))], protocol],
    ["of another length", [frame(FrameType.settings, 0, 0, Buffer.alloc(5))], frameSize],
    ["push of 2", [setting(Setting.push, 2)], protocol],
    ["a window of 2^31", [setting(Setting.window, 2 ** 31)], flowControl],
    ["frames of 2^14 - 1", [setting(Setting.frameSize, 16_383)], protocol],
    ["frames of 2^24", [setting(Setting.frameSize, 2 ** 24)], protocol],
    ["frames of 2^24 - 1", [setting(Setting.frameSize, 2 ** 24 - 1), asks(1)], answered],
    ["what nobody knows", [setting(0xff, 1), asks(1)], answered],
    ["a table of nothing", [setting(Setting.tableSize, 0), asks(1)], answered]
  ],
  "6.6 push promise": [
    [
      "of a client",
      [hang, frame(FrameType.push, endHeaders, 1, Buffer.concat([u32(2), whole]))],
      protocol
    ]
  ],
  "6.7 ping": [
    ["on a stream", [frame(FrameType.ping, 0, 1, Buffer.alloc(8))], protocol],
    ["of another length", [frame(FrameType.ping, 0, 0, Buffer.alloc(6))], frameSize],
    ["an answer nobody asked for", [frame(FrameType.ping, 1, 0, Buffer.alloc(8))], "ignored"]
  ],
  "6.8 goaway": [
    ["on a stream", [frame(FrameType.goaway, 0, 1, Buffer.alloc(8))], protocol],
    ["too short", [frame(FrameType.goaway, 0, 0, Buffer.alloc(7))], frameSize],
    [
      "while a request is on its way",
      [begins(1), frame(FrameType.goaway, 0, 0, Buffer.alloc(8)), lastData(1)],
      answered
    ],
    [
      "with a code nobody knows",
      [frame(FrameType.goaway, 0, 0, Buffer.concat([u32(0), u32(0xff)])), asks(1)],
      answered
    ]
  ],
  "6.9 window update": [
    ["of nothing", [window(0, 0)], protocol],
    ["of nothing, on a stream", [hang, window(1, 0)], { stream: "PROTOCOL_ERROR" }],
    ["of another length", [frame(FrameType.window, 0, 0, Buffer.alloc(3))], frameSize],
    ["beyond 2^31", [window(0, 2 ** 31 - 1)], flowControl],
    ["beyond 2^31, on a stream", [hang, window(1, 2 ** 31 - 1)], { stream: "FLOW_CONTROL_ERROR" }],
    [
      "beyond 2^31, by settings",
      [hang, window(1, 2 ** 31 - 65_536), setting(Setting.window, 65_536)],
      flowControl
    ]
  ],
  "6.10 continuation": [
    [
      "in several",
      [
        block(1, whole.subarray(0, 1), endStream),
        more(1, whole.subarray(1, 2), 0),
        more(1, whole.subarray(2))
      ],
      answered
    ],
    ["with nothing in it", [block(1, whole, endStream), more(1, Buffer.alloc(0))], answered],
    ["on stream 0", [block(1, whole, endStream), more(0, whole)], protocol],
    ["after the end of fields", [asks(1, path("/hang")), more(1, whole)], protocol],
    ["after data", [hang, data(1, "x"), more(1, whole)], protocol]
  ],
  "8.1 messages": [
    ["a request, and trailers", [begins(1), data(1, "x"), trailers(["x-a", "1"])], answered],
    ["fields that do not end it", [hang, begins(1)], { stream: "PROTOCOL_ERROR" }],
    [
      "a pseudo-field in trailers",
      [begins(1), trailers([":method", "GET"])],
      { stream: "PROTOCOL_ERROR" }
    ],
    [
      "a field of connections in trailers",
      [begins(1), trailers(["connection", "close"])],
      { stream: "PROTOCOL_ERROR" }
    ],
    [
      "less than content-length",
      [begins(1, [...post, ["content-length", "2"]]), lastData(1, "x")],
      { stream: "PROTOCOL_ERROR" }
    ],
    [
      "more than content-length",
      [begins(1, [...post, ["content-length", "1"]]), data(1, "xx")],
      { stream: "PROTOCOL_ERROR" }
    ],
    ["content-length and no body", [asks(1, [...post, ["content-length", "1"]])], malformed],
    ["content-length that is none", [asks(1, [...post, ["content-length", "+0"]])], malformed]
  ],
  "8.2 fields": [
    ["capital letters", [also(["X-A", "1"])], malformed],
    ["a name with a space", [also(["x a", "1"])], malformed],
    ["a name of nothing", [also(["", "1"])], malformed],
    ["a line break in a value", [also(["x-a", "1\r\nx-b: 2"])], malformed],
    ["a NUL in a value", [also(["x-a", "1\0"])], malformed],
    ["a blank before a value", [also(["x-a", " 1"])], malformed],
    ["an empty value", [also(["x-a", ""])], answered],
    ["connection", [also(["connection", "keep-alive"])], malformed],
    ["keep-alive", [also(["keep-alive", "timeout=1"])], malformed],
    ["proxy-connection", [also(["proxy-connection", "keep-alive"])], malformed],
    ["transfer-encoding", [also(["transfer-encoding", "chunked"])], malformed],
    ["upgrade", [also(["upgrade", "websocket"])], malformed],
    ["te of more than trailers", [also(["te", "trailers, deflate"])], malformed],
    ["te of trailers", [also(["te", "trailers"])], answered]
  ],
  "8.3 pseudo-fields": [
    ["one nobody knows", [also([":test", "1"])], malformed],
    ["one of responses", [also([":status", "200"])], malformed],
    [
      "one behind fields",
      [asks(1, [...get.slice(0, 3), ["x-a", "1"], ...get.slice(3)])],
      malformed
    ],
    ["no method", [asks(1, without(":method"))], malformed],
    ["no scheme", [asks(1, without(":scheme"))], malformed],
    ["no path", [asks(1, without(":path"))], malformed],
    ["an empty path", [asks(1, path(""))], malformed],
    ["a path without its slash", [asks(1, path("x"))], malformed],
    ["a method twice", [asks(1, [...get, [":method", "GET"]])], malformed],
    ["a scheme twice", [asks(1, [...get, [":scheme", "http"]])], malformed],
    ["a path twice", [asks(1, [...get, [":path", "/"]])], malformed],
    [
      "host in place of authority",
      [asks(1, [...without(":authority"), ["host", "web.mesh"]])],
      answered
    ],
    ["another host than authority", [also(["host", "other.mesh"])], malformed],
    [
      "user information",
      [asks(1, [...without(":authority"), [":authority", "u@web.mesh"]])],
      malformed
    ]
  ],
  "8.5 connect": [
    ["with a path", [asks(1, [...get.slice(2), [":method", "CONNECT"]])], malformed],
    [
      "to no port",
      [
        asks(1, [
          [":method", "CONNECT"],
          [":authority", "web.mesh"]
        ])
      ],
      malformed
    ]
  ],
  "RFC 8441 extended connect": [
    ["without connect", [also([":protocol", "websocket"])], malformed],
    [
      "for a protocol that is not carried",
      [begins(1, [...websocket, [":protocol", "connect-ip"]])],
      { status: 501 }
    ],
    ["waits for its program", [begins(1, [...websocket, [":protocol", "websocket"]])], "ignored"]
  ],
  "RFC 7541 field blocks": [
    ["an index of nothing", [block(1, bytes(0x80))], compression],
    [
      "an index beyond the table",
      [block(1, Buffer.concat([whole, bytes(0xff, 0x01)]))],
      compression
    ],
    ["a table larger than allowed", [block(1, bytes(0x3f, 0xe2, 0x1f))], compression],
    [
      "a change of the table behind fields",
      [block(1, Buffer.concat([whole, bytes(0x20)]))],
      compression
    ],
    ["a change of it before", [block(1, Buffer.concat([bytes(0x20), whole]))], answered],
    ["a number without end", [block(1, bytes(0xff, ...Array<number>(8).fill(0xff)))], compression],
    ["a text longer than its block", [block(1, bytes(0x00, 0x7e, 0x61))], compression],
    [
      "padding of a Huffman code longer than 7 bits",
      [block(1, Buffer.concat([whole, bytes(0x00, 0x01, 0x61, 0x82, 0x1f, 0xff)]))],
      compression
    ],
    [
      "padding of a Huffman code that is no beginning of its end",
      [block(1, Buffer.concat([whole, bytes(0x00, 0x01, 0x61, 0x81, 0x18)]))],
      compression
    ],
    [
      "the end of a Huffman code within it",
      [block(1, Buffer.concat([whole, bytes(0x00, 0x01, 0x61, 0x84, 0xff, 0xff, 0xff, 0xfc)]))],
      compression
    ]
  ]
}

describe.each(Object.entries(sections))("§%s", (_, cases) => {
  it.each(cases)("%s", async (_what, said, expected) => {
    const peer = new Http2Peer(port)
    peer.say(...said)
    if (expected !== "ignored" && "connection" in expected) {
      await peer.until(() => peer.closed)
      expect(peer.goaway).toMatch(new RegExp(`^${expected.connection}: .`))
      return
    }
    expect(await peer.goesOn(), peer.goaway).toBe(true)
    if (expected === "ignored") {
      expect([peer.resets.size, peer.answers.size]).toEqual([0, 0])
    } else if ("stream" in expected) {
      expect(await peer.until(() => peer.resets.has(1))).toBe(true)
      expect(peer.resets.get(1)).toBe(expected.stream)
    } else {
      expect(await peer.until(() => peer.answers.get(1)?.ended === true)).toBe(true)
      expect(peer.answers.get(1)?.status).toBe(expected.status)
    }
    expect(peer.goaway).toBeUndefined()
    peer.close()
  })
})

describe("§3.4 a beginning", () => {
  it("without settings ends the connection", async () => {
    const peer = new Http2Peer(port, Buffer.concat([preface, asks(1)]))
    await peer.until(() => peer.closed)
    expect(peer.goaway).toMatch(/^PROTOCOL_ERROR: /)
  })

  it("in pieces is one all the same", async () => {
    const peer = new Http2Peer(port, preface.subarray(0, 7))
    await new Promise(setImmediate)
    peer.say(preface.subarray(7), settings, asks(1))
    expect(await peer.until(() => peer.answers.get(1)?.status === 200)).toBe(true)
    peer.close()
  })
})

describe("§5.1.2 streams at a time", () => {
  it("beyond what was said are refused, and others go on", async () => {
    const peer = new Http2Peer(port)
    const all = Array.from({ length: 257 }, (_, n) => asks(1 + 2 * n, path("/hang")))
    peer.say(...all)
    expect(await peer.until(() => peer.resets.has(513))).toBe(true)
    expect([...peer.resets]).toEqual([[513, "REFUSED_STREAM"]])
    peer.say(reset(1), asks(515))
    expect(await peer.until(() => peer.answers.get(515)?.status === 200)).toBe(true)
    peer.close()
  })
})

describe("§5.2 and §6.9 flow control", () => {
  it("holds back what the window of a stream does not let through", async () => {
    const peer = new Http2Peer(port, Buffer.concat([preface, setting(Setting.window, 10)]))
    peer.say(asks(1, path("/big")))
    expect(await peer.until(() => peer.answers.get(1)?.bytes === 10)).toBe(true)
    // Less than nothing: what was sent counts against the new one.
    peer.say(setting(Setting.window, 4), window(1, 5))
    expect(await peer.goesOn()).toBe(true)
    expect(peer.answers.get(1)?.bytes).toBe(10)
    peer.say(window(1, 2))
    expect(await peer.until(() => peer.answers.get(1)?.bytes === 11)).toBe(true)
    peer.say(setting(Setting.window, 1_000_000), window(0, 100_000))
    expect(await peer.until(() => peer.answers.get(1)?.ended === true)).toBe(true)
    expect(peer.answers.get(1)?.bytes).toBe(100_000)
    peer.close()
  })

  it("holds back what the window of the connection does not let through", async () => {
    const peer = new Http2Peer(port, Buffer.concat([preface, setting(Setting.window, 2 ** 20)]))
    peer.say(asks(1, path("/big")))
    expect(await peer.until(() => peer.answers.get(1)?.bytes === 65_535)).toBe(true)
    expect(await peer.goesOn()).toBe(true)
    expect(peer.answers.get(1)?.bytes).toBe(65_535)
    peer.say(window(0, 100_000))
    expect(await peer.until(() => peer.answers.get(1)?.ended === true)).toBe(true)
    peer.close()
  })
})

describe("§6.5.3 and §6.7 answers to control frames", () => {
  it("are one for each, in order", async () => {
    const peer = new Http2Peer(port)
    const word = (text: string): Buffer => frame(FrameType.ping, 0, 0, Buffer.from(text))
    peer.say(settings, word("ping one"), settings, word("ping two"))
    expect(await peer.until(() => peer.pongs.length === 2)).toBe(true)
    expect(peer.pongs).toEqual(["ping one", "ping two"])
    expect(peer.acknowledged).toBe(3)
    peer.close()
  })
})

describe("§8.1 an answer before its request has ended", () => {
  it("ends the stream without an error", async () => {
    const peer = new Http2Peer(port)
    peer.say(begins(1, [...post, ["connection", "close"]]))
    expect(await peer.until(() => peer.resets.has(1))).toBe(true)
    expect(peer.answers.get(1)).toMatchObject({ status: 400, ended: true })
    expect(peer.resets.get(1)).toBe("NO_ERROR")
    // What was on its way is dropped.
    peer.say(data(1, "x"), asks(3))
    expect(await peer.until(() => peer.answers.get(3)?.status === 200)).toBe(true)
    peer.close()
  })
})
