/**
 * The server side of a connection: bytes in, requests out, one at a time.
 *
 *     onHead (onBody* onEnd)      an ordinary request; onEnd comes as soon as its last byte is in
 *     onHead                      CONNECT, or a head with `upgrade`: whoever answers decides.
 *                                 `tunnel()` → onBody* onEnd, or `next()` for a refusal
 *     … onError                   at any point; nothing is called after it
 *
 * After each message the reader is `complete` and keeps what came after it until `next()`.
 * Handlers may call `next`, `tunnel` and `stop` from within their callbacks. A chunk given to
 * `feed`, and what `onBody` is given of it, is of use until `feed` returns: what is kept is copied.
 */
import { type Fields, noFields } from "../../model/Exchange.ts"
import { BlockCollector } from "./BlockCollector.ts"
import { BlockMemory, KnownBlocks } from "./BlockMemory.ts"
import { type BodyHandler, BodyReader } from "./BodyReader.ts"
import { tokenBytes } from "./Characters.ts"
import { bareCr } from "./FieldSyntax.ts"
import { Http1Error } from "./Http1Error.ts"
import { defaultHttp1Limits, type Http1Limits } from "./Limits.ts"
import {
  badMethod,
  type ParsedRequest,
  readRequestHead,
  requestTooLong
} from "./RequestHeadText.ts"

export type { ParsedRequest } from "./RequestHeadText.ts"

export interface RequestHandler extends BodyHandler {
  onHead(request: ParsedRequest): void
  onEnd(trailers: Fields): void
  /** The connection is to be answered (`error.code`) and closed. */
  onError(error: Http1Error): void
}

/** `complete`: between messages, or waiting for `next` or `tunnel`. */
export type ReaderState = "head" | "body" | "complete" | "tunnel" | "failed"

/**
 * Bytes kept while a message is complete. Whoever reads the socket pauses it then, so at most a
 * few socket reads of 64 KiB come in; a connection that brings more is not being paused.
 */
export const maxRetainedBytes = 256 * 1024

const CR = 0x0d
const LF = 0x0a

export class RequestReader {
  readonly #handler: RequestHandler
  readonly #limits: Http1Limits
  readonly #block: BlockCollector
  readonly #memory: BlockMemory
  /** Made with the first body: most connections never bring one. */
  #body: BodyReader | undefined = undefined
  #state: ReaderState = "head"
  /** The one CR LF that may stand before a request (RFC 9112 §2.2): how much of it was there. */
  #leading: 0 | 1 | 2 = 0
  /** What came after the complete message. */
  #retained: Buffer | undefined = undefined
  /** A chunk is being read further down the stack. */
  #running = false
  #ended = false

  /** `blocks` may be shared with readers of the same kind and limits. */
  constructor(
    handler: RequestHandler,
    limits: Http1Limits = defaultHttp1Limits,
    blocks = new KnownBlocks()
  ) {
    this.#handler = handler
    this.#memory = new BlockMemory(limits, blocks, "client")
    this.#limits = limits
    this.#block = new BlockCollector(limits.headBytes, limits, requestTooLong)
  }

  get state(): ReaderState {
    return this.#state
  }

  /** Bytes kept of what came after the complete message. */
  get retained(): number {
    return this.#retained?.length ?? 0
  }

  /** Between requests, with no byte of the next one seen: the connection can be closed quietly. */
  get idle(): boolean {
    return this.#state === "head" && this.#block.empty
  }

  feed(chunk: Buffer): void {
    if (chunk.length === 0 || this.#state === "failed") return
    if (this.#running || this.#state === "complete") this.#retain(chunk)
    else this.#run(chunk, false)
  }

  /** After `complete`: the next message, beginning with the bytes kept. */
  next(): void {
    if (this.#state !== "complete") return
    this.#state = "head"
    this.#leading = 0
    this.#resume()
  }

  /** An Upgrade or CONNECT was accepted: from now on every byte goes to onBody as it is. */
  tunnel(): void {
    if (this.#state !== "complete") return
    this.#state = "tunnel"
    this.#resume()
  }

  /** Calls nothing any more and drops what is kept. */
  stop(): void {
    this.#state = "failed"
    this.#retained = undefined
    this.#block.reset()
    this.#body?.stop()
  }

  /** The peer has closed its sending side. */
  eof(): void {
    this.#ended = true
    if (!this.#running) this.#close()
  }

  #close(): void {
    switch (this.#state) {
      case "tunnel":
        this.#state = "complete"
        this.#handler.onEnd(noFields)
        return
      case "head":
        if (!this.idle) this.#fail(incomplete("in the head of a request"))
        return
      case "body":
        this.#fail(incomplete("in the body of a request"))
        return
      default: // complete: the message is whole, its response can still be sent. failed: known.
    }
  }

  /** `ours`: nobody else's memory, which can be kept without a copy. */
  #retain(chunk: Buffer, ours = false): void {
    const kept = this.#retained
    if ((kept?.length ?? 0) + chunk.length > maxRetainedBytes) {
      this.#fail(
        new Http1Error(
          "pipelined_bytes",
          `more than ${maxRetainedBytes} bytes were sent ahead of a response`
        )
      )
      return
    }
    if (kept !== undefined) this.#retained = Buffer.concat([kept, chunk])
    else this.#retained = ours ? chunk : Buffer.from(chunk)
  }

  /** Goes on with what is kept, unless a loop further down the stack will. */
  #resume(): void {
    if (this.#running) return
    const kept = this.#retained
    this.#retained = undefined
    if (kept !== undefined) this.#run(kept, true)
    else if (this.#ended) this.#close()
  }

  /** `ours`: nobody else's memory, of which a part can be kept without a copy. */
  #run(chunk: Buffer, ours: boolean): void {
    let current: Buffer | undefined = chunk
    let owned = ours
    this.#running = true
    try {
      while (current !== undefined) {
        const at = this.#read(current)
        // Only what a handler fed from within a callback is here now.
        const later: Buffer | undefined = this.#retained
        if (this.#state === "complete") {
          if (at < current.length) {
            this.#retained = undefined
            this.#retain(current.subarray(at), owned)
            if (later !== undefined) this.#retain(later)
          }
          break
        }
        this.#retained = undefined
        current = later
        owned = true
      }
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error
      this.#fail(error)
    } finally {
      this.#running = false
    }
    if (this.#ended) this.#close()
  }

  /** Returns how far it came: less than the chunk's length only when `complete` or `failed`. */
  #read(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length) {
      switch (this.#state) {
        case "head":
          at = this.#readHead(chunk, at)
          break
        case "body": {
          const body = this.#bodyReader()
          at = body.feed(chunk, at)
          if (this.#state === "body" && body.done) this.#end(body.trailers)
          break
        }
        case "tunnel":
          this.#handler.onBody(at === 0 ? chunk : chunk.subarray(at))
          return chunk.length
        default:
          return at
      }
    }
    return at
  }

  #readHead(chunk: Buffer, from: number): number {
    let at = from
    if (this.#block.empty) {
      if (this.#leading === 0 && chunk[at] === CR) {
        this.#leading = 1
        at++
      }
      if (this.#leading === 1 && at < chunk.length) {
        if (chunk[at] !== LF) throw bareCr()
        this.#leading = 2
        at++
      }
      if (at === chunk.length) return at
      // Known at the first byte: a TLS handshake, say, never sends the line end we would wait for.
      if (tokenBytes[chunk[at]!] !== 1) throw badMethod(chunk.toString("latin1", at, at + 1), 0)
    }
    const line = this.#block.empty ? this.#memory.firstLine(chunk, at) : undefined
    const text = line ?? this.#block.take(chunk, at)
    if (text === undefined) return chunk.length
    const end = line === undefined ? this.#block.end : this.#memory.end
    const request = readRequestHead(text, this.#memory, this.#limits)
    const { framing, method, upgrade } = request.head
    if (method === "CONNECT" || upgrade !== undefined) {
      this.#state = "complete"
      this.#handler.onHead(request)
      return end
    }
    this.#state = "body"
    const length = framing.kind === "length" ? framing.length : 0
    const hasBody = framing.kind === "stream" || length > 0
    if (framing.kind === "stream") this.#bodyReader().startChunked(request.listed)
    else if (hasBody) this.#bodyReader().startLength(length)
    this.#handler.onHead(request)
    if (this.state === "body" && !hasBody) this.#end(noFields)
    return end
  }

  #bodyReader(): BodyReader {
    this.#body ??= new BodyReader(this.#limits, "client", this.#handler)
    return this.#body
  }

  #end(trailers: Fields): void {
    this.#state = "complete"
    this.#handler.onEnd(trailers)
  }

  #fail(error: Http1Error): void {
    if (this.#state === "failed") return
    this.stop()
    this.#handler.onError(error)
  }
}

const incomplete = (where: string): Http1Error =>
  new Http1Error("incomplete", `the connection was closed ${where}`)
