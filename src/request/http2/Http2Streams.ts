/**
 * The streams of one connection of HTTP/2, and how they and it end (RFC 9113 §5, §6.8): whole, reset from
 * either side, refused, drained, or with the connection. Frames that come are Http2Session's to read.
 */
import type { Fields } from "../../model/Exchange.ts"
import { Http1Error } from "../http1/Http1Error.ts"
import type { Sender } from "../http1/Sender.ts"
import { forbiddenTrailer } from "../http1/Trailers.ts"
import type { GrowthBudget } from "../wire/ReceiveWindow.ts"
import { goawayFrame, resetFrame, windowFrame } from "./ControlFrames.ts"
import { DataIntake } from "./DataIntake.ts"
import { DrainNotice } from "./DrainNotice.ts"
import { FloodGuard } from "./FloodGuard.ts"
import { HeadFields } from "./HeadFields.ts"
import { HpackDecoder } from "./HpackDecoder.ts"
import { HpackEncoder } from "./HpackEncoder.ts"
import { codeName, Http2Code, Http2Error } from "./Http2Error.ts"
import type { Http2Limits } from "./Http2Limits.ts"
import { Http2Output } from "./Http2Output.ts"
import type { Http2Stream, StreamHost, StreamReset } from "./Http2Stream.ts"
import { RecentIds } from "./RecentIds.ts"
import type { SessionOptions } from "./SessionOwner.ts"

const runAfterThisTurn = (task: () => void): void => {
  setImmediate(task)
}

export abstract class Http2Streams implements StreamHost {
  readonly limits: Http2Limits
  readonly growth: GrowthBudget
  readonly output: Http2Output
  protected readonly options: SessionOptions
  protected readonly streams = new Map<number, Http2Stream>()
  protected readonly decoder: HpackDecoder
  protected readonly encoder: HpackEncoder
  protected readonly fields: HeadFields
  protected readonly intake: DataIntake
  protected readonly floods: FloodGuard
  readonly #sender: Sender
  /** Highest stream that the peer has opened. */
  protected lastRemote = 0
  readonly #reset = new RecentIds()
  readonly #notice: DrainNotice
  closed = false

  constructor(options: SessionOptions, sender: Sender) {
    const { limits, messages } = options
    this.options = options
    this.limits = limits
    this.growth = { left: limits.growth }
    this.decoder = new HpackDecoder(limits.table)
    this.fields = new HeadFields(this.decoder, messages, sender)
    this.encoder = new HpackEncoder(limits.table)
    this.#sender = sender
    this.floods = new FloodGuard(limits, options.now)
    this.output = new Http2Output({
      encoder: this.encoder,
      limits,
      write: (parts) => options.owner.write(parts),
      defer: options.defer ?? runAfterThisTurn,
      onOpening: (stream) => this.onOpening(stream),
      onEnded: (stream) => this.onLocalEnd(stream),
      onRoom: (stream) => this.guarded(stream, () => stream.owner?.onStreamRoom()),
      onDataFrame: () => this.floods.earn(10),
      onFailed: (error) => this.fail(error)
    })
    this.#notice = new DrainNotice((bytes) => this.output.answer(bytes))
    this.intake = new DataIntake({
      window: limits.connectionWindow,
      answer: (bytes) => this.output.answer(bytes),
      deliver: (stream, chunk) => this.#deliver(stream, chunk)
    })
  }

  get open(): number {
    return this.streams.size
  }

  /** A stream's head is about to leave. False: it is not to. */
  protected abstract onOpening(stream: Http2Stream): boolean
  /** Our half of a stream is sent. */
  protected abstract onLocalEnd(stream: Http2Stream): void
  /** Is it a stream that was never opened? */
  protected abstract isIdle(id: number): boolean
  /** What came for a stream is no message of HTTP. */
  protected abstract malformed(stream: Http2Stream, why: string): void
  /** Nothing that comes is looked at any more. */
  protected abstract stopReading(): void

  /** Gives a stream up, towards its peer; its owner knows. */
  reset(stream: Http2Stream, code: number): void {
    if (stream.closed) return
    const { id, opened, owner } = stream
    this.#remove(stream)
    if (opened) {
      this.#reset.add(id)
      this.output.answer(resetFrame(id, code))
    }
    if (owner === undefined) return
    const why = `the stream was reset with ${codeName(code)}`
    this.#tell(() => owner.onStreamReset({ code, why, unprocessed: false }))
  }

  /** The same, by its owner, which hears no more. */
  abandon(stream: Http2Stream, code: number): void {
    stream.owner = undefined
    if (!stream.closed) this.reset(stream, code)
    else if (!this.closed) this.#free(stream)
  }

  /** Both halves are done with; what of the peer's was not taken yet is still its owner's. */
  protected finish(stream: Http2Stream): void {
    if (stream.closed) return
    if (stream.owner === undefined || stream.delivered) {
      this.#remove(stream)
      return
    }
    stream.closed = true
    this.#forget(stream)
  }

  /** Trailers of the block the decoder has begun. */
  protected readTrailers(): Fields | Http1Error {
    return this.fields.readTrailers((name) => {
      const label = forbiddenTrailer(name, this.#sender, undefined)
      if (label === undefined) return true
      this.options.owner.onDroppedTrailer(label)
      return false
    })
  }

  protected onTrailers(stream: Http2Stream, isEnd: boolean): void {
    const trailers = this.readTrailers()
    if (trailers instanceof Http1Error) this.malformed(stream, trailers.message)
    else if (isEnd) this.ended(stream, trailers)
    else this.malformed(stream, "a second head that does not end the message")
  }

  /** The peer's half has come to its end. */
  protected ended(stream: Http2Stream, trailers: Fields): void {
    if ((stream.expected ?? 0) !== 0) {
      this.malformed(stream, "the body is not as long as its head says")
      return
    }
    stream.remoteEnded = true
    this.guarded(stream, () => stream.receiveEnd(trailers))
    if (stream.localEnded) this.finish(stream)
  }

  /** What a stream's reader has taken. */
  passed(stream: Http2Stream, bytes: number, grant: number): void {
    if (this.closed) return
    this.intake.grant(bytes)
    if (grant > 0 && !stream.remoteEnded && !stream.closed) {
      this.output.answer(windowFrame(stream.id, grant))
    }
  }

  #deliver(stream: Http2Stream, chunk: Buffer): void {
    if (stream.closed) {
      this.intake.grant(chunk.length)
      return
    }
    this.guarded(stream, () => {
      if (stream.receive(chunk)) return
      this.intake.grant(chunk.length)
      this.reset(stream, Http2Code.flowControl)
    })
  }

  protected strayData(id: number, stream: Http2Stream | undefined): void {
    this.assertNotIdle(id, "data")
    if (stream !== undefined) this.reset(stream, Http2Code.streamClosed)
    else if (this.#reset.has(id)) this.floods.spend("data for streams that were reset")
    else throw new Http2Error("h2_stream_closed", `data for stream ${id}, which has ended`)
  }

  /** A stream of the peer's is not taken. */
  protected refuse(id: number): void {
    this.decoder.skip()
    this.#reset.add(id)
    this.output.answer(resetFrame(id, Http2Code.refused))
  }

  /** A block for a stream that is no more: it may have crossed our reset. */
  protected strayBlock(id: number): void {
    this.decoder.skip()
    if (this.#reset.has(id)) this.floods.spend("field blocks for streams that were reset")
    else throw new Http2Error("h2_stream_closed", `a field block for stream ${id}, which has ended`)
  }

  protected assertNotIdle(id: number, what: string): void {
    if (this.isIdle(id)) {
      throw new Http2Error("h2_frame_place", `${what} for stream ${id}, which was never opened`)
    }
  }

  /** The peer has given it up. */
  protected drop(stream: Http2Stream, reset: StreamReset): void {
    const { owner } = stream
    this.#remove(stream)
    if (owner !== undefined) this.#tell(() => owner.onStreamReset(reset))
  }

  #remove(stream: Http2Stream): void {
    this.#free(stream)
    this.#forget(stream)
  }

  #free(stream: Http2Stream): void {
    const held = stream.free()
    if (held > 0) this.intake.grant(held)
  }

  #forget(stream: Http2Stream): void {
    this.streams.delete(stream.id)
    this.output.drop(stream)
    if (this.streams.size === 0) this.options.owner.onIdle()
    else this.options.owner.onRoom?.()
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────

  /**
   * No more streams of the peer: first it is told that so it will be, then, when it has heard, which
   * was the last. What it opens in between is served.
   */
  drain(): void {
    if (!this.closed) this.#notice.announce()
  }

  /** The peer knows by now, or will not say so. */
  get drained(): boolean {
    return this.#notice.isSaid
  }

  /** The answer to a ping has come. */
  protected onPong(payload: Buffer): void {
    if (this.#notice.isAnswer(payload)) this.sayLast()
  }

  /** What it opens from now on it may try elsewhere. */
  sayLast(): void {
    if (this.#notice.say(this.lastRemote) && this.streams.size === 0) this.options.owner.onIdle()
  }

  /** The connection is gone: every stream has ended. */
  lost(why: string, isProcessed = true): void {
    if (this.closed) return
    this.#close()
    this.#endAll({ code: Http2Code.cancel, why, unprocessed: !isProcessed })
  }

  /** Says goodbye, at once; what runs has ended. */
  goodbye(code: number, why: string): void {
    if (this.closed) return
    try {
      this.output.answer(goawayFrame(this.lastRemote, code, why))
      this.output.flush()
    } catch {
      // It reads nothing.
    }
    this.#close()
    this.#endAll({
      code: Http2Code.cancel,
      why: `the connection was closed: ${why}`,
      unprocessed: false
    })
  }

  #close(): void {
    this.closed = true
    this.stopReading()
    this.output.stop()
  }

  #endAll(reset: StreamReset): void {
    this.intake.clear()
    for (const stream of [...this.streams.values()]) {
      const { owner } = stream
      this.streams.delete(stream.id)
      this.output.drop(stream)
      stream.free()
      if (owner !== undefined) this.#tell(() => owner.onStreamReset(reset))
    }
  }

  /** Of the connection what is an Http2Error; anything else is a bug, and its owner's. */
  protected fail(error: unknown): void {
    if (!(error instanceof Http2Error)) throw error
    if (this.closed) return
    this.goodbye(error.code, error.message)
    this.options.owner.onBroken(error)
  }

  /** What throws behind a stream costs that stream. */
  protected guarded(stream: Http2Stream, task: () => void): void {
    try {
      task()
    } catch (error) {
      if (error instanceof Http2Error) throw error
      this.options.onDefect(error, "a stream of HTTP/2")
      this.reset(stream, Http2Code.internal)
    }
  }

  #tell(task: () => void): void {
    try {
      task()
    } catch (error) {
      this.options.onDefect(error, "a stream of HTTP/2")
    }
  }
}
