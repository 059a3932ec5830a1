/**
 * One kept connection to a program that speaks HTTP/2 with prior knowledge: many requests at a time,
 * each a stream. It takes requests while it is still being made; they begin once the program has said
 * in its settings how many it takes, and those beyond that go elsewhere. A program that has not said
 * them in the time of a connection is none: the kernel accepts for one that stands still.
 */

import type net from "node:net"
import type { OnDefect } from "../../model/Defect.ts"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import { describeSocketError } from "../../model/SocketFailure.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { defaultHttp1Limits } from "../http1/Limits.ts"
import { Http2ClientSession } from "../http2/Http2ClientSession.ts"
import { Http2Code, type Http2Error } from "../http2/Http2Error.ts"
import { defaultHttp2Limits } from "../http2/Http2Limits.ts"
import type { SessionOwner } from "../http2/SessionOwner.ts"
import { writeParts } from "../http2/SocketParts.ts"
import { dialProgram, type ProgramPlace } from "../socket/ProgramDial.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import { SocketReads } from "../socket/SocketReads.ts"
import type { Http2EndpointRequest } from "./Http2EndpointRequest.ts"

export interface Http2ConnectionOptions extends ProgramPlace {
  readonly ticker: Ticker
  readonly onDefect: OnDefect
  /** A trailer field of a response was dropped: no trailer may be named so. */
  readonly onDroppedTrailer: () => void
}

/** The pool, as its connections see it. */
export interface Http2ConnectionOwner {
  /** A stream has ended, or the program takes more of them: there may be room. */
  onRoom(): void
  /** It is closed. */
  onGone(connection: Http2EndpointConnection): void
  /** It never was open. */
  onConnectFailure(): void
  /** The program takes less than was thought: the request has not begun, and goes elsewhere. */
  again(request: Http2EndpointRequest): void
}

export class Http2EndpointConnection implements SessionOwner {
  readonly #owner: Http2ConnectionOwner
  readonly #options: Http2ConnectionOptions
  readonly #socket: net.Socket
  readonly #session: Http2ClientSession
  readonly #timer: Timer
  /** Until the program's settings have come: who begins then. */
  #waiting: Set<Http2EndpointRequest> | undefined = new Set()
  /** The program can be spoken to; whether it answers is not known. */
  #opened = false
  /** Its first settings said that it takes no stream at all, and it has not said otherwise since. */
  #takesNone = false
  #cause: Error | undefined = undefined
  /** Why what came is no HTTP/2. */
  #broken: string | undefined = undefined
  #heard = false
  #gone = false
  #retired = false
  /** For the pool: since when no stream is open. */
  idleSince: number | undefined = undefined

  constructor(
    options: Http2ConnectionOptions,
    connectTimeout: number,
    owner: Http2ConnectionOwner
  ) {
    const { onDefect, ticker } = options
    this.#options = options
    this.#owner = owner
    const guard = new SocketGuard(onDefect, "a connection to an HTTP/2 program")
    const reads = new SocketReads()
    reads.onBytes = guard.handler((bytes) => this.#onBytes(bytes))
    const onOpen = guard.handler<void>(() => {
      this.#opened = true
    })
    const socket = guard.watch(dialProgram(options, { allowHalfOpen: false, reads, onOpen }))
    this.#socket = socket
    this.#session = new Http2ClientSession({
      owner: this,
      limits: defaultHttp2Limits,
      messages: defaultHttp1Limits,
      now: () => ticker.now(),
      onDefect
    })
    this.#timer = ticker.after(connectTimeout, () => {
      const what = this.#opened
        ? `accepted, but no SETTINGS within ${connectTimeout} ms: it stands still, or speaks no HTTP/2`
        : `no connection within ${connectTimeout} ms`
      socket.destroy(new Error(what))
    })
    socket.on(
      "drain",
      guard.handler(() => this.#session.onDrain())
    )
    socket.on("error", (error) => {
      this.#cause = error
    })
    socket.on(
      "close",
      guard.handler(() => this.#onClose())
    )
  }

  /** Requests it takes now. */
  get room(): number {
    return this.#gone || this.#retired ? 0 : this.#session.room - (this.#waiting?.size ?? 0)
  }

  /** A further connection would most probably have no room either. */
  get takesNone(): boolean {
    return this.#takesNone && !this.#gone && !this.#session.isDone
  }

  get isRetired(): boolean {
    return this.#retired
  }

  /** Takes nothing more, and closes when what it has is over. */
  retire(): void {
    this.#retired = true
    if (this.idleSince !== undefined) this.close()
  }

  /** Only while there is room. */
  begin(request: Http2EndpointRequest): void {
    this.idleSince = undefined
    if (this.#waiting === undefined) request.attach(this.#session, this.#options.ticker.now())
    else {
      this.#waiting.add(request)
      request.awaited = this
    }
  }

  /** It does not wait for the settings any more. */
  forget(request: Http2EndpointRequest): void {
    const waiting = this.#waiting
    if (waiting === undefined || !waiting.delete(request)) return
    if (waiting.size === 0) this.#beIdle()
    this.#owner.onRoom()
  }

  /** Nobody needs it any more. */
  close(): void {
    if (this.#gone) return
    this.#session.goodbye(Http2Code.none, "not needed any more")
    this.#socket.destroySoon()
  }

  write(parts: ReadonlyArray<Uint8Array>): boolean {
    return writeParts(this.#socket, parts)
  }

  onIdle(): void {
    this.#beIdle()
    this.#owner.onRoom()
  }

  /** Servers refuse streams beyond their limit, also those that were opened before they could say it. */
  onSettings(): void {
    const waiting = this.#waiting
    if (waiting === undefined) {
      this.#takesNone &&= this.#session.room === 0
      return
    }
    this.#waiting = undefined
    this.#timer.cancel()
    this.#takesNone = this.#session.room === 0
    const now = this.#options.ticker.now()
    for (const request of waiting) {
      if (request.over) continue
      request.awaited = undefined
      if (this.#session.room > 0) request.attach(this.#session, now)
      else if (this.#takesNone) request.turnedAway()
      else this.#owner.again(request)
    }
    if (this.#session.open === 0) this.#beIdle()
  }

  onRoom(): void {
    this.#owner.onRoom()
  }

  onGoaway(): void {
    if (this.#session.open === 0) this.close()
    this.#owner.onRoom()
  }

  onBroken({ message }: Http2Error): void {
    this.#broken = message
    this.#socket.destroySoon()
  }

  onDroppedTrailer(): void {
    this.#options.onDroppedTrailer()
  }

  #beIdle(): void {
    this.idleSince = this.#options.ticker.now()
    if (this.#retired || this.#session.isDone) this.close()
  }

  #onBytes(bytes: Buffer): void {
    if (!this.#heard) {
      this.#heard = true
      if (bytes.toString("latin1", 0, 5) === "HTTP/") {
        this.#broken = "it answers as HTTP/1.1 does: write protocol: http, or let it speak HTTP/2"
        this.#socket.destroy()
        return
      }
    }
    this.#session.feed(bytes)
  }

  #onClose(): void {
    if (this.#gone) return
    this.#gone = true
    this.#timer.cancel()
    const waiting = this.#waiting
    this.#waiting = undefined
    const cause = this.#cause === undefined ? "it closed" : describeSocketError(this.#cause)
    try {
      this.#owner.onGone(this)
    } finally {
      if (waiting !== undefined) this.#notConnected(waiting, this.#broken ?? cause)
      this.#session.lost(this.#broken ?? cause)
    }
  }

  #notConnected(waiting: ReadonlySet<Http2EndpointRequest>, cause: string): void {
    const isOwn = isOwnShortage(this.#cause)
    if (!isOwn && waiting.size > 0) this.#owner.onConnectFailure()
    for (const request of waiting) {
      if (isOwn) request.notConnected("overflow", `was not connected to: ${cause}`)
      else request.notConnected("upstream_connect", `could not be connected to: ${cause}`)
    }
  }
}
