/**
 * The client side of a connection: bytes in, responses out. `expect` announces each one.
 *
 *     onInfo* onHead (onBody* onEnd)     onEnd comes as soon as the last byte is in
 *     … onError                          at any point; nothing is called after it
 *
 * After 101, and after a 2xx to CONNECT, onBody carries the tunnel and onEnd comes with `eof`.
 * Between responses the reader is `complete`. Bytes that nobody asked for make the connection
 * useless: look at `idle` in onEnd, not only at `keepAlive`, before using it again.
 */
import { type Fields, noFields, type ResponseHead } from "../../model/Exchange.ts"
import { BlockCollector, headTooLong, type TooLong } from "./BlockCollector.ts"
import { BlockMemory, KnownBlocks } from "./BlockMemory.ts"
import { type BodyHandler, BodyReader } from "./BodyReader.ts"
import { Http1Error } from "./Http1Error.ts"
import { defaultHttp1Limits, type Http1Limits } from "./Limits.ts"
import type { ReaderState } from "./RequestReader.ts"
import { badStatusLine, type ParsedResponse, readResponseHead } from "./ResponseHeadText.ts"

export type { ParsedResponse } from "./ResponseHeadText.ts"

export interface ResponseHandler extends BodyHandler {
  /** A 1xx other than 101. */
  onInfo(head: ResponseHead): void
  onHead(response: ParsedResponse): void
  onEnd(trailers: Fields): void
  /** The connection is to be closed. */
  onError(error: Http1Error): void
}

const letterH = 0x48

export class ResponseReader {
  readonly #handler: ResponseHandler
  readonly #block: BlockCollector
  readonly #memory: BlockMemory
  readonly #body: BodyReader
  readonly #mostInterim: number
  /** Read of heads since the request, interim ones included. */
  #headBytes = 0
  #state: ReaderState = "complete"
  #method = ""
  #maySwitch = false
  #ended = false
  /** Bytes came in after the end of a response, before the next was expected. */
  #surplus = false
  /** A chunk is being read further down the stack. */
  #running = false
  /** Fed from within a callback, to be read after the rest of the chunk that is being read. */
  #fedMeanwhile: Buffer | undefined = undefined

  /** `blocks` may be shared with readers of the same kind and limits. */
  constructor(
    handler: ResponseHandler,
    limits: Http1Limits = defaultHttp1Limits,
    blocks = new KnownBlocks()
  ) {
    this.#handler = handler
    this.#memory = new BlockMemory(limits, blocks, "program")
    this.#block = new BlockCollector(limits.headBytes, limits, responseTooLong)
    this.#body = new BodyReader(limits, "program", handler)
    this.#mostInterim = limits.interimBytes
  }

  /** As of RequestReader; `complete`: no response is expected (also before the first). */
  get state(): ReaderState {
    return this.#state
  }

  /** No response is expected and nothing speaks against sending the next request. */
  get idle(): boolean {
    return this.#state === "complete" && !this.#ended && !this.#surplus
  }

  /**
   * A request has been or is about to be sent: HEAD and CONNECT change how its response ends, and
   * 101 is refused unless the request asked for it (`maySwitch`, by default it may). False when
   * the connection cannot be used: a response is outstanding, or it failed or ended.
   */
  expect(method: string, maySwitch = true): boolean {
    if (!this.idle) return false
    this.#method = method
    this.#maySwitch = maySwitch
    this.#state = "head"
    this.#headBytes = 0
    return true
  }

  feed(chunk: Buffer): void {
    if (chunk.length === 0) return
    if (this.#running) {
      const earlier = this.#fedMeanwhile
      this.#fedMeanwhile = earlier === undefined ? chunk : Buffer.concat([earlier, chunk])
      return
    }
    let current: Buffer | undefined = chunk
    this.#running = true
    try {
      while (current !== undefined) {
        this.#read(current)
        current = this.#fedMeanwhile
        this.#fedMeanwhile = undefined
      }
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error
      this.#fail(error)
    } finally {
      this.#running = false
    }
    if (this.#ended) this.#close()
  }

  /** Calls nothing any more. */
  stop(): void {
    this.#state = "failed"
    this.#block.reset()
    this.#body.stop()
    this.#fedMeanwhile = undefined
  }

  /** The peer has closed its sending side: ends a body that ends so, breaks any other. */
  eof(): void {
    this.#ended = true
    if (!this.#running) this.#close()
  }

  #close(): void {
    switch (this.#state) {
      case "tunnel":
        this.#end(noFields)
        return
      case "head":
        this.#fail(
          new Http1Error(
            "incomplete",
            this.#block.empty
              ? "the connection was closed before a response"
              : "the connection was closed in the head of a response"
          )
        )
        return
      case "body":
        if (this.#body.closed()) this.#end(noFields)
        else
          this.#fail(
            new Http1Error("incomplete", "the connection was closed in the body of a response")
          )
        return
      default: // complete: nothing is expected. failed: known.
    }
  }

  #read(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      switch (this.#state) {
        case "head":
          at = this.#readHead(chunk, at)
          break
        case "body":
          at = this.#body.feed(chunk, at)
          if (this.#state === "body" && this.#body.done) {
            this.#surplus = at < chunk.length
            this.#end(this.#body.trailers)
          }
          break
        case "tunnel":
          this.#handler.onBody(at === 0 ? chunk : chunk.subarray(at))
          return
        case "complete":
          throw new Http1Error(
            "unexpected_bytes",
            "the endpoint sent bytes that belong to no response"
          )
        case "failed":
          return
      }
    }
  }

  #readHead(chunk: Buffer, from: number): number {
    // Known at the first byte: a server of another protocol never sends the line end to wait for.
    if (this.#block.empty && chunk[from] !== letterH) {
      throw badStatusLine(chunk.toString("latin1", from, from + 1))
    }
    const line = this.#block.empty ? this.#memory.firstLine(chunk, from) : undefined
    const text = line ?? this.#block.take(chunk, from)
    const end =
      text === undefined ? chunk.length : line === undefined ? this.#block.end : this.#memory.end
    this.#headBytes += end - from
    if (text === undefined) return end
    const response = readResponseHead(text, this.#method, this.#memory)
    const { head, body } = response
    if (head.status < 200 && head.status !== 101) {
      if (this.#headBytes > this.#mostInterim) {
        throw new Http1Error(
          "interim_bytes",
          `more than ${this.#mostInterim} bytes of interim responses (the last a ${head.status}) before a response`
        )
      }
      this.#handler.onInfo(head)
      return end
    }
    if (head.status === 101 && !this.#maySwitch) {
      throw new Http1Error("bad_switch", "the endpoint switched protocols unasked")
    }
    this.#state = body === "tunnel" ? "tunnel" : "body"
    if (body === "chunked") this.#body.startChunked(response.listed)
    else if (body === "until_close") this.#body.startUntilClose()
    else {
      this.#body.startLength(
        body === "length" && head.framing.kind === "length" ? head.framing.length : 0
      )
    }
    this.#handler.onHead(response)
    if (this.state === "body" && this.#body.done) {
      this.#surplus = end < chunk.length
      this.#end(noFields)
    }
    return end
  }

  /**
   * Whether there is a surplus is known before onEnd, in which a pool may want to send the next
   * request: the surplus would pass for its response.
   */
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

const responseTooLong: TooLong = (_, { headBytes }) => headTooLong(headBytes)
