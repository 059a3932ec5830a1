/**
 * A byte channel beside the libp2p stream of an admitted connection: what is written becomes one
 * record, what comes is handed on as it was opened. Lanes carry links, which have flow control of
 * their own; so a lane has none but the connection's.
 */
import type { ByteChannel, ByteChannelEvents } from "../../model/ByteChannel.ts"

/** The connection, as its lanes see it. */
export interface LaneCarrier {
  /** False: the connection is full; `drained` follows. */
  sendOn(lane: Lane, kind: LaneKind, bytes: Uint8Array): boolean
  /** The lane wants to hear nothing for now, or again. */
  hold(lane: Lane, held: boolean): void
  /** It is over. */
  forget(lane: Lane): void
}

/** Kinds of records that belong to a lane. */
export const laneKinds = { open: 1, data: 2, close: 3, reset: 4 } as const
export type LaneKind = (typeof laneKinds)[keyof typeof laneKinds]

const nothing = new Uint8Array(0)

export class Lane implements ByteChannel {
  readonly id: number
  /** What is written is sealed at once. */
  readonly copies = true
  readonly #carrier: LaneCarrier
  #events: ByteChannelEvents | undefined = undefined
  #full = false
  /** We said that nothing more comes. */
  #closing = false
  #closed = false
  #cause: Error | undefined = undefined

  constructor(id: number, carrier: LaneCarrier) {
    this.id = id
    this.#carrier = carrier
  }

  get events(): ByteChannelEvents | undefined {
    return this.#events
  }

  set events(events: ByteChannelEvents | undefined) {
    this.#events = events
    if (this.#closed) queueMicrotask(() => this.#tell())
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#closing) return true
    this.#full = !this.#carrier.sendOn(this, laneKinds.data, bytes)
    return !this.#full
  }

  pause(): void {
    if (!this.#closed) this.#carrier.hold(this, true)
  }

  resume(): void {
    if (!this.#closed) this.#carrier.hold(this, false)
  }

  close(): void {
    if (this.#closed || this.#closing) return
    this.#closing = true
    this.#carrier.sendOn(this, laneKinds.close, nothing)
  }

  abort(cause: Error): void {
    if (this.#closed) return
    this.#carrier.sendOn(this, laneKinds.reset, nothing)
    this.shut(cause)
  }

  // The connection's calls

  received(bytes: Uint8Array): void {
    this.#events?.onData(bytes)
  }

  drained(): void {
    if (!this.#full || this.#closed) return
    this.#full = false
    this.#events?.onDrain()
  }

  /** The peer sends nothing more. Who is told that the other side has finished finishes too. */
  peerClosed(): void {
    this.close()
    this.shut(undefined)
  }

  shut(cause: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#cause = cause
    this.#carrier.forget(this)
    this.#tell()
  }

  #tell(): void {
    const events = this.#events
    this.#events = undefined
    events?.onClose(this.#cause)
  }
}
