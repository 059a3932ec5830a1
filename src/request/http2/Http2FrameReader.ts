/**
 * Bytes to frames. Data is handed on as it comes, whatever the size of its frame; of all others the
 * payload is put together first, and a field block of all its frames (RFC 9113 §6.10), within limits.
 */

import { Http2Error } from "./Http2Error.ts"
import {
  endHeaders,
  endStream,
  FrameType,
  frameHeader,
  hasPriority,
  leastFrameSize,
  padded
} from "./Http2Frame.ts"

export interface FrameHandler {
  /** A part of a data frame. `window`: what it takes of the windows, its share of padding included. */
  onData(stream: number, part: Buffer, window: number, isEnd: boolean): void
  /** A whole field block, from `start` to `end` of `bytes`. */
  onBlock(stream: number, bytes: Buffer, start: number, end: number, isEnd: boolean): void
  /** Any other frame, also of unknown types. */
  onFrame(type: number, flags: number, stream: number, payload: Buffer): void
}

export interface ReaderLimits {
  /** Bytes of a field block, as they are sent. */
  readonly blockBytes: number
  /** Frames of a field block. */
  readonly blockFrames: number
}

const none = Buffer.alloc(0)

export class Http2FrameReader {
  readonly #handler: FrameHandler
  readonly #limits: ReaderLimits
  /** Beginning of a frame that has not come whole; of data, of its header and its pad length. */
  #partial: Buffer = none
  #partialUsed = 0
  /** Of the data frame that is coming: bytes of data, and of padding after it. */
  #dataLeft = 0
  #paddingLeft = 0
  #dataStream = 0
  #dataEnds = false
  /** The field block that is coming; stream 0: there is none. */
  #blockStream = 0
  #block: Array<Buffer> = []
  #blockBytes = 0
  #blockFrames = 0
  #blockEnds = false
  #stopped = false

  constructor(handler: FrameHandler, limits: ReaderLimits) {
    this.#handler = handler
    this.#limits = limits
  }

  /** No frame or field block has begun that is not whole; data is handed on as it comes. */
  get idle(): boolean {
    return this.#partialUsed === 0 && this.#blockStream === 0
  }

  stop(): void {
    this.#stopped = true
  }

  get #inData(): boolean {
    return this.#dataLeft > 0 || this.#paddingLeft > 0
  }

  /** `chunk` is of use until this returns. Throws Http2Error, and what the handler throws. */
  feed(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#inData) at = this.#feedData(chunk, at)
      else if (this.#partialUsed > 0) at = this.#feedPartial(chunk, at)
      else at = this.#feedFrame(chunk, at)
    }
  }

  #feedData(chunk: Buffer, at: number): number {
    const length = Math.min(this.#dataLeft, chunk.length - at)
    if (length > 0) {
      this.#dataLeft -= length
      const isEnd = this.#dataEnds && this.#dataLeft === 0 && this.#paddingLeft === 0
      this.#handler.onData(this.#dataStream, chunk.subarray(at, at + length), length, isEnd)
      return at + length
    }
    const padding = Math.min(this.#paddingLeft, chunk.length - at)
    this.#paddingLeft -= padding
    const isEnd = this.#dataEnds && this.#paddingLeft === 0
    this.#handler.onData(this.#dataStream, none, padding, isEnd)
    return at + padding
  }

  /** Adds to what has come of a frame, as much as it takes to go on. */
  #feedPartial(chunk: Buffer, from: number): number {
    let at = from
    for (;;) {
      const partial = this.#partial.subarray(0, this.#partialUsed)
      const needed = neededOf(partial)
      if (this.#partialUsed >= needed) {
        this.#partialUsed = 0
        this.#partial = none
        this.#take(partial, 0)
        return at
      }
      if (at === chunk.length) return at
      at = this.#keep(chunk, at, needed)
    }
  }

  #keep(chunk: Buffer, at: number, needed: number): number {
    if (this.#partial.length < needed) {
      const room = Buffer.allocUnsafeSlow(Math.max(needed, 64))
      this.#partial.copy(room, 0, 0, this.#partialUsed)
      this.#partial = room
    }
    const length = Math.min(needed - this.#partialUsed, chunk.length - at)
    chunk.copy(this.#partial, this.#partialUsed, at, at + length)
    this.#partialUsed += length
    return at + length
  }

  #feedFrame(chunk: Buffer, at: number): number {
    const rest = chunk.length - at
    if (rest >= frameHeader) {
      assertLength(chunk, at)
      const needed = neededAt(chunk, at, rest)
      if (rest >= needed) {
        this.#take(chunk, at)
        return at + needed
      }
      return this.#keep(chunk, at, needed)
    }
    return this.#keep(chunk, at, frameHeader)
  }

  /** A frame that begins at `at` is here: of data its header, of others all. */
  #take(bytes: Buffer, at: number): void {
    const length = bytes.readUIntBE(at, 3)
    const type = bytes[at + 3]!
    const flags = bytes[at + 4]!
    const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff
    const start = at + frameHeader
    if (
      this.#blockStream !== 0 &&
      (type !== FrameType.continuation || stream !== this.#blockStream)
    )
      throw misplaced(`a frame of type ${type} within a field block`)
    switch (type) {
      case FrameType.data:
        this.#beginData(bytes, start, length, flags, stream)
        return
      case FrameType.headers:
        this.#beginBlock(bytes, start, length, flags, stream)
        return
      case FrameType.continuation:
        this.#continueBlock(bytes, start, length, flags, stream)
        return
      default:
        this.#handler.onFrame(type, flags, stream, bytes.subarray(start, start + length))
    }
  }

  #beginData(bytes: Buffer, start: number, length: number, flags: number, stream: number): void {
    if (stream === 0) throw misplaced("data on stream 0")
    const isPadded = (flags & padded) !== 0
    if (isPadded && length === 0)
      throw new Http2Error("h2_frame_size", "padded data with no length")
    const padding = isPadded ? bytes[start]! : 0
    const taken = isPadded ? 1 : 0
    if (padding + taken > length) throw badPadding()
    this.#dataStream = stream
    this.#dataEnds = (flags & endStream) !== 0
    this.#dataLeft = length - taken - padding
    this.#paddingLeft = padding
    // The pad length counts, and what has nothing else in it has to be told all the same.
    if (taken > 0 || length === 0) {
      this.#handler.onData(stream, none, taken, this.#dataEnds && !this.#inData)
    }
  }

  #beginBlock(bytes: Buffer, start: number, length: number, flags: number, stream: number): void {
    if (stream === 0) throw misplaced("a field block on stream 0")
    const isPadded = (flags & padded) !== 0
    let from = start
    let to = start + length
    const extra = (isPadded ? 1 : 0) + ((flags & hasPriority) === 0 ? 0 : 5)
    if (extra > length) throw new Http2Error("h2_frame_size", "a field block cut short")
    if (isPadded) to -= bytes[start]!
    from += extra
    if (to < from) throw badPadding()
    const isEnd = (flags & endStream) !== 0
    if ((flags & endHeaders) !== 0) {
      this.#assertBlock(to - from)
      this.#handler.onBlock(stream, bytes, from, to, isEnd)
      return
    }
    this.#blockStream = stream
    this.#blockEnds = isEnd
    this.#blockFrames = 0
    this.#blockBytes = 0
    this.#addToBlock(bytes, from, to)
  }

  #continueBlock(
    bytes: Buffer,
    start: number,
    length: number,
    flags: number,
    stream: number
  ): void {
    if (this.#blockStream === 0) throw misplaced("a continuation of nothing")
    this.#addToBlock(bytes, start, start + length)
    if ((flags & endHeaders) === 0) return
    const block = Buffer.concat(this.#block)
    this.#block = []
    this.#blockStream = 0
    this.#handler.onBlock(stream, block, 0, block.length, this.#blockEnds)
  }

  #addToBlock(bytes: Buffer, from: number, to: number): void {
    this.#blockBytes += to - from
    this.#assertBlock(this.#blockBytes)
    if (++this.#blockFrames > this.#limits.blockFrames) {
      const message = `a field block in more than ${this.#limits.blockFrames} frames`
      throw new Http2Error("h2_block_frames", message)
    }
    if (to > from) this.#block.push(Buffer.from(bytes.subarray(from, to)))
  }

  #assertBlock(length: number): void {
    const { blockBytes } = this.#limits
    if (length <= blockBytes) return
    throw new Http2Error("h2_block_bytes", `a field block of more than ${blockBytes} bytes`)
  }
}

/** Bytes of the frame at `at` that have to be here before it can be taken. */
const neededAt = (bytes: Buffer, at: number, rest: number): number => {
  if (rest < frameHeader) return frameHeader
  const length = bytes.readUIntBE(at, 3)
  if (bytes[at + 3] !== FrameType.data) return frameHeader + length
  const isPadded = (bytes[at + 4]! & padded) !== 0
  return frameHeader + (isPadded && length > 0 ? 1 : 0)
}

const neededOf = (partial: Buffer): number => {
  if (partial.length >= frameHeader) assertLength(partial, 0)
  return neededAt(partial, 0, partial.length)
}

/** Before anything is kept for it. We have promised no more than the least. */
const assertLength = (bytes: Buffer, at: number): void => {
  const length = bytes.readUIntBE(at, 3)
  if (length <= leastFrameSize) return
  throw new Http2Error("h2_frame_size", `a frame of ${length} bytes, ${leastFrameSize} allowed`)
}

const misplaced = (what: string): Http2Error => new Http2Error("h2_frame_place", `${what}`)

const badPadding = (): Http2Error =>
  new Http2Error("h2_padding", "padding longer than the frame it is in")
