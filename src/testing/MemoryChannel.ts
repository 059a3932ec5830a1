/**
 * Two byte channels joined in memory, for tests and the simulator. Whoever made the pair decides
 * when bytes move: `defer` is a microtask, an event of a simulated clock, or a test's own pump.
 */
import type { ByteChannel, ByteChannelEvents } from "../model/ByteChannel.ts"

export interface MemoryChannelOptions {
  /** Runs a delivery later, in the order in which deliveries were deferred. Default: a microtask. */
  readonly defer?: (task: () => void) => void
  /** Bytes under way in one direction at which `write` answers false. Default 1 MiB. */
  readonly capacity?: number
  /** Cuts what arrives into chunks of these sizes, in turn; for decoders. Default: as written. */
  readonly chunks?: () => number
}

export interface MemoryChannelPair {
  readonly left: ByteChannel
  readonly right: ByteChannel
  /** The cable is cut: both ends close with the cause, and what was under way is lost. */
  cut(cause: Error): void
  /** The cable is dead but nobody knows: bytes vanish, nothing closes. */
  blackhole(): void
  /** Bytes written and not yet delivered, both directions. */
  inFlight(): number
  /** Both ends are closed. */
  closed(): boolean
}

class MemoryEnd implements ByteChannel {
  events: ByteChannelEvents | undefined = undefined
  peer: MemoryEnd | undefined = undefined
  /** Written here and not yet taken by the peer. */
  queue: Array<Uint8Array> = []
  queued = 0
  readonly #options: Required<MemoryChannelOptions>
  #pumping = false
  #paused = false
  #full = false
  #closing = false
  #closed = false
  lost = false

  constructor(options: Required<MemoryChannelOptions>) {
    this.#options = options
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#closing || this.lost) return true
    this.queue.push(bytes)
    this.queued += bytes.length
    this.#pump()
    this.#full = this.queued >= this.#options.capacity
    return !this.#full
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.peer?.onPeerResumed()
  }

  close(): void {
    if (this.#closing) return
    this.#closing = true
    this.#pump()
  }

  abort(cause: Error): void {
    const peer = this.peer
    this.shut(cause)
    if (!this.lost) this.#options.defer(() => peer?.shut(new Error("the other end broke off")))
  }

  get closed(): boolean {
    return this.#closed
  }

  shut(cause: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.queue = []
    this.queued = 0
    this.events?.onClose(cause)
    this.events = undefined
  }

  onPeerResumed(): void {
    if (this.queued > 0 || this.#closing) this.#pump()
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    this.#options.defer(() => this.#deliver())
  }

  #deliver(): void {
    this.#pumping = false
    const peer = this.peer
    if (peer === undefined || this.#closed || this.lost) return
    while (this.queue.length > 0 && !peer.#paused && !peer.#closed && !this.lost) {
      const bytes = this.queue[0]!
      const size = Math.max(1, Math.min(bytes.length, this.#options.chunks()))
      if (size === bytes.length) this.queue.shift()
      else this.queue[0] = bytes.subarray(size)
      this.queued -= size
      peer.events?.onData(size === bytes.length ? bytes : bytes.subarray(0, size))
    }
    if (this.#full && this.queued < this.#options.capacity / 2) {
      this.#full = false
      this.events?.onDrain()
    }
    if (this.#closing && this.queue.length === 0) {
      peer.shut(undefined)
      this.shut(undefined)
    }
  }
}

export const makeMemoryChannels = (options: MemoryChannelOptions = {}): MemoryChannelPair => {
  const complete: Required<MemoryChannelOptions> = {
    defer: options.defer ?? queueMicrotask,
    capacity: options.capacity ?? 1024 * 1024,
    chunks: options.chunks ?? (() => Number.POSITIVE_INFINITY)
  }
  const left = new MemoryEnd(complete)
  const right = new MemoryEnd(complete)
  left.peer = right
  right.peer = left
  return {
    left,
    right,
    cut: (cause) => {
      left.shut(cause)
      right.shut(cause)
    },
    blackhole: () => {
      left.lost = true
      right.lost = true
    },
    inFlight: () => left.queued + right.queued,
    closed: () => left.closed && right.closed
  }
}
