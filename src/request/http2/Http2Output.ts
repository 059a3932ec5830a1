/**
 * What goes out on a connection, and in which order. Everything of one turn of the event loop goes in
 * one write: answers to frames as they were made, then heads and ends in the order in which they were
 * said, then data, one turn per stream, round robin. While the socket is full everything waits here,
 * within limits. Heads are encoded as they leave, since tables change in the order of the wire.
 */
import type { Fields } from "../../model/Exchange.ts"
import { done } from "../../model/Loan.ts"
import type { HpackEncoder } from "./HpackEncoder.ts"
import { Http2Error } from "./Http2Error.ts"
import {
  endHeaders,
  endStream,
  FrameType,
  frameHeader,
  leastFrameSize,
  mostWindow,
  writeFrameHeader
} from "./Http2Frame.ts"
import type { Http2Limits } from "./Http2Limits.ts"
import type { Http2Stream } from "./Http2Stream.ts"

export interface OutputOptions {
  readonly encoder: HpackEncoder
  readonly limits: Http2Limits
  /** One write; false: enough for now, `onDrain` follows. */
  readonly write: (parts: ReadonlyArray<Uint8Array>) => boolean
  /** Once the events at hand are handled. */
  readonly defer: (flush: () => void) => void
  /** The stream's head is about to leave. False: it is not to. */
  readonly onOpening: (stream: Http2Stream) => boolean
  /** All of its half is in frames. */
  readonly onEnded: (stream: Http2Stream) => void
  readonly onRoom: (stream: Http2Stream) => void
  readonly onDataFrame: () => void
  /** It threw. */
  readonly onFailed: (error: unknown) => void
}

/** Up to this size data is copied beside its frame's header: that costs less than a gathered write. */
const copyLimit = 8 * 1024

/** What frames are put together in; one for all connections, since a flush is done in one go. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024)

export class Http2Output {
  readonly #options: OutputOptions
  /** Frames of answers that wait for the next flush. */
  #answers: Array<Buffer> = []
  #answerBytes = 0
  /** What a flush has put together. */
  #parts: Array<Uint8Array> = []
  #used = 0
  #from = 0
  #scheduled = false
  #full = false
  #stopped = false
  /** Of all streams. */
  #pending = 0
  /** What the peer lets us send on all streams. */
  #window = 65_535
  #marked: Array<Http2Stream> = []
  #ready: Array<Http2Stream> = []
  /** What the peer takes in one frame. */
  frameSize = leastFrameSize
  bytes = 0

  constructor(options: OutputOptions) {
    this.#options = options
  }

  /** Nothing waits to be written. */
  get idle(): boolean {
    return (
      this.#answers.length === 0 &&
      this.#marked.length === 0 &&
      this.#ready.length === 0 &&
      !this.#full
    )
  }

  /** A whole frame of no stream's message. Throws when the peer reads none of them. */
  answer(frame: Buffer): void {
    if (this.#stopped) return
    this.#answers.push(frame)
    this.#answerBytes += frame.length
    const { answers } = this.#options.limits
    if (this.#full && this.#answerBytes > answers) {
      throw new Http2Error("h2_unread_answers", `${answers} bytes of answers that are not read`)
    }
    this.#schedule()
  }

  /** The stream has a head or an end to send. */
  mark(stream: Http2Stream): void {
    if (stream.marked || this.#stopped) return
    stream.marked = true
    this.#marked.push(stream)
    this.#schedule()
  }

  put(stream: Http2Stream, chunk: Uint8Array): boolean {
    if (this.#stopped || chunk.length === 0) return true
    stream.put(chunk)
    this.#pending += chunk.length
    this.#enqueue(stream)
    stream.full ||= stream.pending >= this.#outboxLimit
    return !stream.full
  }

  drop(stream: Http2Stream): void {
    this.#pending -= stream.drop()
  }

  /** The peer lets a stream send more, or less. False: more than there may be. */
  grant(stream: Http2Stream, bytes: number): boolean {
    stream.window += bytes
    if (stream.window > mostWindow) return false
    this.#enqueue(stream)
    return true
  }

  grantAll(bytes: number): boolean {
    this.#window += bytes
    if (this.#window > mostWindow) return false
    if (this.#ready.length > 0) this.#schedule()
    return true
  }

  onDrain(): void {
    this.#full = false
    this.#flush()
  }

  /** Nothing more is written. */
  stop(): void {
    this.#stopped = true
    this.#ready = []
    this.#marked = []
    this.#answers = []
  }

  /** What was said until now leaves now. */
  flush(): void {
    if (!this.#full) this.#flush()
  }

  get #outboxLimit(): number {
    const { outbox, outboxes } = this.#options.limits
    return this.#pending < outboxes ? outbox : outbox / 8
  }

  #enqueue(stream: Http2Stream): void {
    if (stream.queued || !stream.sendable) return
    stream.queued = true
    this.#ready.push(stream)
    if (this.#window > 0) this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#full || this.#stopped) return
    this.#scheduled = true
    this.#options.defer(this.#flushNow)
  }

  readonly #flushNow = (): void => {
    try {
      this.#flush()
    } catch (error) {
      this.#options.onFailed(error)
    }
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#stopped || this.#full) return
    for (const frame of this.#answers) this.#copy(frame)
    this.#answers = []
    this.#answerBytes = 0
    const marked = this.#marked
    this.#marked = []
    for (const stream of marked) this.#writeMarked(stream)
    const relieved = this.#writeData()
    this.#writeOut()
    if (this.#ready.length > 0 && this.#window > 0) this.#schedule()
    for (const stream of relieved) if (stream.full) this.#relieve(stream)
  }

  #relieve(stream: Http2Stream): void {
    stream.full = false
    if (!stream.ending) this.#options.onRoom(stream)
  }

  #writeMarked(stream: Http2Stream): void {
    stream.marked = false
    if (stream.closed) return
    if (stream.interim !== undefined) this.#writeInterim(stream, stream.interim)
    if (stream.head !== undefined) {
      if (!this.#options.onOpening(stream)) return
      const { encoder } = this.#options
      const { fields, more, pseudo } = stream.head
      encoder.begin()
      for (let i = 0; i < pseudo.length; i += 2) encoder.field(pseudo[i]!, pseudo[i + 1]!)
      encoder.fields(fields)
      for (let i = 0; i < more.length; i += 2) encoder.field(more[i]!, more[i + 1]!)
      stream.head = undefined
      const isEnd = stream.ending && stream.pending === 0 && stream.trailers.length === 0
      this.#writeBlock(stream, encoder.end(), isEnd)
    }
    if (stream.pending > 0) this.#enqueue(stream)
    else if (stream.ending && !stream.localEnded) this.#writeEnd(stream)
  }

  #writeInterim(stream: Http2Stream, heads: ReadonlyArray<Fields>): void {
    stream.interim = undefined
    const { encoder } = this.#options
    for (const fields of heads) {
      encoder.begin()
      encoder.fields(fields)
      this.#writeBlock(stream, encoder.end(), false)
    }
  }

  #writeEnd(stream: Http2Stream): void {
    const { trailers } = stream
    if (trailers.length === 0) {
      this.#reserve(frameHeader)
      this.#used = writeFrameHeader(scratch, this.#used, 0, FrameType.data, endStream, stream.id)
      this.#ended(stream)
      return
    }
    const { encoder } = this.#options
    encoder.begin()
    encoder.fields(trailers)
    this.#writeBlock(stream, encoder.end(), true)
  }

  #ended(stream: Http2Stream): void {
    stream.localEnded = true
    this.#options.onEnded(stream)
  }

  #writeBlock(stream: Http2Stream, block: Buffer, isEnd: boolean): void {
    const end = isEnd ? endStream : 0
    let from = 0
    do {
      const to = Math.min(block.length, from + this.frameSize)
      const type = from === 0 ? FrameType.headers : FrameType.continuation
      const flags = (from === 0 ? end : 0) | (to === block.length ? endHeaders : 0)
      this.#reserve(frameHeader + to - from)
      this.#used = writeFrameHeader(scratch, this.#used, to - from, type, flags, stream.id)
      scratch.set(from === 0 && to === block.length ? block : block.subarray(from, to), this.#used)
      this.#used += to - from
      from = to
    } while (from < block.length)
    if (isEnd) this.#ended(stream)
  }

  /** Data of as many streams as have their turn; returns those that have room again. */
  #writeData(): ReadonlyArray<Http2Stream> {
    let relieved: Array<Http2Stream> | undefined
    let room = this.#options.limits.round
    while (room > 0 && this.#window > 0) {
      const stream = this.#ready.shift()
      if (stream === undefined) break
      stream.queued = false
      if (!stream.sendable || stream.closed) continue
      // Turns are for when somebody else waits.
      const turn = this.#ready.length === 0 ? room : Math.min(room, this.frameSize)
      const length = Math.min(turn, this.#window, stream.window, stream.pending)
      room -= length
      this.#window -= length
      stream.window -= length
      this.#pending -= length
      this.#writeTurn(stream, length)
      if (stream.full && stream.pending <= this.#outboxLimit / 2) {
        relieved ??= []
        relieved.push(stream)
      }
      if (stream.pending > 0) this.#enqueue(stream)
      else if (stream.ending && !stream.localEnded) this.#writeEnd(stream)
    }
    return relieved ?? noStreams
  }

  #writeTurn(stream: Http2Stream, length: number): void {
    let left = length
    while (left > 0) {
      const size = Math.min(left, this.frameSize)
      left -= size
      const isLast = stream.ending && stream.trailers.length === 0 && stream.pending === size
      this.#reserve(frameHeader)
      const flags = isLast ? endStream : 0
      this.#used = writeFrameHeader(scratch, this.#used, size, FrameType.data, flags, stream.id)
      this.#options.onDataFrame()
      for (let missing = size; missing > 0; ) {
        const piece = stream.take(missing)
        missing -= piece.length
        this.#append(piece)
      }
      if (isLast) this.#ended(stream)
    }
  }

  #append(piece: Uint8Array): void {
    if (piece.length <= copyLimit) {
      this.#copy(piece)
      done(piece)
      return
    }
    this.#cut()
    this.#parts.push(piece)
  }

  #copy(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    scratch.set(bytes, this.#used)
    this.#used += bytes.length
  }

  /** What is in the scratch since the last part becomes one. */
  #cut(): void {
    if (this.#used === this.#from) return
    this.#parts.push(Buffer.from(scratch.subarray(this.#from, this.#used)))
    this.#from = this.#used
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= scratch.length) return
    this.#cut()
    this.#used = 0
    this.#from = 0
    if (bytes > scratch.length) scratch = Buffer.allocUnsafeSlow(bytes * 2)
  }

  #writeOut(): void {
    this.#cut()
    this.#used = 0
    this.#from = 0
    const parts = this.#parts
    if (parts.length === 0) return
    this.#parts = []
    for (const part of parts) this.bytes += part.length
    this.#full = !this.#options.write(parts)
  }
}

const noStreams: ReadonlyArray<Http2Stream> = []
