/**
 * Pings and their answers on a byte channel. Eight pings a second are all that an idle node says, so
 * they are a few fixed bytes, big-endian, each after its length (u16):
 *
 *     question   1  id u32  clock f64  accused f64
 *     answer     2  id u32  clock f64  incarnation f64  denial…
 *
 * `clock`: the speaker's wall clock, ms. `accused`: the incarnation at which the asked one is
 * suspected; 0: it is not. `denial`: its signed word against that, or nothing. What a later version
 * adds to a question is passed over, and so are kinds that are not known.
 */
import type { ByteChannel } from "../../model/ByteChannel.ts"
import { maxChainBytes } from "../trust/SignedChain.ts"

export interface PingQuestion {
  readonly id: number
  readonly clock: number
  /** The incarnation it stands accused at. */
  readonly accused: number | undefined
}

export interface PingReply {
  readonly id: number
  readonly clock: number
  readonly incarnation: number
  readonly alive: Uint8Array | undefined
}

export interface PingEvents {
  onQuestion(question: PingQuestion): void
  onReply(reply: PingReply): void
  onClose(): void
}

const lengthBytes = 2
const headBytes = 1 + 4 + 8
const questionBytes = headBytes + 8
const replyBytes = headBytes + 8
/** Of one frame without its length: room for a denial, which carries its speaker's certificates. */
const maxFrame = replyBytes + maxChainBytes + 1_024
const question = 1
const reply = 2

const encode = (kind: number, id: number, clock: number, value: number, rest?: Uint8Array) => {
  const length = replyBytes + (rest?.length ?? 0)
  const frame = Buffer.allocUnsafe(lengthBytes + length)
  frame.writeUInt16BE(length, 0)
  frame.writeUInt8(kind, 2)
  frame.writeUInt32BE(id, 3)
  frame.writeDoubleBE(clock, 7)
  frame.writeDoubleBE(value, 15)
  if (rest !== undefined) frame.set(rest, lengthBytes + replyBytes)
  return frame
}

/** Whole numbers that a clock or an incarnation may be. */
const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

export class PingFrames {
  readonly #channel: ByteChannel
  readonly #events: PingEvents
  #partial: Buffer = Buffer.alloc(0)
  #closed = false

  /** The channel's events are set when this returns. */
  constructor(channel: ByteChannel, events: PingEvents) {
    this.#channel = channel
    this.#events = events
    channel.events = {
      onData: (bytes) => this.#onData(bytes),
      onDrain: () => undefined,
      onClose: () => {
        this.#closed = true
        events.onClose()
      }
    }
  }

  ask({ id, clock, accused }: PingQuestion): void {
    this.#write(encode(question, id, Math.floor(clock), accused ?? 0))
  }

  answer({ id, clock, incarnation, alive }: PingReply): void {
    this.#write(encode(reply, id, Math.floor(clock), incarnation, alive))
  }

  close(): void {
    if (!this.#closed) this.#channel.close()
  }

  #write(frame: Uint8Array): void {
    if (this.#closed || this.#channel.write(frame)) return
    // A few bytes a second, and it does not take them: it is not reading, and nothing is to be kept.
    this.#channel.abort(new Error("the peer does not read its pings"))
  }

  #onData(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const data = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk])
    let at = 0
    while (!this.#closed && data.length - at >= lengthBytes) {
      const length = data.readUInt16BE(at)
      if (length > maxFrame) {
        this.#channel.abort(new Error(`a ping of ${length} bytes; at most ${maxFrame} are allowed`))
        return
      }
      const end = at + lengthBytes + length
      if (end > data.length) break
      this.#onFrame(data.subarray(at + lengthBytes, end))
      at = end
    }
    // Copied: what came may lie in memory that is used again.
    this.#partial = at === data.length ? Buffer.alloc(0) : Buffer.from(data.subarray(at))
  }

  #onFrame(frame: Buffer): void {
    if (frame.length < questionBytes) return
    const id = frame.readUInt32BE(1)
    const clock = frame.readDoubleBE(5)
    const value = frame.readDoubleBE(13)
    if (!isCount(clock) || !isCount(value)) return
    switch (frame.readUInt8(0)) {
      case question:
        this.#events.onQuestion({ id, clock, accused: value === 0 ? undefined : value })
        return
      case reply: {
        const rest = frame.subarray(replyBytes)
        const alive = rest.length === 0 ? undefined : Uint8Array.from(rest)
        this.#events.onReply({ id, clock, incarnation: value, alive })
      }
    }
  }
}
