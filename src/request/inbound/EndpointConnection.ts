/**
 * One kept connection to a program: a request at a time, its response read strictly, bytes moved
 * without copying.
 */

import type net from "node:net"
import type { OnDefect } from "../../model/Defect.ts"
import type { Fields, ResponseHead } from "../../model/Exchange.ts"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import { describeSocketError } from "../../model/SocketFailure.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { KnownBlocks } from "../http1/BlockMemory.ts"
import { encodeRequestHead, lastChunk } from "../http1/Encode.ts"
import type { Http1Error } from "../http1/Http1Error.ts"
import { defaultHttp1Limits } from "../http1/Limits.ts"
import { MessageWriter } from "../http1/MessageWriter.ts"
import { type ParsedResponse, ResponseReader } from "../http1/ResponseReader.ts"
import { isReset, outliveWrites } from "../socket/FailedWrites.ts"
import { Linger } from "../socket/Linger.ts"
import { dialProgram, type ProgramPlace } from "../socket/ProgramDial.ts"
import { ReadGather } from "../socket/ReadGather.ts"
import { resetWhenWritten } from "../socket/ResetWhenWritten.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import { SocketReads } from "../socket/SocketReads.ts"
import type { EndpointRequest, RequestCarrier } from "./EndpointRequest.ts"

export interface EndpointConnectionOptions extends ProgramPlace {
  /** What the program says again and again. */
  readonly blocks: KnownBlocks
  readonly ticker: Ticker
  readonly onDefect: OnDefect
  /** A trailer field of a response was dropped: no trailer may be named so. */
  readonly onDroppedTrailer: () => void
}

/** The pool, as its connections see it. */
export interface ConnectionOwner {
  /** The response is whole and the connection can take another request. */
  onIdle(connection: EndpointConnection): void
  /** It is closed. */
  onGone(connection: EndpointConnection): void
  /** It never was open. */
  onConnectFailure(): void
  /** The request went out as the program was closing the connection: send it on a new one. */
  onStale(request: EndpointRequest): void
}

/** So long before the program closes an idle connection it is not used any more. */
const closeMargin = 1_000

/**
 * A kept connection that breaks within this many milliseconds of a request was, most likely, being
 * closed when the request was sent. It is not certain that the program has not seen it, so only what
 * asks for no effect is sent again unasked; and one that breaks later may have worked on it, and
 * whether that is done twice is the retry policy's to say.
 */
const staleWithin = 50

export class EndpointConnection implements RequestCarrier {
  readonly #owner: ConnectionOwner
  readonly #ticker: Ticker
  readonly #socket: net.Socket
  readonly #writer: MessageWriter
  readonly #reader: ResponseReader
  /** Connecting or, at the end of a tunnel, closing. */
  #timer: Timer
  #connected = false
  #request: EndpointRequest | undefined
  /** It carried a request before the present one. */
  #reused = false
  #sentAt = 0
  /** A byte came since the request was sent. */
  #answered = false
  #keepAlive = false
  /** Milliseconds it may be idle before the program closes it, as far as the program says. */
  #keptFor = Number.POSITIVE_INFINITY
  #coding: "none" | "length" | "chunked" | "tunnel" = "none"
  readonly #body = new ReadGather()
  #cause: Error | undefined = undefined
  /** Why nothing can be written any more: the program has closed, perhaps with a last word. */
  #unwritable: Error | undefined = undefined
  /** For the pool. */
  idleSince = 0

  /** Connects within `connectTimeout`, then carries `request`. */
  constructor(
    options: EndpointConnectionOptions,
    request: EndpointRequest,
    connectTimeout: number,
    owner: ConnectionOwner
  ) {
    const { blocks, ticker } = options
    this.#owner = owner
    this.#ticker = ticker
    this.#request = request
    this.#reader = new ResponseReader(
      {
        onInfo: (head) => this.#onInfo(head),
        onHead: (response) => this.#onHead(response),
        onBody: (chunk) => this.#body.add(chunk),
        onEnd: (trailers) => this.#onResponseEnd(trailers),
        onError: (error) => this.#onInvalid(error),
        onDroppedTrailer: options.onDroppedTrailer
      },
      defaultHttp1Limits,
      blocks
    )
    const guard = new SocketGuard(options.onDefect, "a connection to an HTTP program")
    const reads = new SocketReads()
    reads.onBytes = guard.handler((bytes) => this.#onData(bytes))
    const onOpen = guard.handler<void>(() => this.#onConnect())
    const socket = guard.watch(dialProgram(options, { allowHalfOpen: true, reads, onOpen }))
    this.#socket = socket
    outliveWrites(socket, (error) => this.#onUnwritable(error))
    this.#writer = new MessageWriter(socket)
    this.#timer = ticker.after(connectTimeout, () => {
      socket.destroy(new Error(`no connection within ${connectTimeout} ms`))
    })
    socket.on(
      "drain",
      guard.handler(() => this.#request?.onDrain())
    )
    socket.on(
      "end",
      guard.handler(() => this.#onSocketEnd())
    )
    socket.on("error", (error) => {
      this.#cause = error
    })
    socket.on(
      "close",
      guard.handler(() => this.#onClose())
    )
  }

  /**
   * False once it is known to be closed or useless; it may then still be in the pool for a turn.
   * Also shortly before the program will close it: a request that crosses that is lost, and only
   * one without effects could be sent again.
   */
  usable(now: number): boolean {
    const closing = now - this.idleSince >= this.#keptFor - Math.min(closeMargin, this.#keptFor / 2)
    return this.#reader.idle && !this.#socket.destroyed && !closing
  }

  /** Sends the next request. Only after `onIdle`, while `usable`. */
  begin(request: EndpointRequest): void {
    this.#reused = true
    this.#request = request
    this.#send(request)
  }

  write(chunk: Uint8Array): boolean {
    return this.#coding === "chunked" ? this.#writer.chunk(chunk) : this.#writer.content(chunk)
  }

  end(trailers: Fields): void {
    if (this.#coding === "chunked") this.#socket.write(lastChunk(trailers), "latin1")
    else if (this.#coding === "tunnel") {
      this.#socket.end()
      if (this.#reader.state === "complete") this.#closeTunnel()
    }
  }

  abort(): void {
    this.#request = undefined
    this.close()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#reader.stop()
    this.#writer.drop()
    if (this.#coding === "tunnel") resetWhenWritten(this.#socket, this.#ticker)
    else this.#socket.destroy()
  }

  #onConnect(): void {
    this.#connected = true
    this.#timer.cancel()
    const request = this.#request
    if (request === undefined) return
    if (!request.over) {
      this.#send(request)
      return
    }
    // Cancelled meanwhile. Nothing was sent, so the connection is good for another.
    this.#request = undefined
    this.#owner.onIdle(this)
  }

  #send(request: EndpointRequest): void {
    const { head } = request
    const framing = head.framing.kind
    this.#answered = false
    this.#sentAt = this.#ticker.now()
    this.#coding = framing === "stream" ? "chunked" : framing
    this.#reader.expect(head.method, head.upgrade !== undefined)
    const text = encodeRequestHead(head, undefined, request.told(this.#sentAt))
    if (request.complete) this.#writer.head(text)
    else if (framing === "length") this.#writer.headOfContent(text)
    else this.#writer.headOfMore(text)
    request.attach(this)
  }

  #onData(chunk: Buffer): void {
    this.#answered = true
    this.#reader.feed(chunk)
    this.#handOn()
  }

  #onInfo(head: ResponseHead): void {
    this.#request?.onInfo(head)
  }

  #onHead(response: ParsedResponse): void {
    this.#keepAlive = response.keepAlive
    const seconds = response.keepAliveTimeout
    this.#keptFor = seconds === undefined ? Number.POSITIVE_INFINITY : seconds * 1_000
    if (response.head.status === 101) this.#coding = "tunnel"
    this.#request?.onHead(response.head)
  }

  #handOn(): void {
    const chunk = this.#body.take()
    if (chunk === undefined) return
    if (this.#request?.onData(chunk) === false) this.#socket.pause()
  }

  #onResponseEnd(trailers: Fields): void {
    this.#handOn()
    const request = this.#request
    if (request === undefined) return
    if (this.#coding === "tunnel" && !request.ended) {
      request.onEnd(trailers) // the program's half; the caller's goes on
      return
    }
    this.#request = undefined
    // Given back first: who gets the end may want to send the next request at once.
    if (this.#keepAlive && request.complete && this.#reader.idle) {
      this.#socket.resume()
      this.#owner.onIdle(this)
    } else if (this.#coding === "tunnel") this.#closeTunnel()
    else this.close()
    request.onEnd(trailers)
  }

  /** What the caller wrote into the tunnel before its end still goes out. */
  #closeTunnel(): void {
    this.#request = undefined
    this.#timer = new Linger(this.#socket, this.#ticker)
    this.#socket.destroySoon()
  }

  #onInvalid(error: Http1Error): void {
    // What was valid before it is the caller's, however the bytes were split.
    this.#handOn()
    const request = this.#request
    this.#request = undefined
    this.close()
    if (error.rule === "incomplete") this.#lost(request, error.message)
    else request?.fail("upstream_reset", `sent what is not HTTP/1.1: ${error.message}`)
  }

  /**
   * What the program said before it closed is still to be read, and an answer is an answer though
   * the rest of the request reaches nobody. Of a tunnel nothing may be left to read.
   */
  #onUnwritable(error: Error): void {
    this.#unwritable = error
    if (this.#coding === "tunnel" && this.#reader.state === "complete") this.#socket.destroy(error)
  }

  #onSocketEnd(): void {
    const unwritable = this.#unwritable
    if (unwritable !== undefined && isReset(unwritable)) {
      this.#socket.destroy(unwritable)
      return
    }
    this.#reader.eof()
    this.#handOn()
    // Nothing more can come, so nothing more can be asked.
    if (this.#coding !== "tunnel") this.#socket.destroy()
    else if (unwritable !== undefined) this.#socket.destroy(unwritable)
  }

  #onClose(): void {
    this.#timer.cancel()
    const request = this.#request
    this.#request = undefined
    this.#reader.stop()
    try {
      this.#owner.onGone(this)
    } finally {
      if (request !== undefined) this.#fail(request)
    }
  }

  #fail(request: EndpointRequest): void {
    const cause = this.#cause === undefined ? "it closed" : describeSocketError(this.#cause)
    if (this.#connected) this.#lost(request, cause)
    else if (isOwnShortage(this.#cause)) {
      request.fail("overflow", `was not connected to: ${cause}`)
    } else {
      this.#owner.onConnectFailure()
      request.fail("upstream_connect", `could not be connected to: ${cause}`)
    }
  }

  #lost(request: EndpointRequest | undefined, cause: string): void {
    if (request === undefined || request.over) return
    const atOnce = this.#ticker.now() - this.#sentAt <= staleWithin
    if (this.#reused && !this.#answered && atOnce && request.replayable) {
      request.detach()
      this.#owner.onStale(request)
    } else request.fail("upstream_reset", `broke off: ${cause}`)
  }
}
