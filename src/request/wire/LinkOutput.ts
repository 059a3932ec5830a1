/**
 * What goes out on a link, and in which order. Everything of one turn of the event loop goes in
 * one write: frames without bulk (opens, heads, ends, resets, credit, pings) first and in order,
 * then data, one turn per exchange, round robin, up to a batch. Where there is more data, more
 * batches follow at once, up to a round. While the channel is full everything waits here, within
 * limits.
 */

import type { ByteChannel } from "../../model/ByteChannel.ts"
import type { Fields } from "../../model/Exchange.ts"
import { FrameType, ProtocolError } from "./Frame.ts"
import { encodeTrailers } from "./FramePayload.ts"
import { FrameWriter } from "./FrameWriter.ts"
import type { LinkLimits } from "./LinkOptions.ts"
import type { Outbox } from "./Outbox.ts"

/** A peer may not promise more than this in total: sums stay exact. */
const mostCredit = 2 ** 31

const noOutboxes: Array<Outbox> = []

export interface LinkOutputOptions {
  readonly channel: ByteChannel
  readonly limits: LinkLimits
  readonly defer: (task: () => void) => void
  /** The owner of an outbox threw when it was told that there is room. */
  readonly onFailed: (exchange: number, error: unknown) => void
  /** The channel takes more again. */
  readonly onRelieved: () => void
  /** What was gathered could not be sent, because of a bug. */
  readonly onDefect: (error: unknown) => void
}

export class LinkOutput {
  /** Number of the write that is being gathered: what was put into an earlier one may have left. */
  batch = 0
  bytes = 0
  readonly #options: LinkOutputOptions
  readonly #writer: FrameWriter
  #scheduled = false
  #full = false
  #stopped = false
  #closing = false
  /** What the peer lets us send on the whole link. */
  #credit: number
  /** Bytes in all outboxes. */
  #pending = 0
  /** Outboxes with something to send and the credit for it. */
  #ready: Array<Outbox> = []
  /** Outboxes that have room again, and whose owners are told at the end of this flush. */
  #relieved: Array<Outbox> = noOutboxes
  #pong: number | undefined = undefined

  constructor(options: LinkOutputOptions) {
    this.#options = options
    this.#writer = new FrameWriter(options.channel.writeParts !== undefined)
    this.#credit = options.limits.linkWindow
  }

  /** The peer does not read: nothing new should be begun. */
  get congested(): boolean {
    return this.#full && this.#writer.length > this.#options.limits.backlog
  }

  text(type: FrameType, exchange: number, before: Uint8Array | undefined, text: string): void {
    if (this.#stopped) return
    this.#writer.text(type, exchange, before, text)
    this.#schedule()
  }

  frame(type: FrameType, exchange: number, payload: Uint8Array): void {
    if (this.#stopped) return
    this.#writer.bytes(type, exchange, payload)
    this.#schedule()
  }

  number(type: FrameType, exchange: number, value: number): void {
    if (this.#stopped) return
    this.#writer.number(type, exchange, value)
    this.#schedule()
  }

  /** False: the trailers do not fit a frame, and nothing was sent. */
  end(exchange: number, trailers: Fields): boolean {
    if (trailers.length === 0 && !this.#stopped && this.#writer.end(exchange)) return true
    const payload = encodeTrailers(trailers)
    if (payload === undefined) return false
    this.frame(FrameType.end, exchange, payload)
    return true
  }

  /** However often the peer asks in one turn, it is answered once. */
  pong(id: number): void {
    this.#pong = id
    this.#schedule()
  }

  /** Takes a chunk for sending. False: enough for now, `onRoom` follows. */
  put(outbox: Outbox, chunk: Uint8Array): boolean {
    if (this.#stopped || chunk.length === 0) return true
    outbox.put(chunk)
    this.#pending += chunk.length
    this.#enqueue(outbox)
    outbox.full ||= outbox.pending >= this.#outboxLimit()
    return !outbox.full
  }

  /** Forgets what an outbox has to send. */
  drop(outbox: Outbox): void {
    this.#pending -= outbox.drop()
  }

  /** The peer lets an exchange send more. */
  grant(outbox: Outbox, bytes: number): void {
    outbox.credit += bytes
    if (outbox.credit > mostCredit) throw new ProtocolError("credit beyond all bounds")
    this.#enqueue(outbox)
  }

  /** The peer lets the link send more. */
  grantLink(bytes: number): void {
    this.#credit += bytes
    if (this.#credit > mostCredit) throw new ProtocolError("credit beyond all bounds")
    if (this.#ready.length > 0) this.#schedule()
  }

  /** Sends what is gathered and closes the channel. */
  close(): void {
    if (this.#closing) return
    this.#closing = true
    this.#schedule()
  }

  onDrain(): void {
    this.#full = false
    this.#flush()
  }

  /** The channel is gone. */
  stop(): void {
    this.#stopped = true
    this.#ready = []
  }

  #outboxLimit(): number {
    const { outbox, outboxes } = this.#options.limits
    return this.#pending < outboxes ? outbox : outbox / 8
  }

  #enqueue(outbox: Outbox): void {
    if (outbox.queued || !outbox.sendable) return
    outbox.queued = true
    this.#ready.push(outbox)
    if (this.#credit > 0) this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#full || this.#stopped) return
    this.#scheduled = true
    this.#options.defer(this.#flushNow)
  }

  readonly #flushNow = (): void => {
    try {
      this.#flush()
    } catch (error) {
      this.#options.onDefect(error)
    }
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#stopped || this.#full) return
    const { channel } = this.#options
    if (this.#pong !== undefined) {
      this.#writer.number(FrameType.pong, 0, this.#pong)
      this.#pong = undefined
    }
    const { round } = this.#options.limits
    let data = this.#gatherData()
    this.#write()
    while (data < round && this.#ready.length > 0 && this.#credit > 0 && !this.#full) {
      data += this.#gatherData()
      this.#write()
    }
    const relieved = this.#relieved
    this.#relieved = noOutboxes
    if (this.#closing) {
      this.#stopped = true // nothing may be written after this
      channel.close()
      return
    }
    if (!this.#full) this.#options.onRelieved()
    if (this.#ready.length > 0 && this.#credit > 0) this.#schedule()
    for (const outbox of relieved) {
      if (!outbox.full) continue // dropped by one of those before
      try {
        outbox.roomAgain()
      } catch (error) {
        this.#options.onFailed(outbox.exchange, error)
      }
    }
  }

  #write(): void {
    if (this.#writer.length === 0) return
    const { channel } = this.#options
    this.batch++
    this.bytes += this.#writer.length
    const room =
      this.#writer.isParted && channel.writeParts !== undefined
        ? channel.writeParts(this.#writer.takeParts())
        : channel.write(this.#writer.take())
    this.#full = !room
    if (channel.copies === true) this.#writer.giveBack()
  }

  /** Puts data of as many outboxes as have their turn into the batch; returns how much. */
  #gatherData(): number {
    const { batch } = this.#options.limits
    let room = batch
    if (this.#ready.length > 0) this.#writer.reserveData(Math.min(room, this.#pending))
    while (room > 0 && this.#credit > 0) {
      const outbox = this.#ready.shift()
      if (outbox === undefined) break
      outbox.queued = false
      if (!outbox.sendable) continue
      // Turns are for when somebody else waits; one large frame costs less than four small ones.
      const waiting = this.#ready.length
      const share = waiting === 0 ? room : turnOf(waiting + 1, this.#options.limits)
      const length = Math.min(share, room, this.#credit, outbox.pending, outbox.credit)
      outbox.send(this.#writer, length)
      this.#pending -= length
      this.#credit -= length
      room -= length
      this.#enqueue(outbox)
      if (outbox.full && outbox.pending <= this.#outboxLimit() / 2) {
        if (this.#relieved === noOutboxes) this.#relieved = []
        if (!this.#relieved.includes(outbox)) this.#relieved.push(outbox)
      }
    }
    return batch - room
  }
}

/** Turns of one size fill a batch, so that none is cut short, and all have theirs in one round. */
const turnOf = (exchanges: number, { batch, round, turn }: LinkLimits): number =>
  Math.max(turn, Math.floor(batch / Math.ceil((exchanges * batch) / round)))
