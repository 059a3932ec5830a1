/** The serving side of a connection: the peer opens streams, each with a request. */
import { noFields } from "../../model/Exchange.ts"
import { Http1Error } from "../http1/Http1Error.ts"
import { Http2Code, Http2Error } from "./Http2Error.ts"
import { preface, Setting } from "./Http2Frame.ts"
import { Http2Session } from "./Http2Session.ts"
import { Http2Stream } from "./Http2Stream.ts"
import { type Http2Request, requestOf } from "./RequestHeadFields.ts"
import type { SessionOptions, SessionOwner } from "./SessionOwner.ts"

export interface ServerOwner extends SessionOwner {
  /** A request; the stream has no owner yet. What follows it comes after this has returned. */
  onRequest(stream: Http2Stream, request: Http2Request): void
  /** A request that cannot be carried: to be answered. */
  onBadRequest(stream: Http2Stream, error: Http1Error): void
}

export class Http2ServerSession extends Http2Session {
  readonly #owner: ServerOwner
  /** Of the preface: bytes that have come. */
  #greeted = 0

  constructor(options: Omit<SessionOptions, "owner">, owner: ServerOwner) {
    super({ ...options, owner }, "client")
    this.#owner = owner
    const { limits, messages } = options
    this.introduce([
      [Setting.streams, limits.streams],
      [Setting.headerList, messages.headBytes],
      [Setting.connectProtocol, 1]
    ])
  }

  override get readerIdle(): boolean {
    return this.#greeted === preface.length && super.readerIdle
  }

  override feed(chunk: Buffer): void {
    const left = preface.length - this.#greeted
    if (left === 0) {
      super.feed(chunk)
      return
    }
    const length = Math.min(left, chunk.length)
    if (preface.compare(chunk, 0, length, this.#greeted, this.#greeted + length) !== 0) {
      this.fail(new Http2Error("h2_preface", "the connection does not begin as HTTP/2 does"))
      return
    }
    this.#greeted += length
    if (length < chunk.length) super.feed(chunk.subarray(length))
  }

  protected onUnknownBlock(id: number, isEnd: boolean): void {
    if (id % 2 === 0) throw new Http2Error("h2_frame_place", `a client opens stream ${id}`)
    if (id <= this.lastRemote) {
      this.strayBlock(id)
      return
    }
    const isLate = this.drained
    if (!isLate) this.lastRemote = id
    if (isLate || this.streams.size >= this.limits.streams) {
      this.floods.spendReset()
      this.refuse(id)
      return
    }
    this.#open(id, isEnd)
  }

  #open(id: number, isEnd: boolean): void {
    const read = this.fields.read()
    const stream = new Http2Stream(this, id, this.peerWindow, undefined)
    this.streams.set(id, stream)
    this.earn()
    stream.remoteEnded = isEnd
    const request =
      read instanceof Http1Error
        ? read
        : madeOf(() => requestOf(read, isEnd, this.options.messages))
    if (request instanceof Http1Error) {
      this.#owner.onBadRequest(stream, request)
      return
    }
    const { framing, method } = request.head
    if (framing.kind === "length") stream.expected = framing.length
    stream.tunnel = method === "CONNECT" || request.extended
    this.guarded(stream, () => this.#owner.onRequest(stream, request))
    if (isEnd && !stream.closed) stream.receiveEnd(noFields)
  }

  protected onStreamBlock(stream: Http2Stream, isEnd: boolean): void {
    this.onTrailers(stream, isEnd)
  }

  protected onOpening(): boolean {
    return true
  }

  /** Of a request that is answered already the rest is nobody's (RFC 9113 §8.1). */
  protected onLocalEnd(stream: Http2Stream): void {
    if (!stream.tunnel) stream.owner = undefined
    if (stream.remoteEnded) this.finish(stream)
    else if (!stream.tunnel) this.abandon(stream, Http2Code.none)
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.lastRemote
  }

  protected malformed(stream: Http2Stream): void {
    this.reset(stream, Http2Code.protocol)
  }
}

const madeOf = <Made>(make: () => Made): Made | Http1Error => {
  try {
    return make()
  } catch (error) {
    if (error instanceof Http1Error) return error
    throw error
  }
}
