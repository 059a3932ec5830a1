/** A peer of HTTP/2 on a raw socket, which says any bytes and keeps what it hears, frame by frame. */
import net from "node:net"
import { HpackDecoder } from "../../src/request/http2/HpackDecoder.ts"
import { HpackEncoder } from "../../src/request/http2/HpackEncoder.ts"
import { codeName } from "../../src/request/http2/Http2Error.ts"
import {
  ack,
  endHeaders,
  endStream,
  FrameType,
  frame,
  preface
} from "../../src/request/http2/Http2Frame.ts"

export type Pairs = ReadonlyArray<readonly [name: string, value: string]>

const none = Buffer.alloc(0)
const mark = Buffer.from("the end?")

/** Fields as they are, without tables. */
export const fieldBlock = (pairs: Pairs): Buffer => {
  const encoder = new HpackEncoder(0)
  encoder.begin()
  for (const [name, value] of pairs) encoder.field(name, value)
  return Buffer.from(encoder.end())
}

export const get: Pairs = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "web.mesh"],
  [":path", "/"]
]
export const post: Pairs = [[":method", "POST"], ...get.slice(1)]
export const path = (value: string): Pairs => [...get.slice(0, 3), [":path", value]]

/** A request, with its end. */
export const asks = (stream: number, pairs: Pairs = get): Buffer =>
  frame(FrameType.headers, endHeaders | endStream, stream, fieldBlock(pairs))
/** One of which more is to come. */
export const begins = (stream: number, pairs: Pairs = post): Buffer =>
  frame(FrameType.headers, endHeaders, stream, fieldBlock(pairs))
export const data = (stream: number, text: string | Buffer = "", flags = 0): Buffer =>
  frame(FrameType.data, flags, stream, Buffer.from(text))
export const lastData = (stream: number, text = ""): Buffer => data(stream, text, endStream)
export const settings = frame(FrameType.settings, 0, 0, none)

interface Answer {
  status: number
  bytes: number
  ended: boolean
}

export class Http2Peer {
  /** Code and reason of the last GOAWAY. */
  goaway: string | undefined = undefined
  readonly resets = new Map<number, string>()
  readonly answers = new Map<number, Answer>()
  /** Payloads of pings that were answered. */
  readonly pongs: Array<string> = []
  /** Settings of ours that were acknowledged. */
  acknowledged = 0
  /** Bytes of the windows that were granted on streams. */
  readonly granted = new Map<number, number>()
  closed = false
  readonly #socket: net.Socket
  readonly #decoder = new HpackDecoder(4_096)
  #rest = none
  #wake: () => void = () => undefined

  constructor(port: number, begin: Buffer = Buffer.concat([preface, settings])) {
    this.#socket = net.connect(port, "127.0.0.1")
    this.#socket.on("error", () => undefined)
    this.#socket.on("data", (chunk) => {
      this.#rest = Buffer.concat([this.#rest, chunk])
      this.#read()
      this.#wake()
    })
    this.#socket.on("close", () => {
      this.closed = true
      this.#wake()
    })
    this.#socket.write(begin)
  }

  say(...parts: ReadonlyArray<Buffer>): void {
    this.#socket.write(Buffer.concat(parts))
  }

  /** Done when it holds; false: the connection ended before. */
  async until(holds: () => boolean): Promise<boolean> {
    while (!holds() && !this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return holds()
  }

  /** All that was said has been read, and the connection goes on. */
  goesOn(): Promise<boolean> {
    const before = this.pongs.length
    this.say(frame(FrameType.ping, 0, 0, mark))
    return this.until(() => this.pongs.slice(before).includes(mark.toString()))
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(): void {
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) return
      const payload = Buffer.from(this.#rest.subarray(9, 9 + length))
      this.#take(this.#rest[3]!, this.#rest[4]!, this.#rest.readUInt32BE(5), payload)
      this.#rest = this.#rest.subarray(9 + length)
    }
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    const isAck = (flags & ack) !== 0
    switch (type) {
      case FrameType.goaway:
        this.goaway = `${codeName(payload.readUInt32BE(4))}: ${payload.toString("utf8", 8)}`
        return
      case FrameType.reset:
        this.resets.set(stream, codeName(payload.readUInt32BE(0)))
        return
      case FrameType.ping:
        if (isAck) this.pongs.push(payload.toString())
        return
      case FrameType.settings:
        if (isAck) this.acknowledged++
        return
      case FrameType.window:
        this.granted.set(stream, (this.granted.get(stream) ?? 0) + payload.readUInt32BE(0))
        return
      case FrameType.headers:
        this.#takeHead(stream, payload)
        break
      case FrameType.data: {
        const answer = this.answers.get(stream)
        if (answer !== undefined) answer.bytes += payload.length
      }
    }
    const answer = this.answers.get(stream)
    if (answer !== undefined && (flags & endStream) !== 0) answer.ended = true
  }

  #takeHead(stream: number, payload: Buffer): void {
    this.#decoder.begin(payload, 0, payload.length)
    for (let field = this.#decoder.next(); field !== undefined; field = this.#decoder.next()) {
      if (field.name !== ":status") continue
      this.answers.set(stream, { status: Number(field.value), bytes: 0, ended: false })
    }
  }
}
