/**
 * Messages of the mesh's questions and answers on a byte channel: u32 length and that much CBOR.
 * All messages of one tick go out in one write.
 */
import { decode, encode } from "cborg"
import type { ByteChannel } from "../../model/ByteChannel.ts"

/** Longest message, in bytes: sixteen records at their limit. */
export const rpcMessageLimit = 1024 * 1024

/** The peer broke the rules of the wire: what it sent cannot be made sense of. Ends the channel. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError"
}

const headerLength = 4

const readMessage = (body: Uint8Array): unknown => {
  try {
    return decode(body)
  } catch (cause) {
    throw new ProtocolError(`not CBOR: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

export interface RpcFramesEvents {
  /** May throw, which breaks the channel. */
  onMessage(message: unknown): void
  onClose(cause: Error | undefined): void
}

export class RpcFrames {
  readonly #channel: ByteChannel
  readonly #events: RpcFramesEvents
  #out: Array<Uint8Array> = []
  #scheduled = false
  #full = false
  #closed = false
  #waiters: Array<() => void> = []
  /** A message of which only a part is here: the header, then header and body. */
  #partial: Buffer = Buffer.alloc(0)

  constructor(channel: ByteChannel, events: RpcFramesEvents) {
    this.#channel = channel
    this.#events = events
    channel.events = {
      onData: (bytes) => this.#onData(bytes),
      onDrain: () => this.#onDrain(),
      onClose: (cause) => this.#onClose(cause)
    }
  }

  /** The peer does not read fast enough: what is sent now only waits. */
  get full(): boolean {
    return this.#full
  }

  get closed(): boolean {
    return this.#closed
  }

  /** False: the message is over the limit and was not sent. */
  send(message: unknown): boolean {
    if (this.#closed) return true
    const body = encode(message)
    if (body.length > rpcMessageLimit) return false
    const header = Buffer.allocUnsafe(headerLength)
    header.writeUInt32BE(body.length)
    this.#out.push(header, body)
    if (!this.#scheduled) {
      this.#scheduled = true
      queueMicrotask(() => this.#flush())
    }
    return true
  }

  /** Calls back once more can be sent, or never can. */
  whenReady(callback: () => void): void {
    if (this.#full && !this.#closed) this.#waiters.push(callback)
    else callback()
  }

  close(): void {
    if (this.#closed) return
    this.#flush()
    this.#channel.close()
  }

  abort(cause: Error): void {
    if (!this.#closed) this.#channel.abort(cause)
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#closed || this.#out.length === 0) return
    const bytes = Buffer.concat(this.#out)
    this.#out = []
    this.#full = !this.#channel.write(bytes)
    // Whoever does not read our answers is not asked for more questions.
    if (this.#full) this.#channel.pause()
  }

  #onDrain(): void {
    this.#full = false
    this.#channel.resume()
    this.#wake()
  }

  #onClose(cause: Error | undefined): void {
    this.#closed = true
    this.#out = []
    this.#partial = Buffer.alloc(0)
    this.#events.onClose(cause)
    this.#wake()
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }

  #onData(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const data = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk])
    try {
      this.#partial = data.subarray(this.#readMessages(data))
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** Returns how much was used up. */
  #readMessages(data: Buffer): number {
    let offset = 0
    while (!this.#closed && data.length - offset >= headerLength) {
      const length = data.readUInt32BE(offset)
      if (length > rpcMessageLimit) {
        throw new ProtocolError(`message of ${length} bytes; at most ${rpcMessageLimit} allowed`)
      }
      const end = offset + headerLength + length
      if (end > data.length) break
      const body = data.subarray(offset + headerLength, end)
      offset = end
      this.#events.onMessage(readMessage(body))
    }
    return offset
  }
}
