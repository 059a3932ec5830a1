/**
 * One stream: what has come of it and its reader has not taken (Inbox), what is to be sent of it and
 * the peer lets us, and how far its two halves are. When and how much goes out is Http2Output's to say.
 */
import { type Fields, noFields, type ResponseHead } from "../../model/Exchange.ts"
import { done } from "../../model/Loan.ts"
import { Inbox, type InboxOwner } from "../wire/Inbox.ts"
import type { GrowthBudget } from "../wire/ReceiveWindow.ts"
import type { Http2Limits } from "./Http2Limits.ts"

/** How a stream ended before its end. */
export interface StreamReset {
  /** What RST_STREAM or GOAWAY says. */
  readonly code: number
  /** In words. */
  readonly why: string
  /** It is certain that the peer has done nothing for it. */
  readonly unprocessed: boolean
}

export interface StreamOwner {
  /** Of a request of ours: a head, also an interim one. */
  onStreamHead?(head: ResponseHead): void
  /** False: hold further data until `resume`. */
  onStreamData(chunk: Uint8Array): boolean
  /** The peer's half has ended. */
  onStreamEnd(trailers: Fields): void
  /** It is over; nothing more is called. */
  onStreamReset(reset: StreamReset): void
  /** Room again after `write` returned false. */
  onStreamRoom(): void
}

/** The connection, as its streams see it. */
export interface StreamHost {
  readonly limits: Http2Limits
  readonly growth: GrowthBudget
  readonly output: {
    mark(stream: Http2Stream): void
    put(stream: Http2Stream, chunk: Uint8Array): boolean
  }
  reset(stream: Http2Stream, code: number): void
  passed(stream: Http2Stream, bytes: number, grant: number): void
}

/** Fields that begin one half: pseudo-fields, the message's own, and what is said on this hop. */
export interface SentHead {
  readonly pseudo: Fields
  readonly fields: Fields
  readonly more: Fields
}

export class Http2Stream implements InboxOwner {
  readonly id: number
  /** The peer knows of it. */
  opened: boolean
  owner: StreamOwner | undefined
  readonly #session: StreamHost
  #inbox: Inbox | undefined = undefined
  /** To be sent; undefined: it is. */
  head: SentHead | undefined = undefined
  /** Heads that another one follows (1xx), to be sent. */
  interim: Array<Fields> | undefined = undefined
  #chunks: Array<Uint8Array> = []
  /** Index of the first unsent chunk, and how much of it is sent. */
  #first = 0
  #offset = 0
  /** Bytes waiting. */
  pending = 0
  /** What the peer lets us send; a change of its settings can make it less than nothing. */
  window: number
  /** Its owner has nothing more to send. */
  ending = false
  trailers: Fields = noFields
  /** Our end is sent. */
  localEnded = false
  /** The peer's end has come. */
  remoteEnded = false
  /** Its owner knows of that end. */
  delivered = false
  /** Something was answered: who gives up now has had it. */
  answered = false
  /** In the output's queues: of those with data, of those with a head or an end. */
  queued = false
  marked = false
  /** Its owner was told to stop writing. */
  full = false
  /** Bytes of the body still to come, as its head has announced; undefined: nobody knows. */
  expected: number | undefined = undefined
  /** Of a request of ours: decides what its response has. */
  method = ""
  headSeen = false
  /** Its halves end on their own: a CONNECT's (RFC 9113 §8.5). */
  tunnel = false
  /** It is no longer one of the session's. */
  closed = false

  constructor(session: StreamHost, id: number, window: number, owner: StreamOwner | undefined) {
    this.#session = session
    this.id = id
    this.opened = owner === undefined
    this.window = window
    this.owner = owner
  }

  // ── Out ─────────────────────────────────────────────────────────────────────────────────────

  get sendable(): boolean {
    return this.pending > 0 && this.window > 0 && this.head === undefined
  }

  /** Once, before anything else is sent. It leaves with what follows in this turn. */
  begin(head: SentHead): void {
    if (this.closed) return
    this.head = head
    this.#session.output.mark(this)
  }

  /** A 1xx: `:status` and its fields. */
  inform(fields: Fields): void {
    if (this.closed) return
    this.interim ??= []
    this.interim.push(fields)
    this.#session.output.mark(this)
  }

  /** False: enough for now, `onStreamRoom` follows. */
  write(chunk: Uint8Array): boolean {
    if (this.closed || this.ending) return true
    return this.#session.output.put(this, chunk)
  }

  end(trailers: Fields): void {
    if (this.closed || this.ending) return
    this.ending = true
    this.trailers = trailers
    if (this.pending === 0) this.#session.output.mark(this)
  }

  /** It is given up, in both directions. */
  reset(code: number): void {
    this.#session.reset(this, code)
  }

  put(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.pending += chunk.length
  }

  /** The next piece to send, of at most so many bytes; there is one while `pending` is above 0. */
  take(most: number): Uint8Array {
    const chunk = this.#chunks[this.#first]!
    const from = this.#offset
    const to = Math.min(chunk.length, from + most)
    this.pending -= to - from
    if (to < chunk.length) this.#offset = to
    else {
      this.#offset = 0
      this.#first++
      if (this.pending === 0) {
        this.#chunks = []
        this.#first = 0
      } else if (this.#first > 32) {
        this.#chunks = this.#chunks.slice(this.#first)
        this.#first = 0
      }
    }
    return from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to)
  }

  /** Forgets what is to be sent; returns how much that was. */
  drop(): number {
    const dropped = this.pending
    for (let i = this.#first; i < this.#chunks.length; i++) done(this.#chunks[i]!)
    this.#chunks = []
    this.#first = 0
    this.#offset = 0
    this.pending = 0
    this.head = undefined
    this.interim = undefined
    this.full = false
    return dropped
  }

  // ── In ──────────────────────────────────────────────────────────────────────────────────────

  /** False: the peer has sent more than it was allowed. */
  receive(chunk: Uint8Array): boolean {
    const { limits, growth } = this.#session
    this.#inbox ??= new Inbox(limits.window, growth, this)
    return this.#inbox.receive(chunk)
  }

  receiveEnd(trailers: Fields): void {
    if (this.#inbox === undefined) this.deliverEnd(trailers)
    else this.#inbox.end(trailers)
  }

  resume(): void {
    this.#inbox?.resume()
  }

  /** Nothing of it is delivered any more; returns the bytes that were held. */
  free(): number {
    this.closed = true
    this.owner = undefined
    return this.#inbox?.free() ?? 0
  }

  deliver(chunk: Uint8Array): boolean {
    return this.owner?.onStreamData(chunk) ?? true
  }

  deliverEnd(trailers: Fields): void {
    this.delivered = true
    this.owner?.onStreamEnd(trailers)
  }

  deliverBreak(): void {}

  passed(bytes: number, grant: number): void {
    this.#session.passed(this, bytes, grant)
  }
}
