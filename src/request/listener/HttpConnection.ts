/**
 * One connection of a client. Requests are read one at a time: the next is looked at when the
 * response to the one before has been written, so pipelined requests are answered in order and
 * what waits is bounded by what the reader keeps.
 *
 *     idle ─first byte─► head ─whole head─► busy ─response written─► idle, or
 *                                                ─body still coming─► discard ─► idle
 *     any ─► closing: the response leaves, our half is closed, the client's rest is dropped
 */

import type net from "node:net"
import type { Fields } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { Http1Error } from "../http1/Http1Error.ts"
import { MessageWriter } from "../http1/MessageWriter.ts"
import { type ParsedRequest, type RequestHandler, RequestReader } from "../http1/RequestReader.ts"
import { preface } from "../http2/Http2Frame.ts"
import { breakOff } from "../socket/BreakOff.ts"
import { isReset, outliveWrites } from "../socket/FailedWrites.ts"
import { ownSocket, type SocketOwner } from "../socket/OwnedSocket.ts"
import { ReadGather } from "../socket/ReadGather.ts"
import { resetWhenWritten } from "../socket/ResetWhenWritten.ts"
import { reportAndDestroy } from "../socket/SocketGuard.ts"
import { askForReset } from "../socket/UnreadSocket.ts"
import { Unsent } from "../socket/Unsent.ts"
import { ClientExchange, type ExchangeOwner } from "./ClientExchange.ts"
import { writeFault } from "./FaultResponse.ts"
import type { Begun } from "./FirstBytes.ts"
import { Http2Connection } from "./Http2Connection.ts"
import { startCall } from "./HttpCall.ts"
import {
  discardLimit,
  discardTimeout,
  type HttpConnectionContext,
  lingerTimeout
} from "./HttpConnectionContext.ts"

/** Nothing more is read of a client that has sent so many bytes ahead of a response. */
const mostAhead = 64 * 1024

type Phase = "idle" | "head" | "busy" | "discard" | "closing"

/**
 * Its reader and its socket tell it directly: of what a connection at rest holds there are thousands.
 */
export class HttpConnection implements ExchangeOwner, RequestHandler, SocketOwner {
  readonly #socket: net.Socket
  readonly #context: HttpConnectionContext
  readonly #onClosed: (connection: HttpConnection) => void
  readonly #reader: RequestReader
  readonly #writer: MessageWriter
  readonly #openedAt: number
  #exchange: ClientExchange | undefined = undefined
  #phase: Phase = "idle"
  /** When the phase began; for `closing`, when our half was really closed. */
  #since: number
  /** When something was last read to be dropped. */
  #droppedAt = 0
  /** The request that is being answered has come in whole. */
  #requestComplete = true
  #expectsContinue = false
  /** The request is a CONNECT: its client may have said all it has to say. */
  #connecting = false
  /** Of a CONNECT: the client's half has ended before the answer. */
  #ended = false
  /** The exchange is a tunnel now. */
  #switched = false
  /** Of a tunnel: why nothing can be written any more. The client has closed. */
  #unwritable: Error | undefined = undefined
  readonly #body = new ReadGather()
  /** The next request is looked at once the socket has taken the last response. */
  #nextOnDrain = false
  #unsent: Unsent | undefined = undefined
  /** It is one of HTTP/1.1, and not of HTTP/2. */
  #opened = false
  /** What has come so far, while it may be the beginning of HTTP/2 or of a method. */
  #opening: Buffer | undefined = undefined
  /** It is one of HTTP/2: all that happens is its. */
  #http2: Http2Connection | undefined = undefined

  /** `accepted`: not yet read from, or `begun`. `onClosed` is told of it last of all. */
  constructor(
    accepted: net.Socket,
    context: HttpConnectionContext,
    onClosed: (connection: HttpConnection) => void,
    begun = false
  ) {
    const socket = ownSocket(accepted, this, begun)
    this.#socket = socket
    this.#context = context
    this.#onClosed = onClosed
    this.#since = context.ticker.now()
    this.#openedAt = this.#since
    this.#writer = new MessageWriter(socket)
    this.#reader = new RequestReader(this, context.limits, context.blocks)
  }

  get mayKeepAlive(): boolean {
    if (this.#context.draining || this.#context.isTurnOver(this.#openedAt)) return false
    // A client that waits for 100 may, after a final answer, send its body or not (RFC 9110
    // §10.1.1): what comes next could not be told apart.
    return this.#requestComplete || !this.#expectsContinue || this.#exchange?.continued === true
  }

  get date(): string {
    return this.#context.date
  }

  get node(): string {
    return this.#context.self.node
  }

  /** What had been read of it before it was known to be HTTP. */
  begin({ bytes, ended }: Omit<Begun, "socket">): void {
    try {
      this.onBytes(bytes)
      if (ended) this.onSocketEnd()
    } catch (error) {
      this.onFailed(error)
    }
  }

  /** Called by the listener every now and then; cheaper than timers per request. */
  sweep(now: number): void {
    if (this.#http2 !== undefined) {
      this.#http2.sweep(now)
      return
    }
    const { headTimeout, idleTimeout } = this.#context
    const age = now - this.#since
    switch (this.#phase) {
      case "idle":
        if (this.#socket.writableLength > 0) this.#awaitTaking(now)
        else if (age >= idleTimeout) this.#close()
        break
      case "head":
        if (age >= headTimeout) {
          this.#context.onParseError("head_timeout")
          this.#answerError("client_timeout", `no whole request head within ${headTimeout} ms`)
        }
        break
      case "discard":
        if (age >= discardLimit || now - this.#droppedAt >= discardTimeout) this.#close()
        break
      case "closing":
        if (!this.#socket.writableFinished) {
          this.#awaitTaking(now)
        } else if (
          age >= discardLimit ||
          now - Math.max(this.#since, this.#droppedAt) >= lingerTimeout
        ) {
          this.#socket.destroy()
        }
        break
      case "busy":
        // The timeouts are the policy's.
        askForReset(this.#socket)
    }
  }

  /** The client has still to take the end of a response. */
  #awaitTaking(now: number): void {
    this.#unsent ??= new Unsent(this.#socket, now)
    if (this.#unsent.isGivenUp(now)) breakOff(this.#socket)
    // The time of what follows begins when it has taken it.
    else this.#since = now
  }

  /** The listener drains: a connection that is between requests is not needed any more. */
  closeIfIdle(): void {
    if (this.#http2 !== undefined) this.#http2.closeIfIdle()
    else if (this.#phase === "idle") this.#close()
  }

  /** Makes room for another: true when it had been idle for so long, and is closed. */
  yieldIfIdle(since: number): boolean {
    if (this.#http2 !== undefined) return this.#http2.yieldIfIdle(since)
    if (this.#phase !== "idle" || this.#since > since) return false
    if (this.#socket.writableLength > 0) return false
    this.#socket.destroy()
    return true
  }

  /** Ends it now, e.g. because the node stops. */
  destroy(): void {
    const message = `node ${this.node} stopped before the end of the response`
    if (this.#switched && this.#exchange !== undefined) {
      const { node } = this
      this.onTunnelFault({ code: "draining", message, node, service: undefined, sent: true })
    }
    try {
      this.#http2?.destroy()
      this.#cancel("draining", message)
    } finally {
      this.#socket.destroy()
    }
  }

  onSwitched(): void {
    this.#switched = true
    this.#requestComplete = false
    outliveWrites(this.#socket, (error) => this.#onUnwritable(error))
    this.#reader.tunnel()
    this.#socket.resume()
    this.#handOn()
    if (this.#ended) this.#onTunnelEnd()
  }

  onWritable(): void {
    this.#socket.resume()
  }

  onFinished(keepAlive: boolean): void {
    this.#exchange = undefined
    this.#body.clear()
    if (!keepAlive || this.#ended) this.#close()
    else if (!this.#requestComplete) {
      this.#enter("discard")
      this.#droppedAt = this.#since
      this.#socket.resume()
    } else if (this.#socket.writableNeedDrain) {
      // A client that pipelines without reading would otherwise fill our memory with responses.
      this.#nextOnDrain = true
      this.#enter("idle")
    } else this.#nextRequest()
  }

  onTunnelFault(fault: Fault): void {
    const { remoteAddress = "unknown", remotePort = 0 } = this.#socket
    this.#context.onTunnelReset(fault, `${remoteAddress}:${remotePort}`)
  }

  onTruncated(withReset: boolean): void {
    this.#exchange = undefined
    this.#enter("closing")
    this.#reader.stop()
    if (withReset) resetWhenWritten(this.#socket, this.#context.ticker)
    // What was received before the break still goes out; the missing end tells the rest.
    else this.#socket.destroySoon()
  }

  onHead(request: ParsedRequest): void {
    const { head } = request
    this.#enter("busy")
    this.#expectsContinue = head.expectsContinue
    this.#connecting = head.method === "CONNECT"
    // The reader ends no message that may become a tunnel: whoever answers decides.
    this.#requestComplete = this.#connecting || head.upgrade !== undefined
    const exchange = new ClientExchange(this.#socket, request, this, this.#writer)
    this.#exchange = exchange
    startCall(exchange, request, this.#socket.remoteAddress, this.#context)
  }

  onEnd(trailers: Fields): void {
    this.#requestComplete = true
    this.#handOn()
    if (this.#exchange !== undefined) {
      this.#exchange.end(trailers)
      // Whoever has it all tells nobody to go on; but a client that leaves must be heard.
      this.#socket.resume()
    } else if (this.#phase === "discard") this.#nextRequest()
  }

  onBody(chunk: Buffer): void {
    if (this.#exchange !== undefined) this.#body.add(chunk)
    else this.#droppedAt = this.#context.ticker.now()
  }

  onDroppedTrailer(field: string): void {
    this.#context.onDroppedTrailer(field)
  }

  #handOn(): void {
    const chunk = this.#body.take()
    if (chunk === undefined) return
    if (this.#exchange?.write(chunk) === false) this.#socket.pause()
  }

  onBytes(chunk: Buffer): void {
    if (this.#http2 !== undefined) this.#http2.onBytes(chunk)
    else if (this.#opened) this.#onData(chunk)
    else this.#onFirst(chunk)
  }

  /** Which HTTP it is, the first bytes say: what begins as HTTP/2 is no request (RFC 9113 §3.4). */
  #onFirst(chunk: Buffer): void {
    const bytes = this.#opening === undefined ? chunk : Buffer.concat([this.#opening, chunk])
    const length = Math.min(bytes.length, preface.length)
    if (bytes.compare(preface, 0, length, 0, length) !== 0) {
      this.#opening = undefined
      this.#opened = true
      this.#onData(bytes)
    } else if (length === preface.length) {
      this.#opening = undefined
      const http2 = new Http2Connection(this.#socket, this.#context)
      this.#http2 = http2
      http2.onBytes(bytes)
    } else {
      this.#opening = Buffer.from(bytes)
      this.#enter("head")
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#phase === "closing") {
      this.#droppedAt = this.#context.ticker.now()
      return
    }
    const ahead = this.#reader.state === "complete"
    this.#reader.feed(chunk)
    this.#handOn()
    this.#watchHead()
    // The reader keeps what was sent ahead of the response; more of it must not come.
    if (ahead && this.#reader.state === "complete") this.#socket.pause()
    else this.#holdBack()
  }

  /** Each request of many that were sent ahead would otherwise let in a read's worth of others. */
  #holdBack(): void {
    if (this.#reader.retained > mostAhead) this.#socket.pause()
  }

  onDrain(): void {
    if (this.#http2 !== undefined) this.#http2.onDrain()
    else if (this.#nextOnDrain && this.#phase === "idle") this.#nextRequest()
    else this.#exchange?.onDrain()
  }

  #nextRequest(): void {
    this.#nextOnDrain = false
    this.#switched = false
    if (this.#context.draining) {
      this.#close()
      return
    }
    this.#enter("idle")
    this.#socket.resume()
    this.#reader.next()
    this.#handOn()
    this.#watchHead()
    this.#holdBack()
  }

  /** The time for a head runs from its first byte, which may have come with the last request. */
  #watchHead(): void {
    if (this.#phase !== "idle" || this.#reader.state !== "head" || this.#reader.idle) return
    this.#enter("head")
  }

  onError(error: Http1Error): void {
    this.#body.clear()
    if (error.rule === "incomplete") {
      this.#cancel("client_gone", error.message)
      this.#socket.destroy()
      return
    }
    this.#context.onParseError(error.rule)
    this.#answerError(error.code, error.message)
  }

  /** The connection cannot be understood any further; say so if that is still possible. */
  #answerError(code: Fault["code"], message: string): void {
    const { date, node } = this
    const exchange = this.#exchange
    const fault: Fault = { code, message, node, service: undefined, sent: exchange !== undefined }
    this.#exchange = undefined
    exchange?.cancel(fault)
    if (exchange?.headWritten === true) {
      this.#socket.destroy()
      return
    }
    if (this.#phase !== "discard") {
      this.#socket.write(writeFault(fault, { method: "GET", version: 1, keepAlive: false, date }))
    }
    this.#close()
  }

  /**
   * The client's FIN. In a tunnel it ends one half, also if it came before the answer that makes the
   * tunnel. Within an exchange it means the client is gone: programs that close or die send nothing else, and those that half-close and still read
   * are rare enough that nginx, Envoy and Go's server decide the same.
   */
  onSocketEnd(): void {
    if (this.#http2 !== undefined) {
      this.#http2.onEnd()
      return
    }
    if (this.#phase === "closing") return
    if (this.#exchange === undefined) this.#close()
    else if (this.#switched) this.#onTunnelEnd()
    else if (this.#connecting) this.#ended = true
    else {
      this.#cancel("client_gone", "the client closed its connection before the response")
      this.#socket.destroy()
    }
  }

  #onTunnelEnd(): void {
    const unwritable = this.#unwritable
    if (unwritable === undefined || !isReset(unwritable)) this.#reader.eof()
    if (unwritable !== undefined) this.#socket.destroy(unwritable)
  }

  /** See TcpConnection: what the client said before it closed is still to be read. */
  #onUnwritable(error: Error): void {
    this.#unwritable = error
    if (this.#reader.state !== "tunnel" || this.#socket.isPaused()) this.#socket.destroy(error)
  }

  onSocketFinish(): void {
    this.#since = this.#context.ticker.now()
  }

  onSocketClose(): void {
    try {
      this.#http2?.onClose()
      this.#cancel("client_gone", "the client closed its connection before the end of the response")
      this.#reader.stop()
      this.#phase = "closing"
    } finally {
      this.#onClosed(this)
    }
  }

  onFailed(error: unknown): void {
    reportAndDestroy(this.#socket, error, this.#context.onDefect, "a connection of an HTTP client")
  }

  #cancel(code: Fault["code"], message: string): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#body.clear()
    exchange?.cancel({ code, message, node: this.node, service: undefined, sent: true })
  }

  /**
   * Lingering close (RFC 9112 §9.6): our half first, then what the client still sends is read and
   * dropped for a while, since closing with bytes unread would reset away our response.
   */
  #close(): void {
    if (this.#phase === "closing") return
    this.#enter("closing")
    this.#exchange = undefined
    this.#body.clear()
    this.#reader.stop()
    this.#socket.end()
    this.#socket.resume()
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#since = this.#context.ticker.now()
  }
}
