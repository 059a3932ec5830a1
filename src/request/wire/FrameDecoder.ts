/**
 * Cuts a byte stream into frames. A frame that lies whole within one chunk is handed on in place;
 * only one that straddles chunks is copied, once, into memory of its exact size.
 */
import { doneWith } from "../../model/Loan.ts"
import {
  assertHeader,
  endsWith,
  FrameType,
  headerLength,
  lastType,
  mayEnd,
  ProtocolError
} from "./Frame.ts"

/** The payload is only valid to keep under rule 6 of the exchange contract: retain, never write. */
export type FrameSink = (type: FrameType, exchange: number, payload: Buffer) => void

const nothing = Buffer.alloc(0)

export class FrameDecoder {
  readonly #sink: FrameSink
  readonly #header = Buffer.allocUnsafe(headerLength)
  /** Bytes of a straddling frame's header that are here. */
  #headerFilled = 0
  #payload: Buffer | undefined = undefined
  #payloadFilled = 0
  #type: FrameType = 1
  #ends = false
  #exchange = 0
  #stopped = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Nothing is handed on any more, not even the rest of the chunk being decoded. */
  stop(): void {
    this.#stopped = true
    this.#payload = undefined
  }

  /** Throws a ProtocolError (or what the sink throws); the decoder is then of no further use. */
  push(bytes: Uint8Array): void {
    if (this.#stopped) return
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let offset = this.#finishStraddling(chunk)
    // What the sink may retain: payloads that were handed on in place.
    let inPlace = 0
    while (!this.#stopped && chunk.length - offset >= headerLength) {
      this.#readHeader(chunk, offset)
      const length = chunk.readUIntBE(offset, 3)
      offset += headerLength
      const end = offset + length
      if (end > chunk.length) {
        this.#payload = Buffer.allocUnsafe(length)
        this.#payloadFilled = chunk.copy(this.#payload, 0, offset)
        offset = chunk.length
        break
      }
      this.#handOn(length === 0 ? nothing : chunk.subarray(offset, end))
      inPlace += length
      offset = end
    }
    if (!this.#stopped && offset < chunk.length) {
      this.#headerFilled = chunk.copy(this.#header, 0, offset)
    }
    doneWith(chunk.buffer, chunk.length - inPlace)
  }

  /** How much of the chunk belonged to the frame the chunks before began. */
  #finishStraddling(chunk: Buffer): number {
    let offset = 0
    if (this.#headerFilled > 0) {
      offset = chunk.copy(this.#header, this.#headerFilled, 0, headerLength - this.#headerFilled)
      this.#headerFilled += offset
      if (this.#headerFilled < headerLength) return offset
      this.#headerFilled = 0
      this.#readHeader(this.#header, 0)
      this.#payload = Buffer.allocUnsafe(this.#header.readUIntBE(0, 3))
      this.#payloadFilled = 0
    }
    const payload = this.#payload
    if (payload === undefined) return offset
    const copied = chunk.copy(payload, this.#payloadFilled, offset)
    this.#payloadFilled += copied
    if (this.#payloadFilled === payload.length) {
      this.#payload = undefined
      this.#handOn(payload)
    }
    return offset + copied
  }

  #handOn(payload: Buffer): void {
    if (this.#type > lastType) return
    this.#sink(this.#type, this.#exchange, payload)
    if (this.#ends && !this.#stopped) this.#sink(FrameType.end, this.#exchange, nothing)
  }

  #readHeader(from: Buffer, offset: number): void {
    const first: number = from[offset + 3]!
    const ends = (first & endsWith) !== 0
    const type = ends ? first - endsWith : first
    assertHeader(type, from.readUIntBE(offset, 3))
    if (ends && !mayEnd(type)) throw new ProtocolError(`an end with a frame of type ${type}`)
    this.#type = type
    this.#ends = ends
    this.#exchange = from.readUInt32BE(offset + 4)
  }
}
