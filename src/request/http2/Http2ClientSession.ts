/** The asking side of a connection: we open streams, each with a request. */
import type { Fields } from "../../model/Exchange.ts"
import { Http1Error } from "../http1/Http1Error.ts"
import { Http2Code, Http2Error } from "./Http2Error.ts"
import { preface, Setting } from "./Http2Frame.ts"
import { Http2Session } from "./Http2Session.ts"
import { Http2Stream, type SentHead, type StreamOwner, type StreamReset } from "./Http2Stream.ts"
import { responseOf } from "./ResponseHeadFields.ts"
import type { SessionOptions } from "./SessionOwner.ts"

/** Ids are never used twice on a connection; one that has used them up is replaced. */
const lastId = 2 ** 31 - 1

const unopened = {
  code: Http2Code.refused,
  why: "it takes no more streams",
  unprocessed: true
} as const

export class Http2ClientSession extends Http2Session {
  #next = 1
  /** The highest stream the peer knows of. */
  #opened = 0

  constructor(options: SessionOptions) {
    super(options, "program")
    const { messages } = options
    this.output.answer(preface)
    this.introduce([
      [Setting.push, 0],
      [Setting.headerList, messages.headBytes]
    ])
  }

  /** Streams that may be opened now. */
  get room(): number {
    if (this.isDone) return 0
    return Math.min(this.peerStreams, this.limits.streams) - this.streams.size
  }

  /** No stream can be opened any more. */
  get isDone(): boolean {
    return this.closed || this.goneAway || this.#next > lastId
  }

  /** Only while there is room. Its head leaves with what follows in this turn. */
  request(method: string, head: SentHead, owner: StreamOwner): Http2Stream {
    const stream = new Http2Stream(this, this.#next, this.peerWindow, owner)
    this.#next += 2
    stream.method = method
    this.streams.set(stream.id, stream)
    stream.begin(head)
    return stream
  }

  protected onUnknownBlock(id: number): void {
    if (this.isIdle(id)) {
      throw new Http2Error("h2_frame_place", `a response on stream ${id}, which was never opened`)
    }
    this.strayBlock(id)
  }

  protected onStreamBlock(stream: Http2Stream, isEnd: boolean): void {
    if (stream.headSeen) {
      this.onTrailers(stream, isEnd)
      return
    }
    const read = this.fields.read()
    try {
      if (read instanceof Http1Error) throw read
      const head = responseOf(read, stream.method, isEnd)
      if (head.status >= 200) {
        stream.headSeen = true
        stream.answered = true
        const isBare = stream.method === "HEAD" || head.status === 304
        if (head.framing.kind === "length" && !isBare) stream.expected = head.framing.length
        if (head.framing.kind === "none") stream.expected = 0
      }
      this.guarded(stream, () => stream.owner?.onStreamHead?.(head))
    } catch (error) {
      if (error instanceof Http1Error) this.malformed(stream, error.message)
      else throw error
      return
    }
    if (isEnd && !stream.closed) this.ended(stream, noTrailers)
  }

  protected onOpening(stream: Http2Stream): boolean {
    if (this.goneAway) {
      this.drop(stream, unopened)
      return false
    }
    stream.opened = true
    this.#opened = stream.id
    return true
  }

  protected onLocalEnd(stream: Http2Stream): void {
    if (stream.remoteEnded) this.finish(stream)
  }

  /** What comes behind a whole response says that the rest of the request is not wanted. */
  protected override onPeerReset(stream: Http2Stream, reset: StreamReset): void {
    if (stream.remoteEnded) this.finish(stream)
    else this.drop(stream, reset)
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.#opened
  }

  protected malformed(stream: Http2Stream, why: string): void {
    const { owner } = stream
    this.abandon(stream, Http2Code.protocol)
    owner?.onStreamReset({ code: Http2Code.protocol, why, unprocessed: false })
  }

  protected override onPeerSettings(): void {
    this.options.owner.onSettings?.()
    this.options.owner.onRoom?.()
  }

  protected override onPeerGoaway(last: number): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.id > last) this.drop(stream, unopened)
    }
  }
}

const noTrailers: Fields = []
