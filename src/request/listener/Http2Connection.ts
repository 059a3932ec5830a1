/**
 * One connection of a client that began it as HTTP/2 does. The socket and its end are HttpConnection's,
 * which hands on what happens; a stream is an exchange of its own, so nothing waits for anything else.
 *
 *     open ─drain, idle too long, or its turn is over─► said goodbye ─no stream left─► closing
 *     any  ─a rule broken─► closing: GOAWAY leaves, our half is closed, the client's rest is dropped
 */

import { randomBytes } from "node:crypto"
import type net from "node:net"
import type { Fault } from "../../model/Fault.ts"
import type { Http1Error } from "../http1/Http1Error.ts"
import { Http2Code, type Http2Error } from "../http2/Http2Error.ts"
import { defaultHttp2Limits } from "../http2/Http2Limits.ts"
import { Http2ServerSession, type ServerOwner } from "../http2/Http2ServerSession.ts"
import type { Http2Stream } from "../http2/Http2Stream.ts"
import type { Http2Request } from "../http2/RequestHeadFields.ts"
import { writeParts } from "../http2/SocketParts.ts"
import { breakOff } from "../socket/BreakOff.ts"
import { Unsent } from "../socket/Unsent.ts"
import { asHandshake, ExtendedConnect } from "./ExtendedConnect.ts"
import { Http2ClientExchange, type StreamsOwner } from "./Http2ClientExchange.ts"
import { startCall } from "./HttpCall.ts"
import { discardLimit, type HttpConnectionContext, lingerTimeout } from "./HttpConnectionContext.ts"

/** A client that was told of the end has so long to say that it knows, ms. */
const farewellTimeout = 1_000

export class Http2Connection implements ServerOwner, StreamsOwner {
  readonly #socket: net.Socket
  readonly #context: HttpConnectionContext
  readonly #session: Http2ServerSession
  readonly #openedAt: number
  /** Since when no stream is open; undefined: one is. */
  #idleSince: number | undefined
  /** Since when something has begun to come that is not whole. */
  #partSince: number | undefined = undefined
  #drainSince: number | undefined = undefined
  #closingSince: number | undefined = undefined
  #unsent: Unsent | undefined = undefined

  constructor(socket: net.Socket, context: HttpConnectionContext) {
    const { limits, onDefect, ticker } = context
    this.#socket = socket
    this.#context = context
    this.#openedAt = ticker.now()
    this.#idleSince = this.#openedAt
    this.#session = new Http2ServerSession(
      { limits: defaultHttp2Limits, messages: limits, now: () => ticker.now(), onDefect },
      this
    )
    if (context.draining) this.#drain()
  }

  get date(): string {
    return this.#context.date
  }

  get node(): string {
    return this.#context.self.node
  }

  // ── The socket ──────────────────────────────────────────────────────────────────────────────

  onBytes(bytes: Buffer): void {
    if (this.#closingSince !== undefined) return
    this.#session.feed(bytes)
    if (this.#session.readerIdle) this.#partSince = undefined
    else this.#partSince ??= this.#context.ticker.now()
  }

  onDrain(): void {
    if (this.#closingSince === undefined) this.#session.onDrain()
  }

  /** The client's FIN: it is gone, as with HTTP/1.1. */
  onEnd(): void {
    if (this.#closingSince !== undefined) return
    this.#session.lost("the client closed its connection")
    this.#close()
  }

  onClose(): void {
    this.#closingSince ??= this.#context.ticker.now()
    this.#session.lost("the client closed its connection before the end of the response")
  }

  // ── The listener ────────────────────────────────────────────────────────────────────────────

  sweep(now: number): void {
    const { headTimeout, idleTimeout } = this.#context
    if (this.#closingSince !== undefined) {
      this.#sweepClosing(now, this.#closingSince)
      return
    }
    if (this.#partSince !== undefined && now - this.#partSince >= headTimeout) {
      this.#context.onParseError("head_timeout")
      this.#goodbye(Http2Code.protocol, `no whole frame of a head within ${headTimeout} ms`)
    } else if (this.#drainSince !== undefined && now - this.#drainSince >= farewellTimeout) {
      this.#session.sayLast()
    } else if (this.#idleSince !== undefined && now - this.#idleSince >= idleTimeout) {
      this.#goodbye(Http2Code.none, `no request within ${idleTimeout} ms`)
    }
  }

  #sweepClosing(now: number, since: number): void {
    if (this.#socket.writableFinished) {
      if (now - since >= lingerTimeout) this.#socket.destroy()
      return
    }
    this.#unsent ??= new Unsent(this.#socket, now)
    if (now - since >= discardLimit || this.#unsent.isGivenUp(now)) breakOff(this.#socket)
  }

  /** The listener drains. */
  closeIfIdle(): void {
    if (this.#closingSince !== undefined) return
    if (this.#session.open === 0) this.#goodbye(Http2Code.none, "the node is shutting down")
    else this.#drain()
  }

  yieldIfIdle(since: number): boolean {
    if (this.#idleSince === undefined || this.#idleSince > since) return false
    if (this.#closingSince !== undefined || this.#socket.writableLength > 0) return false
    this.#goodbye(Http2Code.none, "others wait for its place")
    this.#socket.destroySoon()
    return true
  }

  /** Ends it now, e.g. because the node stops. */
  destroy(): void {
    this.#goodbye(Http2Code.none, `node ${this.node} stopped`)
  }

  // ── The session ─────────────────────────────────────────────────────────────────────────────

  write(parts: ReadonlyArray<Uint8Array>): boolean {
    return writeParts(this.#socket, parts)
  }

  onRequest(stream: Http2Stream, request: Http2Request): void {
    this.#idleSince = undefined
    const { remoteAddress } = this.#socket
    if (!request.extended) {
      startCall(
        new Http2ClientExchange(stream, request.head, this),
        request,
        remoteAddress,
        this.#context
      )
      return
    }
    const key = randomBytes(16).toString("base64")
    const connect = new ExtendedConnect(key)
    const exchange = new Http2ClientExchange(stream, request.head, this, connect)
    startCall(exchange, asHandshake(request, key), remoteAddress, this.#context)
  }

  onBadRequest(stream: Http2Stream, { code, message, rule }: Http1Error): void {
    this.#idleSince = undefined
    this.#context.onParseError(rule)
    const { node } = this
    const exchange = new Http2ClientExchange(stream, undefined, this)
    exchange.answer({ code, message, node, service: undefined, sent: false })
  }

  onIdle(): void {
    this.#idleSince = this.#context.ticker.now()
    if (this.#session.drained) this.#goodbye(Http2Code.none, "all is answered")
    else if (this.#context.isTurnOver(this.#openedAt)) this.#drain()
  }

  onBroken({ rule }: Http2Error): void {
    this.#context.onParseError(rule)
    this.#close()
  }

  /** It opens no more streams, and closes when it has its answers. */
  onGoaway(): void {}

  onDroppedTrailer(field: string): void {
    this.#context.onDroppedTrailer(field)
  }

  onTunnelFault(fault: Fault): void {
    const { remoteAddress = "unknown", remotePort = 0 } = this.#socket
    this.#context.onTunnelReset(fault, `${remoteAddress}:${remotePort}`)
  }

  #drain(): void {
    if (this.#drainSince !== undefined) return
    this.#drainSince = this.#context.ticker.now()
    this.#session.drain()
  }

  #goodbye(code: number, why: string): void {
    if (this.#closingSince !== undefined) return
    this.#session.goodbye(code, why)
    this.#close()
  }

  /** What the client still sends is read and dropped, so that it can read what was said last. */
  #close(): void {
    if (this.#closingSince !== undefined) return
    this.#closingSince = this.#context.ticker.now()
    this.#socket.end()
  }
}
