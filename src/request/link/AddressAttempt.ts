/** One address of a peer: a TCP connection, and on it a preface and its answer. */
import type net from "node:net"
import { reasonOf } from "../../model/Reason.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { linkReadMemory } from "../socket/ReadMemory.ts"
import { SocketReads } from "../socket/SocketReads.ts"
import type { DiallerPreface, PrefaceAnswer } from "../wire/LinkPreface.ts"
import type { TcpAddress } from "./TcpAddress.ts"

export type LinkedAnswer = Extract<PrefaceAnswer, { readonly linked: true }>
export type RefusedAnswer = Extract<PrefaceAnswer, { readonly linked: false }>

/** The peer has answered; until the hello it has no link. `answer.rest` is good until this returns. */
export interface LinkedSocket {
  readonly socket: net.Socket
  readonly reads: SocketReads
  readonly answer: LinkedAnswer
}

export type AttemptOutcome =
  | ({ readonly kind: "linked" } & LinkedSocket)
  | { readonly kind: "refused"; readonly answer: RefusedAnswer }
  | { readonly kind: "failed"; readonly error: Error }

export interface AttemptOptions {
  readonly address: TcpAddress
  /** Made once there is a connection: keys cost something. */
  readonly preface: () => DiallerPreface
  readonly ticker: Ticker
  /** For connection and answer, ms. */
  readonly patience: number
  /** Called once, never before the constructor has returned. */
  readonly onOutcome: (outcome: AttemptOutcome) => void
}

export class AddressAttempt {
  readonly #options: AttemptOptions
  readonly #socket: net.Socket
  readonly #reads = new SocketReads(linkReadMemory)
  readonly #timer: Timer
  #preface: DiallerPreface | undefined = undefined
  #over = false

  constructor(options: AttemptOptions) {
    const { address, ticker, patience } = options
    this.#options = options
    const { host, port, family } = address
    const socket = this.#reads.connect({ host, port, family, noDelay: true, keepAlive: true })
    this.#socket = socket
    this.#reads.onBytes = (bytes) => this.#onBytes(bytes)
    socket.once("connect", () => this.#onConnect())
    // These stay: a socket may fail once more after it was given up.
    socket.on("error", (error) => this.#fail(reasonOf(error), error))
    socket.once("end", () => this.#closed())
    socket.once("close", () => this.#closed())
    this.#timer = ticker.after(patience, () =>
      this.#fail(
        this.#preface === undefined
          ? `no connection within ${patience} ms; the host is down, or a firewall drops what we send`
          : `connected, but no answer within ${patience} ms; the node there is overloaded, or no node`
      )
    )
  }

  /** It is not wanted any more; nothing is told. */
  abort(): void {
    if (this.#settle()) this.#socket.destroy()
  }

  #onConnect(): void {
    if (this.#over) return
    this.#preface = this.#options.preface()
    this.#socket.write(this.#preface.bytes)
  }

  #onBytes(bytes: Buffer): void {
    if (this.#over || this.#preface === undefined) return
    let answer: PrefaceAnswer | undefined
    try {
      answer = this.#preface.push(bytes)
    } catch (error) {
      const told = error instanceof Error ? error : new Error(String(error))
      this.#fail(told.message, told)
      return
    }
    if (answer === undefined || !this.#settle()) return
    const socket = this.#socket
    if (!answer.linked) {
      socket.destroy()
      this.#options.onOutcome({ kind: "refused", answer })
      return
    }
    this.#options.onOutcome({ kind: "linked", socket, reads: this.#reads, answer })
  }

  #closed(): void {
    const what =
      this.#preface === undefined
        ? "the connection was closed before it was there"
        : "the connection was closed without an answer; an older release, or no node, listens there"
    this.#fail(what)
  }

  #fail(reason: string, cause?: Error): void {
    if (!this.#settle()) return
    this.#socket.destroy()
    const error = new Error(reason, cause === undefined ? undefined : { cause })
    this.#options.onOutcome({ kind: "failed", error })
  }

  /** False: it is over already. */
  #settle(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#timer.cancel()
    return true
  }
}
