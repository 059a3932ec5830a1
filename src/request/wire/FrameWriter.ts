/**
 * Gathers frames back to back, so that everything said in one tick goes out in one write. Memory
 * is cut from slabs: what `take` returned is not written to again, and may be retained, unless its
 * taker has given it back. Large data is not copied for a taker that takes parts.
 */
import { done } from "../../model/Loan.ts"
import { endsWith, FrameType, headerLength, mayEnd } from "./Frame.ts"

/** Enough for the small exchanges of a tick; longer batches get a slab of their own. */
const slabSize = 16 * 1024

/** A slab that is given back and is larger than this is let go: it was for an unusual batch. */
const mostKept = 160 * 1024

const noSlab = Buffer.alloc(0)

/** Data of at least so many bytes is a part of its own, where there may be several. */
const leastApart = 16 * 1024
/** Of a batch. */
const roomForHeaders = 1024
const noParts: Array<Uint8Array> = []

export class FrameWriter {
  #slab: Buffer = noSlab
  #start = 0
  #end = 0
  /** Where the last frame's header is; -1 when it was taken. */
  #last = -1
  readonly #mayPart: boolean
  /** What was gathered before `#start` of the slab, in parts, and the bytes in them. */
  #parts = noParts
  #partBytes = 0
  /** Those of the parts that are somebody's data. */
  #borrowed = noParts

  /** `mayPart`: what is gathered is taken by `takeParts`. */
  constructor(mayPart = false) {
    this.#mayPart = mayPart
  }

  /** Bytes gathered and not yet taken. */
  get length(): number {
    return this.#partBytes + this.#end - this.#start
  }

  /** All frames since the last take, where they lie. They are good until `giveBack`. */
  takeParts(): ReadonlyArray<Uint8Array> {
    this.#part()
    const parts = this.#parts
    this.#parts = noParts
    this.#partBytes = 0
    this.#last = -1
    return parts
  }

  /** What was gathered is in parts: `take` has not all of it. */
  get isParted(): boolean {
    return this.#parts.length > 0
  }

  /** All frames since the last take. */
  take(): Buffer {
    const taken = this.#slab.subarray(this.#start, this.#end)
    this.#start = this.#end
    this.#last = -1
    return taken
  }

  /** What was taken last is not needed any more: its memory is used again. */
  giveBack(): void {
    for (const bytes of this.#borrowed) done(bytes)
    this.#borrowed = noParts
    if (this.#start !== this.#end) return
    this.#start = 0
    this.#end = 0
    if (this.#slab.length > mostKept) this.#slab = noSlab
  }

  /** Makes room, so that the frames to come are not moved when they outgrow the slab. */
  reserve(bytes: number): void {
    if (this.#end + bytes <= this.#slab.length) return
    const pending = this.#end - this.#start
    const slab = Buffer.allocUnsafeSlow(Math.max(slabSize, pending * 2, pending + bytes))
    this.#slab.copy(slab, 0, this.#start, this.#end)
    this.#slab = slab
    // One that has become a part lies where it did.
    this.#last = this.#last < this.#start ? -1 : this.#last - this.#start
    this.#start = 0
    this.#end = pending
  }

  /** The same for data frames of so many bytes, as far as they are copied. */
  reserveData(bytes: number): void {
    this.reserve((this.#mayPart ? Math.min(bytes, leastApart) : bytes) + roomForHeaders)
  }

  /** A frame whose payload is `preamble` followed by latin-1 text. */
  text(type: FrameType, exchange: number, preamble: Uint8Array | undefined, text: string): void {
    const before = preamble === undefined ? 0 : preamble.length
    this.#header(type, exchange, before + text.length)
    if (preamble !== undefined) this.#slab.set(preamble, this.#end)
    this.#slab.write(text, this.#end + before, "latin1")
    this.#end += before + text.length
  }

  bytes(type: FrameType, exchange: number, payload: Uint8Array): void {
    this.#header(type, exchange, payload.length)
    this.#slab.set(payload, this.#end)
    this.#end += payload.length
  }

  /** A frame with a u32: credit, ping, pong. */
  number(type: FrameType, exchange: number, value: number): void {
    this.#header(type, exchange, 4)
    this.#end = this.#slab.writeUInt32BE(value, this.#end)
  }

  /** The header of a data frame; its `length` bytes follow with `append`. */
  beginData(exchange: number, length: number): void {
    this.#header(FrameType.data, exchange, length, this.#mayPart ? 0 : length)
  }

  /** The writer is the one that is done with the bytes. */
  append(bytes: Uint8Array): void {
    if (this.#mayPart && bytes.length >= leastApart) {
      this.#part()
      this.#put(bytes)
      if (this.#borrowed === noParts) this.#borrowed = []
      this.#borrowed.push(bytes)
      return
    }
    this.reserve(bytes.length)
    this.#slab.set(bytes, this.#end)
    this.#end += bytes.length
    done(bytes)
  }

  /** What is in the slab and was not taken becomes a part. */
  #part(): void {
    if (this.#start === this.#end) return
    this.#put(this.#slab.subarray(this.#start, this.#end))
    this.#start = this.#end
  }

  #put(part: Uint8Array): void {
    if (this.#parts === noParts) this.#parts = []
    this.#parts.push(part)
    this.#partBytes += part.length
  }

  /** Says the end of an exchange with its last frame, if that is the last one here. */
  end(exchange: number): boolean {
    const at = this.#last
    if (at === -1 || this.#slab.readUInt32BE(at + 4) !== exchange) return false
    const type = this.#slab[at + 3]!
    if (!mayEnd(type)) return false
    this.#slab[at + 3] = type | endsWith
    return true
  }

  #header(type: FrameType, exchange: number, length: number, room = length): void {
    this.reserve(headerLength + room)
    this.#last = this.#end
    this.#slab.writeUInt32BE(length * 256 + type, this.#end)
    this.#end = this.#slab.writeUInt32BE(exchange, this.#end + 4)
  }
}
