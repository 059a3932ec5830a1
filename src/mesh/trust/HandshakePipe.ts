/**
 * Stands between a connection and Noise for as long as the handshake takes, so that the connection
 * can be had back afterwards: Noise never lets go of the stream it was given.
 */
import type {
  AbortOptions,
  MessageStream,
  StreamCloseEvent,
  StreamMessageEvent
} from "@libp2p/interface"
import { AbstractMessageStream } from "@libp2p/utils"

type Sent = ReturnType<AbstractMessageStream["sendData"]>
type Outgoing = Parameters<AbstractMessageStream["sendData"]>[0]

export class HandshakePipe extends AbstractMessageStream {
  readonly #under: MessageStream
  readonly #release: () => void

  constructor(under: MessageStream) {
    super({
      log: under.log,
      direction: under.direction,
      inactivityTimeout: under.inactivityTimeout,
      maxReadBufferLength: under.maxReadBufferLength
    })
    this.#under = under
    this.#release = listen(under, {
      message: ({ data }) => this.onData(data),
      drain: () => this.safeDispatchEvent("drain"),
      remoteCloseWrite: () => this.onRemoteCloseWrite(),
      close: ({ error, local }) => {
        if (error === undefined) this.onTransportClosed()
        else if (local === true) this.abort(error)
        else this.onRemoteReset()
      }
    })
  }

  /**
   * The handshake is over: the connection is somebody else's. Both sides are silent at this moment,
   * so nothing is on its way through here.
   */
  detach(): void {
    this.#release()
  }

  sendData(data: Outgoing): Sent {
    return { sentBytes: data.byteLength, canSendMore: this.#under.send(data) }
  }

  sendReset(error: Error): void {
    this.#under.abort(error)
  }

  sendPause(): void {
    this.#under.pause()
  }

  sendResume(): void {
    this.#under.resume()
  }

  close(options?: AbortOptions): Promise<void> {
    return this.#under.close(options)
  }
}

/** What happens to a stream, for who takes all that comes over it. */
export interface StreamListener {
  message(event: StreamMessageEvent): void
  drain(event: Event): void
  remoteCloseWrite(event: Event): void
  close(event: StreamCloseEvent): void
}

/** Listens to a stream. Returns how to stop. */
export const listen = (stream: MessageStream, events: Partial<StreamListener>): (() => void) => {
  const { message, drain, remoteCloseWrite, close } = events
  if (message !== undefined) stream.addEventListener("message", message)
  if (drain !== undefined) stream.addEventListener("drain", drain)
  if (remoteCloseWrite !== undefined) stream.addEventListener("remoteCloseWrite", remoteCloseWrite)
  if (close !== undefined) stream.addEventListener("close", close)
  return () => {
    stream.removeEventListener("message", message ?? null)
    stream.removeEventListener("drain", drain ?? null)
    stream.removeEventListener("remoteCloseWrite", remoteCloseWrite ?? null)
    stream.removeEventListener("close", close ?? null)
  }
}
