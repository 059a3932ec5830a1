/**
 * A link's byte channel over a TCP connection of its own: sealed records (model/RecordCipher.ts) under the
 * keys of a preface (LinkPreface.ts). What is written becomes records at once and goes to the socket
 * in one system call; what is read is opened and handed on as it was opened.
 *
 * The dialler's first record is a hello, and before it has opened the acceptor has no link. A close
 * is a record too: a connection that ends without one broke, whoever made it end.
 */
import type { Socket } from "node:net"
import type { ByteChannel, ByteChannelEvents } from "../../model/ByteChannel.ts"
import { writeOut } from "../../model/Loan.ts"
import {
  maxRecordBytes,
  RecordError,
  RecordOpener,
  RecordSealer
} from "../../model/RecordCipher.ts"
import type { Session } from "../../model/Session.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { outliveWrites } from "../socket/FailedWrites.ts"
import type { SocketReads } from "../socket/SocketReads.ts"
import { Unsent } from "../socket/Unsent.ts"
import { carriesIdentity, type LinkKeys } from "../wire/LinkPreface.ts"
import { ofAtMost } from "../wire/RecordParts.ts"

export const recordKinds = { hello: 0, data: 1, close: 2 } as const

/**
 * How long a close may wait for the peer's own once all is sent, ms. As long as the peer takes what
 * is not, it has time (Unsent.ts).
 */
export const closeTimeout = 5_000

/** Links ping twice a second; a connection on which nothing moves for so long is nobody's, ms. */
const inactivityTimeout = 2 * 60_000

/** There is one lane. */
const lane = 0

const nothing = Buffer.alloc(0)

export interface SealedChannelOptions {
  readonly socket: Socket
  /** What reads it. */
  readonly reads: SocketReads
  readonly side: "dialler" | "acceptor"
  readonly keys: LinkKeys
  readonly session: Session
  /** Of the preface. */
  readonly version: number
  readonly ticker: Ticker
  /** Which of the peer's threads has answered, and how many it has, when it was we who dialled. */
  readonly answeredBy?: { readonly thread: number; readonly threads: number }
  /** The acceptor's link is one: its events are to be set before this returns. */
  readonly onHello?: (channel: SealedChannel) => void
  /** It is over, before its events hear of it. */
  readonly onClosed: (channel: SealedChannel) => void
}

export class SealedChannel implements ByteChannel {
  readonly session: Session
  /** The calling end may say for whom its calls speak. */
  readonly carriesIdentity: boolean
  readonly answeredBy: SealedChannelOptions["answeredBy"]
  /** What is written is sealed at once. */
  readonly copies = true
  readonly #options: SealedChannelOptions
  readonly #socket: Socket
  readonly #sealer: RecordSealer
  readonly #opener: RecordOpener
  #events: ByteChannelEvents | undefined = undefined
  /** The acceptor has not heard the dialler's first record. */
  #unheard: boolean
  #full = false
  #paused = false
  /**
   * What was opened while nobody may be told, in order; undefined stands for the peer's close. No
   * more than one read: the socket is paused then.
   */
  #held: Array<Buffer | undefined> = []
  /** We said that nothing more comes. */
  #closing = false
  #closed = false
  #cause: Error | undefined = undefined
  /** Why nothing that is written arrives any more. */
  #writeFailure: Error | undefined = undefined
  #timer: Timer | undefined = undefined

  constructor(options: SealedChannelOptions) {
    const { socket, reads, side, keys, session } = options
    this.#options = options
    this.#socket = socket
    this.session = session
    this.carriesIdentity = carriesIdentity(options.version)
    this.answeredBy = options.answeredBy
    this.#unheard = side === "acceptor"
    this.#sealer = new RecordSealer(keys.send)
    this.#opener = new RecordOpener(keys.receive, (kind, lane, plain) =>
      this.#onRecord(kind, lane, plain)
    )
    reads.onBytes = (bytes) => this.received(bytes)
    outliveWrites(socket, (error) => {
      this.#writeFailure = error
    })
    socket.setTimeout(inactivityTimeout)
    socket.on("drain", () => this.#onDrain())
    socket.on("error", (error) => this.abort(error))
    socket.once("timeout", () =>
      this.abort(new Error(`nothing has moved on the connection for ${inactivityTimeout} ms`))
    )
    socket.once("end", () => this.#broke())
    socket.once("close", () => {
      this.#broke()
      this.#timer?.cancel()
    })
    if (side === "dialler") this.#record(recordKinds.hello, nothing)
  }

  get events(): ByteChannelEvents | undefined {
    return this.#events
  }

  /** What has come until then waits, and so does the socket. */
  set events(events: ByteChannelEvents | undefined) {
    this.#events = events
    if (this.#closed) queueMicrotask(() => this.#tell())
    else if (events !== undefined && this.#held.length > 0) this.#goOn()
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#closing) return true
    if (bytes.length === 0) return !this.#full
    const socket = this.#socket
    if (bytes.length <= maxRecordBytes) {
      this.#full = !this.#record(recordKinds.data, bytes)
      return !this.#full
    }
    socket.cork()
    let room = true
    for (let at = 0; at < bytes.length; at += maxRecordBytes) {
      room = this.#record(recordKinds.data, bytes.subarray(at, at + maxRecordBytes))
    }
    socket.uncork()
    this.#full = !room
    return room
  }

  writeParts(parts: ReadonlyArray<Uint8Array>): boolean {
    if (this.#closed || this.#closing) return true
    const socket = this.#socket
    socket.cork()
    let room = true
    for (const record of ofAtMost(maxRecordBytes, parts)) {
      for (const piece of this.#sealer.sealParts(recordKinds.data, lane, record)) {
        room = writeOut(socket, piece)
      }
    }
    socket.uncork()
    this.#full = !room
    return room
  }

  pause(): void {
    if (this.#closed || this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (this.#closed || !this.#paused) return
    this.#paused = false
    this.#goOn()
  }

  close(): void {
    if (this.#closed || this.#closing) return
    this.#sayClose()
    this.#expect(`the peer has not closed its end of the link within ${closeTimeout} ms`)
  }

  abort(cause: Error): void {
    if (this.#closed) return
    const socket = this.#socket
    // A reset cannot follow a FIN that is on its way.
    if (socket.writableEnded) socket.destroy()
    else socket.resetAndDestroy()
    this.#shut(cause)
  }

  /** What came over the socket; also before the channel was made. */
  received(bytes: Uint8Array): void {
    if (this.#closed) return
    try {
      this.#opener.push(bytes)
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    this.abort(error instanceof Error ? error : new Error(String(error)))
  }

  #record(kind: number, bytes: Uint8Array): boolean {
    return writeOut(this.#socket, this.#sealer.seal(kind, lane, bytes))
  }

  #onRecord(kind: number, id: number, plain: Buffer): void {
    if (id !== lane) throw new RecordError(`a record of lane ${id}; a link has none but ${lane}`)
    if (this.#unheard) {
      if (kind !== recordKinds.hello) throw new RecordError(`a record of kind ${kind} for a hello`)
      this.#unheard = false
      this.#options.onHello?.(this)
      return
    }
    if (kind === recordKinds.data) this.#onData(plain)
    else if (kind === recordKinds.close) this.#onPeerClose()
    else throw new RecordError(`a record of unknown kind ${kind} from the peer`)
  }

  #onData(plain: Buffer): void {
    if (this.#mayTell()) this.#events?.onData(plain)
    else this.#hold(plain)
  }

  #onPeerClose(): void {
    if (this.#mayTell()) this.#peerClosed()
    else this.#hold(undefined)
  }

  #mayTell(): boolean {
    return !this.#paused && this.#events !== undefined && this.#held.length === 0
  }

  #hold(what: Buffer | undefined): void {
    if (this.#held.length === 0) this.#socket.pause()
    this.#held.push(what)
  }

  /** Not within who asked for it: they may be in the midst of what they were told before. */
  #goOn(): void {
    if (this.#held.length === 0) this.#socket.resume()
    else {
      queueMicrotask(() => {
        try {
          this.#deliver()
        } catch (error) {
          this.#failed(error)
        }
      })
    }
  }

  #deliver(): void {
    while (this.#held.length > 0) {
      if (this.#closed || this.#paused || this.#events === undefined) return
      const next = this.#held[0]
      // Whoever is told may pause, or give the channel up: what is left stays in line behind it.
      if (next === undefined) {
        this.#peerClosed()
        return
      }
      this.#events.onData(next)
      this.#held.shift()
    }
    if (!this.#closed && !this.#paused) this.#socket.resume()
  }

  #onDrain(): void {
    if (!this.#full || this.#closed) return
    this.#full = false
    this.#events?.onDrain()
  }

  /** Who is told that the other side has finished finishes too. */
  #peerClosed(): void {
    if (!this.#closing) this.#sayClose()
    this.#shut(undefined)
    // What is written still goes out, if the peer takes it; then both ends are there.
    this.#socket.resume()
    this.#expect("the peer takes nothing")
  }

  #sayClose(): void {
    this.#closing = true
    this.#record(recordKinds.close, nothing)
    this.#socket.end()
  }

  #expect(otherwise: string): void {
    const { ticker } = this.#options
    const socket = this.#socket
    const unsent = new Unsent(socket, ticker.now())
    let wasUnsent = socket.writableLength > 0
    const look = (): void => {
      // The peer's own time begins when all is sent.
      if (wasUnsent && !unsent.isGivenUp(ticker.now())) {
        wasUnsent = socket.writableLength > 0
        this.#timer = ticker.after(closeTimeout, look)
        return
      }
      if (this.#closed) socket.destroy()
      else this.abort(new Error(otherwise))
    }
    this.#timer?.cancel()
    this.#timer = ticker.after(closeTimeout, look)
  }

  #broke(): void {
    const cause = this.#writeFailure
    this.abort(
      new Error("the connection of the link broke", cause === undefined ? undefined : { cause })
    )
  }

  #shut(cause: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#cause = cause
    this.#held = []
    this.#opener.stop()
    this.#options.onClosed(this)
    this.#tell()
  }

  #tell(): void {
    const events = this.#events
    this.#events = undefined
    events?.onClose(this.#cause)
  }
}
