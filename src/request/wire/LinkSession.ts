/**
 * What both ends of a link have in common: the frames that come in, the link's own receive window,
 * pings, and the one way down.
 */

import type { ByteChannel } from "../../model/ByteChannel.ts"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { FrameType, ProtocolError } from "./Frame.ts"
import { FrameDecoder } from "./FrameDecoder.ts"
import { Heartbeat } from "./Heartbeat.ts"
import { defaultLinkLimits, type LinkLimits, type LinkOptions } from "./LinkOptions.ts"
import { LinkOutput } from "./LinkOutput.ts"
import type { GrowthBudget } from "./ReceiveWindow.ts"

/** The end of a link: what to do with frames of exchanges, and with the end of it all. */
export interface SessionHandler {
  /** May throw a ProtocolError, which ends the link. Never anything else. */
  onFrame(type: FrameType, exchange: number, payload: Buffer): void
  /** The peer opens, or takes, nothing new. */
  onGoaway(reason: string): void
  /** The channel is gone; called once, nothing after it. */
  onDown(cause: Error | undefined): void
  /** The owner of an outbox threw. */
  onFailed(exchange: number, error: unknown): void
}

/** The peer, or the network to it, is dead without having closed anything. */
export class SilenceError extends Error {
  override readonly name = "SilenceError"
}

const runAfterThisTurn = (task: () => void): void => {
  setImmediate(task)
}

export class LinkSession {
  readonly limits: LinkLimits
  readonly growth: GrowthBudget
  readonly output: LinkOutput
  bytesIn = 0
  readonly #channel: ByteChannel
  readonly #ticker: LinkOptions["ticker"]
  readonly #handler: SessionHandler
  readonly #decoder: FrameDecoder
  readonly #heartbeat: Heartbeat
  #up = true
  /** The peer is not read, because it does not read us. */
  #paused = false
  /** What the peer may still send. */
  #window: number
  /** Passed on and not yet credited to the peer. */
  #owed = 0
  #timer: Timer
  readonly #onDefect: OnDefect

  /** `yields`: leaves the pings to the peer. */
  constructor(options: LinkOptions, handler: SessionHandler, yields: boolean) {
    const { channel, ticker, defer = runAfterThisTurn } = options
    const limits = { ...defaultLinkLimits, ...options.limits }
    this.limits = limits
    this.growth = { left: limits.growth }
    this.#onDefect = options.onDefect ?? uncontained
    this.#channel = channel
    this.#ticker = ticker
    this.#handler = handler
    this.#window = limits.linkWindow
    this.output = new LinkOutput({
      channel,
      limits,
      defer,
      onFailed: (exchange, error) => handler.onFailed(exchange, error),
      onRelieved: () => this.#resume(),
      onDefect: (error) => this.#broke(error)
    })
    this.#decoder = new FrameDecoder((type, exchange, payload) =>
      this.#onFrame(type, exchange, payload)
    )
    this.#heartbeat = new Heartbeat(limits, yields, ticker.now())
    this.#timer = ticker.after(limits.pingEvery, this.#onBeat)
    channel.events = {
      onData: (bytes) => this.#onData(bytes),
      onDrain: () => this.#onDrain(),
      onClose: (cause) => this.#down(cause)
    }
    this.#ping()
  }

  get up(): boolean {
    return this.#up
  }

  /** Of the last ping, ms. */
  get rtt(): number | undefined {
    return this.#heartbeat.rtt
  }

  /**
   * Somebody else finds the peer silent. Pings come twice a second: where two were missed, the link
   * is given up now and not at its own next look.
   */
  doubt(): void {
    const quiet = this.#heartbeat.quiet(this.#ticker.now())
    if (quiet < 2 * this.limits.pingEvery) return
    this.abort(new SilenceError(`nothing came for ${Math.round(quiet)} ms`))
  }

  /** Counts data that came against the link's window. */
  received(bytes: number): void {
    if (bytes === 0) throw new ProtocolError("empty data frame")
    if (bytes > this.#window) throw new ProtocolError("the peer exceeded the link's window")
    this.#window -= bytes
  }

  /** The reader of an exchange took bytes (or nobody ever will): the peer may send as many more. */
  passed(bytes: number): void {
    this.#owed += bytes
    if (this.#owed < this.limits.linkWindow / 8) return
    this.#window += this.#owed
    this.output.number(FrameType.credit, 0, this.#owed)
    this.#owed = 0
  }

  /** Sends what is gathered and closes; onDown follows. */
  close(): void {
    if (this.#up) this.output.close()
  }

  /** Breaks the link at once. */
  abort(error: Error): void {
    if (!this.#up) return
    this.#down(error)
    this.#channel.abort(error)
  }

  #onData(bytes: Uint8Array): void {
    if (!this.#up) return
    this.bytesIn += bytes.length
    this.#heartbeat.heard(this.#ticker.now())
    try {
      this.#decoder.push(bytes)
    } catch (error) {
      if (error instanceof ProtocolError) this.abort(error)
      else this.#broke(error)
      return
    }
    if (this.#up && !this.#paused && this.output.congested) {
      this.#paused = true
      this.#channel.pause()
    }
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#channel.resume()
  }

  #onFrame(type: FrameType, exchange: number, payload: Buffer): void {
    if (type === FrameType.ping) {
      this.#heartbeat.pinged(this.#ticker.now())
      this.output.pong(readNumber(payload))
    } else if (type === FrameType.pong) {
      this.#heartbeat.pong(readNumber(payload), this.#ticker.now())
    } else if (type === FrameType.goaway) {
      this.#handler.onGoaway(payload.toString("latin1"))
    } else if (type === FrameType.credit && exchange === 0) {
      this.output.grantLink(readNumber(payload))
    } else {
      this.#handler.onFrame(type, exchange, payload)
    }
  }

  #beat(): void {
    if (!this.#up) return
    const silent = this.#heartbeat.beat(this.#ticker.now())
    if (silent !== undefined) {
      this.abort(new SilenceError(`nothing came for ${Math.round(silent)} ms`))
      return
    }
    this.#ping()
    this.#timer = this.#ticker.after(this.limits.pingEvery, this.#onBeat)
  }

  readonly #onBeat = (): void => {
    try {
      this.#beat()
    } catch (error) {
      this.#broke(error)
    }
  }

  #onDrain(): void {
    try {
      this.output.onDrain()
    } catch (error) {
      this.#broke(error)
    }
  }

  /** A bug of this end: nobody knows what the link would say next. */
  #broke(error: unknown): void {
    try {
      this.#onDefect(error, "a link")
    } finally {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #ping(): void {
    const id = this.#heartbeat.ping(this.#ticker.now())
    if (id !== undefined) this.output.number(FrameType.ping, 0, id)
  }

  #down(cause: Error | undefined): void {
    if (!this.#up) return
    this.#up = false
    this.#timer.cancel()
    this.#decoder.stop()
    this.output.stop()
    this.#handler.onDown(cause)
  }
}

/** The u32 of a credit, ping or pong. */
export const readNumber = (payload: Buffer): number => {
  if (payload.length !== 4) throw new ProtocolError("number frame cut short")
  return payload.readUInt32BE(0)
}
