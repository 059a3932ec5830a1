/**
 * A link's byte channel between a program and its node: a connection on this host, whose ends the system
 * vouches for, so nothing is sealed. It ends as connections do: who has ended it, and whether that was
 * agreed, is for the link to know.
 */
import type { Socket } from "node:net"
import type { ByteChannel, ByteChannelEvents } from "../../model/ByteChannel.ts"
import { lend, writeOut } from "../../model/Loan.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { breakOff } from "../socket/BreakOff.ts"
import { outliveWrites } from "../socket/FailedWrites.ts"
import type { SocketReads } from "../socket/SocketReads.ts"

/** How long a close may wait for the other end's, ms. */
export const plainCloseTimeout = 5_000

export interface PlainChannelOptions {
  /** Paused. */
  readonly socket: Socket
  /** What reads it. */
  readonly reads: SocketReads
  /** What came before, after what the connection began with. */
  readonly first: Buffer
  readonly ticker: Ticker
  /** It is over, before its events hear of it. */
  readonly onClosed: () => void
}

export class PlainChannel implements ByteChannel {
  /** The calling end may say for whom its calls speak. */
  readonly carriesIdentity = true
  readonly #socket: Socket
  readonly #ticker: Ticker
  readonly #onClosed: () => void
  #events: ByteChannelEvents | undefined = undefined
  #first: Buffer | undefined
  #full = false
  #paused = false
  #closing = false
  #closed = false
  #cause: Error | undefined = undefined
  #timer: Timer | undefined = undefined

  constructor({ first, onClosed, reads, socket, ticker }: PlainChannelOptions) {
    this.#socket = socket
    this.#ticker = ticker
    this.#onClosed = onClosed
    this.#first = first.length === 0 ? undefined : first
    // What the other end said before it closed is read to its end.
    outliveWrites(socket, () => undefined)
    reads.onBytes = (bytes) => this.#read(bytes)
    socket.pause()
    socket.on("drain", () => this.#onDrain())
    socket.on("error", (error) => this.abort(error))
    socket.once("end", () => this.#onEnd())
    socket.once("close", () => {
      this.#timer?.cancel()
      this.#shut(new Error("the connection broke"))
    })
  }

  get events(): ByteChannelEvents | undefined {
    return this.#events
  }

  /** What has come until then waits, and is told once whoever sets them has returned. */
  set events(events: ByteChannelEvents | undefined) {
    this.#events = events
    if (events !== undefined) queueMicrotask(() => this.#goOn())
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#closing) return true
    if (bytes.length === 0) return !this.#full
    this.#full = !writeOut(this.#socket, bytes)
    return !this.#full
  }

  pause(): void {
    if (this.#closed || this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (this.#closed || !this.#paused) return
    this.#paused = false
    // Not within who asked for it: they may be in the midst of what they were told before.
    queueMicrotask(() => this.#goOn())
  }

  close(): void {
    if (this.#closed || this.#closing) return
    this.#closing = true
    this.#socket.end()
    this.#expectClose()
  }

  abort(cause: Error): void {
    if (this.#closed) return
    breakOff(this.#socket)
    this.#shut(cause)
  }

  /** The bytes are good until this returns; what is made of them may be kept. */
  #read(bytes: Buffer): void {
    const events = this.#events
    if (events === undefined) return
    const copy = Buffer.from(bytes)
    lend(copy)
    events.onData(copy)
  }

  #goOn(): void {
    if (this.#closed) {
      this.#tell()
      return
    }
    const first = this.#first
    if (this.#paused) return
    this.#first = undefined
    if (first !== undefined) this.#events?.onData(first)
    if (!this.#paused && !this.#closed) this.#socket.resume()
  }

  #onDrain(): void {
    if (!this.#full || this.#closed) return
    this.#full = false
    this.#events?.onDrain()
  }

  #onEnd(): void {
    const isAgreed = this.#closing
    this.#closing = true
    // What is written still goes out, if the other end takes it.
    this.#socket.end()
    this.#expectClose()
    this.#shut(isAgreed ? undefined : new Error("the other end closed the connection"))
  }

  #expectClose(): void {
    this.#timer?.cancel()
    this.#timer = this.#ticker.after(plainCloseTimeout, () => {
      if (this.#closed) this.#socket.destroy()
      else this.abort(new Error(`the other end has not closed within ${plainCloseTimeout} ms`))
    })
  }

  #shut(cause: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#cause = cause
    this.#first = undefined
    this.#onClosed()
    this.#tell()
  }

  #tell(): void {
    const events = this.#events
    this.#events = undefined
    events?.onClose(this.#cause)
  }
}
