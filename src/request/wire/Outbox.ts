/**
 * What one exchange has still to send: chunks in order, then how it ends. It knows its credit; when
 * and how much of it goes out is the link's decision.
 */
import type { Fields } from "../../model/Exchange.ts"
import type { FrameWriter } from "./FrameWriter.ts"

export interface OutboxOwner {
  /** Room again after `put` returned false. */
  onRoom(): void
  /** All data is in frames; the end (with these trailers) is to follow. */
  onDrained(trailers: Fields): void
  /** What broke it off is to follow now: all data before it is in frames, or will not be sent. */
  onBroken(): void
}

export class Outbox {
  readonly exchange: number
  readonly #owner: OutboxOwner
  #chunks: Array<Uint8Array> = []
  /** Index of the first unsent chunk, and how much of it is sent. */
  #first = 0
  #offset = 0
  #trailers: Fields | undefined = undefined
  /** There will be no end; what is here still goes out, `credit`: as far as the credit goes. */
  #broken: "no" | "all" | "credit" = "no"
  /** Bytes waiting. */
  pending = 0
  /** Bytes the peer lets us send on this exchange. */
  credit: number
  /** In the link's queue of outboxes with something to send. */
  queued = false
  /** Its owner was told to stop writing. */
  full = false

  constructor(exchange: number, credit: number, owner: OutboxOwner) {
    this.exchange = exchange
    this.credit = credit
    this.#owner = owner
  }

  get sendable(): boolean {
    return this.pending > 0 && this.credit > 0
  }

  put(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.pending += chunk.length
  }

  end(trailers: Fields): void {
    this.#trailers = trailers
    if (this.pending === 0) this.#owner.onDrained(trailers)
  }

  /**
   * In place of an end. `credit`: the peer has not taken what came before, and nobody who would give
   * up is left to wait until it does.
   */
  break(upTo: "all" | "credit"): void {
    this.#broken = upTo
    this.#breakIfSent()
  }

  /** Moves `length` bytes, no more than pending and credit, into one frame. */
  send(writer: FrameWriter, length: number): void {
    writer.beginData(this.exchange, length)
    this.pending -= length
    this.credit -= length
    for (let missing = length; missing > 0; ) {
      const chunk = this.#chunks[this.#first]!
      const from = this.#offset
      const to = Math.min(chunk.length, from + missing)
      missing -= to - from
      if (to < chunk.length) this.#offset = to
      else {
        this.#first++
        this.#offset = 0
      }
      const part = from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to)
      writer.append(part)
    }
    if (this.pending === 0) {
      this.#chunks = []
      this.#first = 0
      if (this.#trailers !== undefined) this.#owner.onDrained(this.#trailers)
    } else if (this.#first > 32) {
      this.#chunks = this.#chunks.slice(this.#first)
      this.#first = 0
    }
    if (this.#broken !== "no") this.#breakIfSent()
  }

  roomAgain(): void {
    this.full = false
    if (this.#trailers === undefined && this.#broken === "no") this.#owner.onRoom()
  }

  #breakIfSent(): void {
    if (this.pending === 0 || (this.#broken === "credit" && this.credit === 0)) {
      this.#owner.onBroken()
    }
  }

  /** Forgets everything. Returns how much was waiting. */
  drop(): number {
    const dropped = this.pending
    this.#chunks = []
    this.pending = 0
    this.#first = 0
    this.#offset = 0
    this.#trailers = undefined
    this.full = false
    return dropped
  }
}
