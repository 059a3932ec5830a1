/**
 * Holds connections until it is known what their clients speak: by the first bytes, or because none come,
 * as where the server is to speak first. Never more is held than what one read brings over the limit.
 */
import type net from "node:net"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { mostLookedAt, type Spoken, spokenBy } from "./SpokenProtocol.ts"

/** Who has begun has so long to let it be known as what, ms. */
const patience = 10_000

/** A connection whose first bytes have been read already. */
export interface Begun {
  readonly socket: net.Socket
  /** Empty: the client has said nothing. */
  readonly bytes: Buffer
  /** The client's half has ended after them. */
  readonly ended: boolean
}

export interface FirstBytesOptions {
  readonly ticker: Ticker
  /** Who says nothing for so long waits for its server to speak: its bytes are carried as they are, ms. */
  readonly wait: number
  /** The socket is paused. Throws: it was not taken. */
  readonly onKnown: (begun: Begun, spoken: Spoken) => void
  /** It went away, or cannot be taken; its socket is destroyed. */
  readonly onGone: (error: Error | undefined) => void
}

const nothing = Buffer.alloc(0)
const bytesAsTheyAre: Spoken = { kind: "tcp" }

export class FirstBytes {
  readonly #options: FirstBytesOptions
  readonly #waiting = new Map<net.Socket, Waiting>()

  constructor(options: FirstBytesOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** `socket`: paused, and not yet read from. */
  take(socket: net.Socket): void {
    const waiting = new Waiting(socket, this.#options, (spoken) => this.#settle(waiting, spoken))
    this.#waiting.set(socket, waiting)
    socket.resume()
  }

  /** All that wait are closed. */
  close(): void {
    for (const waiting of [...this.#waiting.values()]) this.#settle(waiting, undefined)
  }

  #settle(waiting: Waiting, spoken: Spoken | undefined): void {
    const { begun } = waiting
    if (!this.#waiting.delete(begun.socket)) return
    waiting.leave()
    const { onGone, onKnown } = this.#options
    if (spoken === undefined) {
      begun.socket.destroy()
      onGone(undefined)
      return
    }
    try {
      onKnown(begun, spoken)
    } catch (error) {
      begun.socket.destroy()
      onGone(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

/** One of them. */
class Waiting {
  readonly #socket: net.Socket
  readonly #settle: (spoken: Spoken | undefined) => void
  #bytes: Buffer = nothing
  #ended = false
  #timer: Timer
  readonly #ticker: Ticker

  constructor(
    socket: net.Socket,
    { ticker, wait }: FirstBytesOptions,
    settle: (spoken: Spoken | undefined) => void
  ) {
    this.#socket = socket
    this.#ticker = ticker
    this.#settle = settle
    this.#timer = ticker.after(wait, () => settle(bytesAsTheyAre))
    socket.on("data", this.#onData)
    socket.on("end", this.#onEnd)
    socket.on("error", ignore)
    socket.on("close", this.#onClose)
  }

  get begun(): Begun {
    return { socket: this.#socket, bytes: this.#bytes, ended: this.#ended }
  }

  leave(): void {
    this.#timer.cancel()
    this.#socket.pause()
    this.#socket.off("data", this.#onData)
    this.#socket.off("end", this.#onEnd)
    this.#socket.off("close", this.#onClose)
    // Whoever takes it listens within this turn.
    setImmediate(() => this.#socket.off("error", ignore))
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#bytes.length === 0) {
      this.#timer.cancel()
      this.#timer = this.#ticker.after(patience, () => this.#settle(bytesAsTheyAre))
    }
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const spoken = spokenBy(this.#bytes)
    if (spoken !== undefined) this.#settle(spoken)
    else if (this.#bytes.length >= mostLookedAt) this.#settle(bytesAsTheyAre)
  }

  /** What it has said is all there is. */
  readonly #onEnd = (): void => {
    this.#ended = true
    this.#settle(bytesAsTheyAre)
  }

  readonly #onClose = (): void => this.#settle(undefined)
}

const ignore = (): void => undefined
