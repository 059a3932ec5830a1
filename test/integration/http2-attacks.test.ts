/**
 * Attacks by HTTP/2 on a real node from raw sockets: each costs its connection, with a code and a rule, and
 * nobody else. The limits are those of docs/http2.md.
 */

import { readFileSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { HpackEncoder } from "../../src/request/http2/HpackEncoder.ts"
import { codeName } from "../../src/request/http2/Http2Error.ts"
import {
  endHeaders,
  endStream,
  FrameType,
  frame,
  preface,
  Setting,
  settingsPayload
} from "../../src/request/http2/Http2Frame.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let a: Host
const counts = { asked: 0, open: 0 }
let slow: ServerResponse
const app = createServer((request, response) => {
  counts.asked++
  if (request.url === "/big") return response.end(Buffer.alloc(4 * 1024 * 1024))
  if (request.url === "/slow") {
    slow = response
    const timer = setInterval(() => response.write("."), 300)
    return response.on("close", () => clearInterval(timer))
  }
  if (request.url !== "/hang") return response.end("well")
  counts.open++
  return response.on("close", () => counts.open--)
})

beforeAll(async () => {
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve))
  const address = `127.0.0.1:${(app.address() as AddressInfo).port}` // it listens at a port
  const policies = { web: { timeout: { idle: "2s" } } }
  a = await mesh.first("host-a", { threads: 1, policies })
  await mesh.join("host-b", { threads: 1, services: [{ name: "web", address }] })
  await until("web is there", async () => ((await well()) ? true : undefined))
})

afterAll(async () => {
  await mesh.stop()
  app.closeAllConnections()
  app.close()
  await stopAll()
})

const host = "127.0.0.1"
const portOf = (): number => Number(a.proxy.split(":")[1])

/** Others are served. */
const well = (): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(portOf(), host)
    let text = ""
    socket.on("data", (chunk) => (text += chunk.toString("latin1")))
    socket.on("error", () => resolve(false))
    socket.on("close", () => resolve(text.endsWith("well")))
    socket.write("GET / HTTP/1.1\r\nHost: web.mesh\r\nConnection: close\r\n\r\n")
  })

const settings = frame(FrameType.settings, 0, 0, Buffer.alloc(0))
const hello = Buffer.concat([preface, settings])

const block = (path: string, more: ReadonlyArray<readonly [string, string]> = []): Buffer => {
  const encoder = new HpackEncoder(0)
  encoder.begin()
  for (const [name, value] of [
    [":method", "GET"],
    [":scheme", "http"],
    [":authority", "web.mesh"],
    [":path", path],
    ...more
  ] as const) {
    encoder.field(name, value)
  }
  return Buffer.from(encoder.end())
}

const open = (stream: number, path = "/", flags = endHeaders | endStream): Buffer =>
  frame(FrameType.headers, flags, stream, block(path))

interface Heard {
  /** What the last GOAWAY says, as `CODE: reason`. */
  readonly goodbye: string | undefined
  readonly resets: ReadonlyMap<number, string>
  readonly statuses: number
  readonly last: number | undefined
}

/** Frames of what was heard. */
const read = (bytes: Buffer): Heard => {
  let goodbye: string | undefined
  let last: number | undefined
  let statuses = 0
  const resets = new Map<number, string>()
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    const stream = bytes.readUInt32BE(at + 5)
    const payload = bytes.subarray(at + 9, at + 9 + length)
    if (payload.length < length) break
    if (bytes[at + 3] === FrameType.goaway) {
      last = payload.readUInt32BE(0)
      goodbye = `${codeName(payload.readUInt32BE(4))}: ${payload.toString("utf8", 8)}`
    } else if (bytes[at + 3] === FrameType.reset) {
      resets.set(stream, codeName(payload.readUInt32BE(0)))
    } else if (bytes[at + 3] === FrameType.headers) statuses++
    at += 9 + length
  }
  return { goodbye, last, resets, statuses }
}

/** Says it until the node has had enough; what it heard meanwhile, when the connection has closed. */
const attack = (
  say: (round: number) => Buffer | undefined,
  { reads = true, begin = hello, patience = 20_000 } = {}
): Promise<Heard> =>
  new Promise((resolve, reject) => {
    const socket: Socket = connect(portOf(), host)
    const heard: Array<Buffer> = []
    if (reads) socket.on("data", (chunk) => heard.push(chunk))
    else socket.pause()
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`it goes on: ${JSON.stringify(read(Buffer.concat(heard)))}`))
    }, patience)
    socket.on("error", () => undefined)
    socket.on("close", () => {
      clearTimeout(timer)
      resolve(read(Buffer.concat(heard)))
    })
    socket.on("end", () => socket.end())
    socket.write(begin)
    let round = 0
    // Never without a pause: who only writes hears nothing.
    const more = (): void => {
      for (let i = 0; i < 50 && !socket.destroyed && socket.writable; i++) {
        const bytes = say(round++)
        if (bytes === undefined) return
        if (socket.write(bytes)) continue
        socket.once("drain", more)
        return
      }
      if (!socket.destroyed) setImmediate(more)
    }
    socket.once("connect", more)
  })

const memory = (): number => {
  const text = readFileSync(`/proc/${a.process?.child.pid}/status`, "utf8")
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) / 1024
}

const rules = async (): Promise<string> => {
  const text = await (await fetch(`http://${a.admin}/metrics`)).text()
  return text
    .split("\n")
    .filter((line) => line.startsWith("skein_listener_parse_errors_total"))
    .join("\n")
}

const ping = frame(FrameType.ping, 0, 0, Buffer.alloc(8))
const batch = (one: Buffer, times: number): Buffer => Buffer.concat(Array<Buffer>(times).fill(one))

const floods: ReadonlyArray<
  readonly [string, string, string, (round: number) => Buffer | undefined]
> = [
  ["pings", "ENHANCE_YOUR_CALM", "h2_control_flood", () => batch(ping, 100)],
  [
    "settings",
    "ENHANCE_YOUR_CALM",
    "h2_control_flood",
    () => batch(frame(FrameType.settings, 0, 0, settingsPayload([[Setting.window, 65_535]])), 100)
  ],
  [
    "priorities",
    "ENHANCE_YOUR_CALM",
    "h2_control_flood",
    () => batch(frame(FrameType.priority, 0, 1, Buffer.alloc(5)), 100)
  ],
  [
    "frames of an unknown type",
    "ENHANCE_YOUR_CALM",
    "h2_control_flood",
    () => batch(frame(0xbe, 0, 0, Buffer.alloc(100)), 100)
  ],
  [
    "empty data",
    "ENHANCE_YOUR_CALM",
    "h2_control_flood",
    (round) =>
      round === 0
        ? open(1, "/hang", endHeaders)
        : batch(frame(FrameType.data, 0, 1, Buffer.alloc(0)), 100)
  ],
  [
    "window updates",
    "ENHANCE_YOUR_CALM",
    "h2_control_flood",
    () => batch(frame(FrameType.window, 0, 0, Buffer.of(0, 0, 0, 1)), 100)
  ],
  [
    "streams that are reset at once (rapid reset)",
    "ENHANCE_YOUR_CALM",
    "h2_reset_flood",
    (round) =>
      Buffer.concat([
        open(1 + 2 * round, "/hang"),
        frame(FrameType.reset, 0, 1 + 2 * round, Buffer.of(0, 0, 0, 8))
      ])
  ],
  [
    "streams beyond the limit",
    "ENHANCE_YOUR_CALM",
    "h2_reset_flood",
    (round) => open(1 + 2 * round, "/hang")
  ],
  [
    "continuations without end",
    "ENHANCE_YOUR_CALM",
    "h2_block_frames",
    (round) =>
      frame(round === 0 ? FrameType.headers : FrameType.continuation, 0, 1, Buffer.alloc(0))
  ],
  [
    "continuations with fields without end",
    "ENHANCE_YOUR_CALM",
    "h2_block_bytes",
    (round) =>
      frame(
        round === 0 ? FrameType.headers : FrameType.continuation,
        0,
        1,
        Buffer.alloc(16_000, 0x82)
      )
  ],
  [
    "a table of fields that nobody offered",
    "COMPRESSION_ERROR",
    "bad_header_block",
    () => frame(FrameType.headers, endHeaders | endStream, 1, Buffer.of(0x3f, 0xff, 0xff, 0x03))
  ],
  [
    "a frame larger than allowed",
    "FRAME_SIZE_ERROR",
    "h2_frame_size",
    () => frame(FrameType.headers, endHeaders, 1, Buffer.alloc(20_000))
  ],
  [
    "data for a stream that was never opened",
    "PROTOCOL_ERROR",
    "h2_frame_place",
    () => frame(FrameType.data, 0, 7, Buffer.alloc(10))
  ],
  [
    "a frame within a field block",
    "PROTOCOL_ERROR",
    "h2_frame_place",
    () => Buffer.concat([frame(FrameType.headers, 0, 1, block("/")), ping])
  ],
  ["a stream with an even number", "PROTOCOL_ERROR", "h2_frame_place", () => open(2)],
  [
    "a window beyond 2^31",
    "FLOW_CONTROL_ERROR",
    "h2_window",
    () => frame(FrameType.window, 0, 0, Buffer.of(0x7f, 0xff, 0xff, 0xff))
  ],
  [
    "padding longer than its frame",
    "PROTOCOL_ERROR",
    "h2_padding",
    () =>
      Buffer.concat([open(1, "/hang", endHeaders), frame(FrameType.data, 0x8, 1, Buffer.of(9, 1))])
  ],
  [
    "a setting that cannot be",
    "PROTOCOL_ERROR",
    "h2_settings",
    () => frame(FrameType.settings, 0, 0, settingsPayload([[Setting.frameSize, 1]]))
  ]
]

describe("a connection ends, and no other, by", () => {
  for (const [what, code, rule, say] of floods) {
    it(what, async () => {
      const before = memory()
      const { goodbye } = await attack(say)
      expect(goodbye).toContain(`${code}: `)
      expect(await rules()).toMatch(new RegExp(`rule="${rule}"`))
      expect(await well()).toBe(true)
      expect(memory() - before).toBeLessThan(60)
      await until("nothing is left at the program", async () =>
        counts.open === 0 ? true : undefined
      )
    })
  }

  it("pings whose answers nobody reads", async () => {
    const before = memory()
    // As slowly as it is allowed: each is answered, and the answers are not taken.
    await attack(() => batch(ping, 2_000), { reads: false })
    expect(await well()).toBe(true)
    expect(memory() - before).toBeLessThan(60)
  })

  it("a beginning that is none, and nothing more is read of it", async () => {
    const { goodbye } = await attack((round) => (round > 0 ? undefined : ping), { begin: preface })
    expect(goodbye).toContain("PROTOCOL_ERROR: the first frame is no settings")
  })
})

describe("a stream ends, and its connection goes on, by", () => {
  it("a window that is never opened, when the call's time is over", async () => {
    const socket = connect(portOf(), host)
    const heard: Array<Buffer> = []
    socket.on("data", (chunk) => heard.push(chunk))
    const closed = frame(FrameType.settings, 0, 0, settingsPayload([[Setting.window, 0]]))
    socket.write(Buffer.concat([preface, closed, open(1, "/big")]))
    await until("the stream is reset", async () =>
      read(Buffer.concat(heard)).resets.get(1) === "INTERNAL_ERROR" ? true : undefined
    )
    socket.write(open(3, "/nothing-is-read"))
    await until("the next is answered", async () =>
      read(Buffer.concat(heard)).statuses >= 2 ? true : undefined
    )
    socket.destroy()
  })

  it("fields that are too many once they are read (an HPACK bomb)", async () => {
    const before = memory()
    const socket = connect(portOf(), host)
    const heard: Array<Buffer> = []
    socket.on("data", (chunk) => heard.push(chunk))
    const encoder = new HpackEncoder(4096)
    const bomb = (times: number): Buffer => {
      encoder.begin()
      for (const [name, value] of [
        [":method", "GET"],
        [":scheme", "http"],
        [":authority", "web.mesh"],
        [":path", "/"]
      ] as const) {
        encoder.field(name, value)
      }
      for (let i = 0; i < times; i++) encoder.field("x-bomb", "x".repeat(900))
      return Buffer.from(encoder.end())
    }
    socket.write(hello)
    for (let stream = 1; stream < 100; stream += 2) {
      const bytes = bomb(stream === 1 ? 1 : 15_000)
      socket.write(frame(FrameType.headers, endHeaders | endStream, stream, bytes))
    }
    await until("all are answered", async () =>
      read(Buffer.concat(heard)).statuses >= 50 ? true : undefined
    )
    expect(read(Buffer.concat(heard)).goodbye).toBeUndefined()
    expect(memory() - before).toBeLessThan(60)
    socket.destroy()
  })

  it("data beyond its window", async () => {
    const socket = connect(portOf(), host)
    const heard: Array<Buffer> = []
    socket.on("data", (chunk) => heard.push(chunk))
    socket.write(Buffer.concat([hello, open(1, "/hang", endHeaders)]))
    for (let i = 0; i < 500; i++) socket.write(frame(FrameType.data, 0, 1, Buffer.alloc(16_000)))
    await until("the stream is reset", async () =>
      read(Buffer.concat(heard)).resets.get(1) === "FLOW_CONTROL_ERROR" ? true : undefined
    )
    expect(read(Buffer.concat(heard)).goodbye).toBeUndefined()
    expect(await well()).toBe(true)
    socket.destroy()
  })
})

describe("a node that drains", () => {
  it("says the last stream it serves, and what runs ends as it would", async () => {
    const socket = connect(portOf(), host)
    const heard: Array<Buffer> = []
    socket.on("data", (chunk) => heard.push(chunk))
    const closed = new Promise((resolve) => socket.once("close", resolve))
    socket.write(Buffer.concat([hello, open(1), open(3, "/slow")]))
    const hears = (): Heard => read(Buffer.concat(heard))
    await until("both have begun", async () => (hears().statuses === 2 ? true : undefined))
    const stopped = a.stop()
    await until("it says that it ends", async () => (hears().goodbye ? true : undefined))
    // It is served as yet: the client may not have known.
    expect(hears()).toMatchObject({ goodbye: "NO_ERROR: ", last: 2 ** 31 - 1 })
    socket.write(open(5))
    await until("it says which was the last", async () => (hears().last === 5 ? true : undefined))
    socket.write(open(7))
    await until("what came too late may go elsewhere", async () =>
      hears().resets.get(7) === "REFUSED_STREAM" ? true : undefined
    )
    slow.end("the end")
    await closed
    expect(hears().statuses).toBe(3)
    expect(Buffer.concat(heard).includes("the end")).toBe(true)
    expect(await stopped).toBe(0)
  })
})
