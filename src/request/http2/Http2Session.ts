/**
 * One connection of HTTP/2, as both sides have it (RFC 9113 §5, §6): what its frames mean. It is fed bytes
 * and says what is to be written; sockets and timers are its owner's. What becomes of streams is told in
 * Http2Streams; what opens them, and what their fields mean, the two sides add (Http2ServerSession,
 * Http2ClientSession).
 */
import { noFields } from "../../model/Exchange.ts"
import type { Sender } from "../http1/Sender.ts"
import {
  readGoaway,
  readPing,
  readPriority,
  readReset,
  readSettings,
  readWindow,
  windowFrame
} from "./ControlFrames.ts"
import { codeName, Http2Code, Http2Error } from "./Http2Error.ts"
import {
  ack,
  FrameType,
  firstWindow,
  frame,
  leastFrameSize,
  Setting,
  settingsPayload
} from "./Http2Frame.ts"
import { type FrameHandler, Http2FrameReader } from "./Http2FrameReader.ts"
import type { Http2Stream, StreamReset } from "./Http2Stream.ts"
import { Http2Streams } from "./Http2Streams.ts"
import type { SessionOptions } from "./SessionOwner.ts"

const noBytes = Buffer.alloc(0)

export abstract class Http2Session extends Http2Streams implements FrameHandler {
  readonly #reader: Http2FrameReader
  /** What new streams may send at first. */
  protected peerWindow = firstWindow
  /** Streams that the peer takes at a time; until it says so, what it has to expect (§6.5.2). */
  protected peerStreams = 100
  /** The peer has said that it takes no more streams. */
  protected goneAway = false
  #settled = false

  constructor(options: SessionOptions, sender: Sender) {
    super(options, sender)
    this.#reader = new Http2FrameReader(this, options.limits)
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
      this.intake.handOn()
    } catch (error) {
      this.fail(error)
    }
  }

  onDrain(): void {
    this.output.onDrain()
  }

  protected stopReading(): void {
    this.#reader.stop()
  }

  // ── Frames ──────────────────────────────────────────────────────────────────────────────────

  onData(id: number, part: Buffer, window: number, isEnd: boolean): void {
    this.intake.spend(window)
    const stream = this.streams.get(id)
    if (stream === undefined || stream.remoteEnded) {
      this.intake.grant(window)
      this.strayData(id, stream)
      return
    }
    if (window === 0 && !isEnd) this.floods.spend("empty data")
    // Padding is nobody's to take.
    const padding = window - part.length
    if (padding > 0) {
      this.intake.grant(padding)
      if (!isEnd) this.output.answer(windowFrame(id, padding))
    }
    if (part.length > 0) {
      if (stream.expected !== undefined) stream.expected -= part.length
      this.intake.gather(stream, part)
    }
    if (!isEnd) {
      if ((stream.expected ?? 0) < 0)
        this.malformed(stream, "the body is longer than its head says")
      return
    }
    this.intake.handOn()
    this.ended(stream, noFields)
  }

  onBlock(id: number, bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    this.intake.handOn()
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
  onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    this.intake.handOn()
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
        this.floods.spend("priorities")
        return
      case FrameType.push:
        throw new Http2Error("h2_frame_place", "a push, which nobody has asked for")
      default:
        this.floods.spend("frames of unknown types")
    }
  }

  #onSettings(flags: number, id: number, payload: Buffer): void {
    const settings = readSettings(flags, id, payload)
    if (settings === undefined) return
    if (this.#settled) this.floods.spend("settings")
    this.#settled = true
    for (const [setting, value] of settings) this.#set(setting, value)
    this.output.answer(frame(FrameType.settings, ack, 0, noBytes))
    this.onPeerSettings()
  }

  protected onPeerSettings(): void {}

  #set(setting: number, value: number): void {
    switch (setting) {
      case Setting.tableSize:
        this.encoder.allow(value)
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
      this.floods.spend("pings")
      this.output.answer(frame(FrameType.ping, ack, 0, payload))
    } else this.onPong(payload)
  }

  #onWindow(id: number, payload: Buffer): void {
    const bytes = readWindow(payload)
    this.floods.spend("window updates")
    if (id === 0) {
      if (bytes === 0) throw new Http2Error("h2_frame_place", "a window update of nothing")
      if (!this.output.grantAll(bytes)) throw new Http2Error("h2_window", "a window beyond 2^31")
      return
    }
    const stream = this.streams.get(id)
    if (stream === undefined) {
      this.assertNotIdle(id, "a window update")
      return
    }
    if (bytes === 0) this.reset(stream, Http2Code.protocol)
    else if (!this.output.grant(stream, bytes)) this.reset(stream, Http2Code.flowControl)
  }

  #onReset(id: number, payload: Buffer): void {
    const code = readReset(id, payload)
    const stream = this.streams.get(id)
    if (stream === undefined) {
      this.assertNotIdle(id, "a reset")
      this.floods.spend("resets of streams that have ended")
      return
    }
    if (!stream.answered) this.floods.spendReset()
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

  protected onPeerReset(stream: Http2Stream, reset: StreamReset): void {
    this.drop(stream, reset)
  }

  protected earn(): void {
    this.floods.earn(20)
  }

  #assertSettled(): void {
    if (this.#settled) return
    throw new Http2Error("h2_frame_place", "the first frame is no settings")
  }
}
