/**
 * One connection of HTTP/2, as both sides have it (RFC 9113 §5, §6): its streams, windows, settings
 * and how it ends. It is fed bytes and says what is to be written; sockets and timers are its owner's.
 * What opens streams, and what their fields mean, the two sides add (Http2ServerSession,
 * Http2ClientSession).
 */
import type { OnDefect } from "../../model/Defect.ts"
import { type Fields, noFields } from "../../model/Exchange.ts"
import { lend } from "../../model/Loan.ts"
import { Http1Error } from "../http1/Http1Error.ts"
import type { Http1Limits } from "../http1/Limits.ts"
import type { Sender } from "../http1/Sender.ts"
import { forbiddenTrailer } from "../http1/Trailers.ts"
import type { GrowthBudget } from "../wire/ReceiveWindow.ts"
import { Allowance } from "./Allowance.ts"
import {
  goawayFrame,
  readGoaway,
  readPing,
  readPriority,
  readReset,
  readSettings,
  readWindow,
  resetFrame,
  windowFrame
} from "./ControlFrames.ts"
import { HeadFields } from "./HeadFields.ts"
import { HpackDecoder } from "./HpackDecoder.ts"
import { HpackEncoder } from "./HpackEncoder.ts"
import { codeName, Http2Code, Http2Error } from "./Http2Error.ts"
import {
  ack,
  FrameType,
  firstWindow,
  frame,
  lastStream,
  leastFrameSize,
  Setting,
  settingsPayload
} from "./Http2Frame.ts"
import { type FrameHandler, Http2FrameReader } from "./Http2FrameReader.ts"
import type { Http2Limits } from "./Http2Limits.ts"
import { Http2Output } from "./Http2Output.ts"
import type { Http2Stream, StreamHost, StreamReset } from "./Http2Stream.ts"

export interface SessionOwner {
  /** One write; false: enough for now, `onDrain` follows. */
  write(parts: ReadonlyArray<Uint8Array>): boolean
  /** The last stream has ended. */
  onIdle(): void
  /** Another one has ended, or the peer takes more of them. */
  onRoom?(): void
  /** Nothing of it can be used any more; what was to be said of that is written. */
  onBroken(error: Http2Error): void
  /** The peer takes no more streams. */
  onGoaway(): void
  /** A trailer field was dropped; its name, or another label of a fixed set. */
  onDroppedTrailer(field: string): void
}

export interface SessionOptions {
  readonly owner: SessionOwner
  readonly limits: Http2Limits
  /** Of single messages. */
  readonly messages: Http1Limits
  /** Milliseconds. */
  readonly now: () => number
  /** Runs the task once the events at hand are handled. Default `setImmediate`. */
  readonly defer?: ((flush: () => void) => void) | undefined
  /** An owner of a stream threw: it costs that stream. */
  readonly onDefect: OnDefect
}

/** Ids of streams that were reset here and may still be spoken of. */
const mostRemembered = 256

const noBytes = Buffer.alloc(0)
/** What the ping says by which a peer lets us know that it has read our goaway. */
const drainPing = Buffer.of(0x67, 0x6f, 0x61, 0x77, 0x61, 0x79, 0x2e, 0x2e)

const runAfterThisTurn = (task: () => void): void => {
  setImmediate(task)
}

export abstract class Http2Session implements FrameHandler, StreamHost {
  readonly limits: Http2Limits
  readonly growth: GrowthBudget
  readonly output: Http2Output
  protected readonly options: SessionOptions
  protected readonly streams = new Map<number, Http2Stream>()
  protected readonly decoder: HpackDecoder
  protected readonly fields: HeadFields
  readonly #encoder: HpackEncoder
  readonly #sender: Sender
  readonly #reader: Http2FrameReader
  readonly #control: Allowance
  readonly #resets: Allowance
  /** Highest stream that the peer has opened. */
  protected lastRemote = 0
  /** What new streams may send at first. */
  protected peerWindow = firstWindow
  /** Streams that the peer takes at a time; until it says so, what it has to expect (§6.5.2). */
  protected peerStreams = 100
  /** The peer has said that it takes no more streams. */
  protected goneAway = false
  #settled = false
  #received: number
  /** Of all that came, what is not granted anew yet. */
  #passed = 0
  readonly #reset = new Set<number>()
  /** Data that came in this read for one stream. */
  #gathering: Http2Stream | undefined = undefined
  #pieces: Array<Buffer> = []
  #draining: "no" | "announced" | "said" = "no"
  closed = false

  constructor(options: SessionOptions, sender: Sender) {
    const { limits, messages } = options
    this.options = options
    this.limits = limits
    this.growth = { left: limits.growth }
    this.decoder = new HpackDecoder(limits.table)
    this.fields = new HeadFields(this.decoder, messages, sender)
    this.#encoder = new HpackEncoder(limits.table)
    this.#sender = sender
    this.#reader = new Http2FrameReader(this, limits)
    this.#control = new Allowance(limits.control)
    this.#resets = new Allowance(limits.resets)
    this.#received = limits.connectionWindow
    this.output = new Http2Output({
      encoder: this.#encoder,
      limits,
      write: (parts) => options.owner.write(parts),
      defer: options.defer ?? runAfterThisTurn,
      onOpening: (stream) => this.onOpening(stream),
      onEnded: (stream) => this.onLocalEnd(stream),
      onRoom: (stream) => this.guarded(stream, () => stream.owner?.onStreamRoom()),
      onDataFrame: () => this.#control.earn(10),
      onFailed: (error) => this.fail(error)
    })
  }

  get open(): number {
    return this.streams.size
  }

  /** Between frames: nothing has begun to come that is not whole. */
  get readerIdle(): boolean {
    return this.#reader.idle
  }

  /** Its settings and window, which go before anything else. */
  protected introduce(settings: ReadonlyArray<readonly [number, number]>): void {
    this.output.answer(frame(FrameType.settings, 0, 0, settingsPayload(settings)))
    this.output.answer(windowFrame(0, this.limits.connectionWindow - firstWindow))
  }

  /** `chunk` is of use until this returns. */
  feed(chunk: Buffer): void {
    if (this.closed) return
    try {
      this.#reader.feed(chunk)
      this.#handOn()
    } catch (error) {
      this.fail(error)
    }
  }

  onDrain(): void {
    this.output.onDrain()
  }

  /** The connection is gone: every stream has ended. */
  lost(why: string, isProcessed = true): void {
    if (this.closed) return
    this.#close()
    this.#endAll({ code: Http2Code.cancel, why, unprocessed: !isProcessed })
  }

  // ── Frames ──────────────────────────────────────────────────────────────────────────────────

  onData(id: number, part: Buffer, window: number, isEnd: boolean): void {
    this.#received -= window
    if (this.#received < 0) throw new Http2Error("h2_window", "data beyond the connection's window")
    const stream = this.streams.get(id)
    if (stream === undefined || stream.remoteEnded) {
      this.#grantAll(window)
      this.#strayData(id, stream)
      return
    }
    if (window === 0 && !isEnd) this.#spend("empty data")
    if (this.#gathering !== stream) this.#handOn()
    // Padding is nobody's to take.
    const padding = window - part.length
    if (padding > 0) {
      this.#grantAll(padding)
      if (!isEnd) this.output.answer(windowFrame(id, padding))
    }
    if (part.length > 0) {
      if (stream.expected !== undefined) stream.expected -= part.length
      this.#gathering = stream
      this.#pieces.push(part)
    }
    if (!isEnd) {
      if ((stream.expected ?? 0) < 0)
        this.malformed(stream, "the body is longer than its head says")
      return
    }
    this.#handOn()
    this.ended(stream, noFields)
  }

  onBlock(id: number, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    this.#handOn()
    this.#assertSettled()
    this.decoder.begin(bytes, start, end)
    const stream = this.streams.get(id)
    if (stream === undefined) this.onUnknownBlock(id, isEnd)
    else if (stream.remoteEnded) {
      this.decoder.skip()
      this.reset(stream, Http2Code.streamClosed)
    } else this.onStreamBlock(stream, isEnd)
  }

  /** A block on no stream there is; the decoder has begun it. */
  protected abstract onUnknownBlock(id: number, isEnd: boolean): void
  /** One on a stream whose other half is still coming. */
  protected abstract onStreamBlock(stream: Http2Stream, isEnd: boolean): void
  /** A stream's head is about to leave. False: it is not to. */
  protected abstract onOpening(stream: Http2Stream): boolean
  /** Our half of a stream is sent. */
  protected abstract onLocalEnd(stream: Http2Stream): void
  /** Is it a stream that was never opened? */
  protected abstract isIdle(id: number): boolean
  /** What came for a stream is no message of HTTP. */
  protected abstract malformed(stream: Http2Stream, why: string): void

  onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    this.#handOn()
    if (type !== FrameType.settings) this.#assertSettled()
    switch (type) {
      case FrameType.settings:
        this.#onSettings(flags, id, payload)
        return
      case FrameType.ping:
        this.#onPing(flags, id, payload)
        return
      case FrameType.window:
        this.#onWindow(id, payload)
        return
      case FrameType.reset:
        this.#onReset(id, payload)
        return
      case FrameType.goaway:
        this.#onGoaway(id, payload)
        return
      case FrameType.priority:
        readPriority(id, payload)
        this.#spend("priorities")
        return
      case FrameType.push:
        throw new Http2Error("h2_frame_place", "a push, which nobody has asked for")
      default:
        this.#spend("frames of unknown types")
    }
  }

  #onSettings(flags: number, id: number, payload: Buffer): void {
    const settings = readSettings(flags, id, payload)
    if (settings === undefined) return
    if (this.#settled) this.#spend("settings")
    this.#settled = true
    for (const [setting, value] of settings) this.#set(setting, value)
    this.output.answer(frame(FrameType.settings, ack, 0, noBytes))
    this.onPeerSettings()
  }

  protected onPeerSettings(): void {}

  #set(setting: number, value: number): void {
    switch (setting) {
      case Setting.tableSize:
        this.#encoder.allow(value)
        return
      case Setting.streams:
        this.peerStreams = value
        return
      case Setting.window: {
        const change = value - this.peerWindow
        this.peerWindow = value
        for (const stream of this.streams.values()) {
          if (!this.output.grant(stream, change)) {
            throw new Http2Error("h2_window", "a window grew beyond all bounds by settings")
          }
        }
        return
      }
      case Setting.frameSize:
        // Larger ones would keep small frames waiting.
        this.output.frameSize = Math.min(value, 4 * leastFrameSize)
        return
      default:
    }
  }

  #onPing(flags: number, id: number, payload: Buffer): void {
    readPing(id, payload)
    if ((flags & ack) === 0) {
      this.#spend("pings")
      this.output.answer(frame(FrameType.ping, ack, 0, payload))
    } else if (this.#draining === "announced" && payload.equals(drainPing)) this.sayLast()
  }

  #onWindow(id: number, payload: Buffer): void {
    const bytes = readWindow(payload)
    this.#spend("window updates")
    if (id === 0) {
      if (bytes === 0) throw new Http2Error("h2_frame_place", "a window update of nothing")
      if (!this.output.grantAll(bytes)) throw new Http2Error("h2_window", "a window beyond 2^31")
      return
    }
    const stream = this.streams.get(id)
    if (stream === undefined) {
      this.#assertNotIdle(id, "a window update")
      return
    }
    if (bytes === 0) this.reset(stream, Http2Code.protocol)
    else if (!this.output.grant(stream, bytes)) this.reset(stream, Http2Code.flowControl)
  }

  #onReset(id: number, payload: Buffer): void {
    const code = readReset(id, payload)
    const stream = this.streams.get(id)
    if (stream === undefined) {
      this.#assertNotIdle(id, "a reset")
      this.#spend("resets of streams that have ended")
      return
    }
    if (!stream.answered) this.spendReset()
    const unprocessed = code === Http2Code.refused
    this.onPeerReset(stream, {
      code,
      why: `it reset the stream with ${codeName(code)}`,
      unprocessed
    })
  }

  #onGoaway(id: number, payload: Buffer): void {
    const { code, last } = readGoaway(id, payload)
    const first = !this.goneAway
    this.goneAway = true
    this.onPeerGoaway(last, code)
    if (first) this.options.owner.onGoaway()
  }

  /** `last`: the last of our streams that it may have looked at. */
  protected onPeerGoaway(_last: number, _code: number): void {}

  // ── Streams ─────────────────────────────────────────────────────────────────────────────────

  /** Gives a stream up, towards its peer; its owner knows. */
  reset(stream: Http2Stream, code: number): void {
    if (stream.closed) return
    const { id, opened, owner } = stream
    this.#remove(stream)
    if (opened) {
      this.#remember(id)
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
    this.#grantAll(bytes)
    if (grant > 0 && !stream.remoteEnded && !stream.closed) {
      this.output.answer(windowFrame(stream.id, grant))
    }
  }

  #grantAll(bytes: number): void {
    this.#passed += bytes
    if (this.#passed < this.limits.connectionWindow / 4) return
    this.output.answer(windowFrame(0, this.#passed))
    this.#received += this.#passed
    this.#passed = 0
  }

  #handOn(): void {
    const stream = this.#gathering
    if (stream === undefined) return
    const pieces = this.#pieces
    this.#gathering = undefined
    this.#pieces = []
    const chunk = pieces.length === 1 ? Buffer.from(pieces[0]!) : Buffer.concat(pieces)
    lend(chunk)
    if (stream.closed) {
      this.#grantAll(chunk.length)
      return
    }
    this.guarded(stream, () => {
      if (stream.receive(chunk)) return
      this.#grantAll(chunk.length)
      this.reset(stream, Http2Code.flowControl)
    })
  }

  #strayData(id: number, stream: Http2Stream | undefined): void {
    this.#assertNotIdle(id, "data")
    if (stream !== undefined) this.reset(stream, Http2Code.streamClosed)
    else if (this.#reset.has(id)) this.#spend("data for streams that were reset")
    else throw new Http2Error("h2_stream_closed", `data for stream ${id}, which has ended`)
  }

  /** A stream of the peer's is not taken. */
  protected refuse(id: number): void {
    this.decoder.skip()
    this.#remember(id)
    this.output.answer(resetFrame(id, Http2Code.refused))
  }

  /** A block for a stream that is no more: it may have crossed our reset. */
  protected strayBlock(id: number): void {
    this.decoder.skip()
    if (this.#reset.has(id)) this.#spend("field blocks for streams that were reset")
    else throw new Http2Error("h2_stream_closed", `a field block for stream ${id}, which has ended`)
  }

  #assertNotIdle(id: number, what: string): void {
    if (this.isIdle(id)) {
      throw new Http2Error("h2_frame_place", `${what} for stream ${id}, which was never opened`)
    }
  }

  protected onPeerReset(stream: Http2Stream, reset: StreamReset): void {
    this.drop(stream, reset)
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
    if (held > 0) this.#grantAll(held)
  }

  #forget(stream: Http2Stream): void {
    this.streams.delete(stream.id)
    this.output.drop(stream)
    if (this.streams.size === 0) this.options.owner.onIdle()
    else this.options.owner.onRoom?.()
  }

  #remember(id: number): void {
    if (this.#reset.size >= mostRemembered) {
      for (const oldest of this.#reset) {
        this.#reset.delete(oldest)
        break
      }
    }
    this.#reset.add(id)
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────

  /**
   * No more streams of the peer: first it is told that so it will be, then, when it has heard, which
   * was the last (§6.8). What it opens in between is served.
   */
  drain(): void {
    if (this.#draining !== "no" || this.closed) return
    this.#draining = "announced"
    this.output.answer(goawayFrame(lastStream, Http2Code.none, ""))
    this.output.answer(frame(FrameType.ping, 0, 0, drainPing))
  }

  /** The peer knows by now, or will not say so. */
  get drained(): boolean {
    return this.#draining === "said"
  }

  /** What it opens from now on it may try elsewhere. */
  sayLast(): void {
    if (this.#draining !== "announced") return
    this.#draining = "said"
    this.output.answer(goawayFrame(this.lastRemote, Http2Code.none, ""))
    if (this.streams.size === 0) this.options.owner.onIdle()
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
    this.#reader.stop()
    this.output.stop()
  }

  #endAll(reset: StreamReset): void {
    this.#gathering = undefined
    this.#pieces = []
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

  protected spendReset(): void {
    if (this.#resets.take(this.options.now())) return
    throw new Http2Error("h2_reset_flood", "streams are given up or refused too often")
  }

  #spend(what: string): void {
    if (this.#control.take(this.options.now())) return
    throw new Http2Error("h2_control_flood", `${what} come too often`)
  }

  protected earn(): void {
    this.#control.earn(20)
  }

  #assertSettled(): void {
    if (this.#settled) return
    throw new Http2Error("h2_frame_place", "the first frame is no settings")
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
