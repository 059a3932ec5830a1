/**
 * A libp2p stream as a byte channel. What a stream does by itself is not enough: `onDrain()`
 * resolves only once per stream, iteration has no back-pressure, and a stream of which only one
 * side is closed is never freed. So: the `drain` and `message` events, and whoever is told that
 * the other side has finished finishes too.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from "@libp2p/interface"
import type { ByteChannel, ByteChannelEvents } from "../../model/ByteChannel.ts"

/** How long a close may wait for unsent bytes, ms. */
const closeTimeout = 5_000

export class Libp2pChannel implements ByteChannel {
  readonly #stream: Stream
  #events: ByteChannelEvents | undefined = undefined
  #full = false
  #closed = false

  constructor(stream: Stream) {
    this.#stream = stream
  }

  get events(): ByteChannelEvents | undefined {
    return this.#events
  }

  /** Until they are set the stream keeps what comes: it has no listener. */
  set events(events: ByteChannelEvents | undefined) {
    const first = this.#events === undefined
    this.#events = events
    if (!first || this.#closed) return
    const stream = this.#stream
    stream.addEventListener("message", this.#onMessage)
    stream.addEventListener("drain", this.#onDrain)
    stream.addEventListener("remoteCloseWrite", this.#onRemoteCloseWrite)
    stream.addEventListener("close", this.#onClose)
    if (stream.status !== "open") {
      queueMicrotask(() => this.#shut(new Error(`the stream was already ${stream.status}`)))
    } else if (stream.remoteWriteStatus === "closed") {
      queueMicrotask(() => this.close())
    }
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed) return true
    try {
      this.#full = !this.#stream.send(bytes)
    } catch (error) {
      // The stream was closed under us, or its buffer is over its limit; `close` says which.
      this.abort(error instanceof Error ? error : new Error(String(error)))
      return true
    }
    return !this.#full
  }

  pause(): void {
    if (!this.#closed) this.#stream.pause()
  }

  resume(): void {
    if (this.#closed || this.#stream.readStatus !== "paused") return
    this.#stream.resume()
  }

  close(): void {
    if (this.#closed) return
    this.#stream.close({ signal: AbortSignal.timeout(closeTimeout) }).catch((error: unknown) => {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    })
  }

  abort(cause: Error): void {
    if (this.#closed) return
    this.#stream.abort(cause) // emits `close` at once
    this.#shut(cause)
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    const { data } = event
    // A list of several chunks is copied into one; with one chunk this is free.
    this.#events?.onData(data instanceof Uint8Array ? data : data.subarray())
  }

  readonly #onDrain = (): void => {
    if (!this.#full || this.#closed) return
    this.#full = false
    this.#events?.onDrain()
  }

  readonly #onRemoteCloseWrite = (): void => {
    this.close()
  }

  readonly #onClose = (event: StreamCloseEvent): void => {
    this.#shut(event.error)
  }

  #shut(cause: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#stream.removeEventListener("message", this.#onMessage)
    this.#stream.removeEventListener("drain", this.#onDrain)
    this.#stream.removeEventListener("remoteCloseWrite", this.#onRemoteCloseWrite)
    this.#stream.removeEventListener("close", this.#onClose)
    const events = this.#events
    this.#events = undefined
    events?.onClose(cause)
  }
}
