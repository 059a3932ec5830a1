/**
 * What is said on a connection that was resumed (Resumption.ts): sealed records (model/RecordCipher.ts) under keys of
 * that handshake alone. For libp2p it is a stream like that of Noise.
 */
import type { AbortOptions, MessageStream } from "@libp2p/interface"
import { AbstractMessageStream } from "@libp2p/utils"
import { RecordOpener, RecordSealer } from "../../model/RecordCipher.ts"

type Sent = ReturnType<AbstractMessageStream["sendData"]>
type Outgoing = Parameters<AbstractMessageStream["sendData"]>[0]

/** Of one direction each. */
export interface StreamSecrets {
  readonly send: Buffer
  readonly receive: Buffer
}

/** What a record is: the dialler's first one, or data. */
const [data, hello] = [0, 1]
const lane = 0
/** Plain bytes in a record, at most. */
const longest = 64 * 1024
const nothing = Buffer.alloc(0)

export class ResumedStream extends AbstractMessageStream {
  readonly #stream: MessageStream
  readonly #sealer: RecordSealer
  readonly #opener: RecordOpener
  readonly #greeted = Promise.withResolvers<void>()

  constructor(stream: MessageStream, { receive, send }: StreamSecrets) {
    const { direction, inactivityTimeout, log, maxReadBufferLength } = stream
    super({ direction, inactivityTimeout, log, maxReadBufferLength })
    this.#stream = stream
    this.#sealer = new RecordSealer(send)
    this.#opener = new RecordOpener(receive, (kind, _lane, plain) => {
      if (kind === hello) this.#greeted.resolve()
      else this.onData(plain)
    })
    // Who waits for it hears of the end by its signal, or by this.
    this.#greeted.promise.catch(() => undefined)
    stream.addEventListener("message", ({ data: bytes }) => {
      try {
        if (bytes instanceof Uint8Array) this.#opener.push(bytes)
        else for (const part of bytes) this.#opener.push(part)
      } catch (cause) {
        this.abort(cause instanceof Error ? cause : new Error(String(cause)))
      }
    })
    stream.addEventListener("close", (event) => {
      this.#greeted.reject(event.error ?? new Error("the peer is gone again"))
      if (event.error === undefined) this.onTransportClosed()
      else if (event.local === true) this.abort(event.error)
      else this.onRemoteReset()
    })
    stream.addEventListener("drain", () => this.safeDispatchEvent("drain"))
    stream.addEventListener("remoteCloseWrite", () => this.onRemoteCloseWrite())
  }

  /** The dialler's first word: it has the keys. */
  greet(): void {
    this.#stream.send(this.#sealer.seal(hello, lane, nothing))
  }

  /** Done when the dialler has said that; rejects when the connection ends before, or with the signal's reason. */
  async greeted(signal: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<never>()
    const onAbort = () => ended.reject(signal.reason)
    signal.addEventListener("abort", onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      await Promise.race([this.#greeted.promise, ended.promise])
    } finally {
      signal.removeEventListener("abort", onAbort)
    }
  }

  // What libp2p's streams ask of who makes one

  sendData(outgoing: Outgoing): Sent {
    const bytes = outgoing.subarray()
    let canSendMore = true
    for (let at = 0; at < bytes.length; at += longest) {
      const record = this.#sealer.seal(data, lane, bytes.subarray(at, at + longest))
      canSendMore = this.#stream.send(record)
    }
    return { sentBytes: bytes.length, canSendMore }
  }

  override async close(options?: AbortOptions): Promise<void> {
    await this.#stream.close(options)
  }

  sendReset(error: Error): void {
    this.#stream.abort(error)
  }

  sendPause(): void {
    this.#stream.pause()
  }

  sendResume(): void {
    this.#stream.resume()
  }
}
