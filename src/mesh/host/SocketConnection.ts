/** A TCP connection that this thread has dialled (or, without request threads, accepted), for libp2p. */
import type { Socket } from "node:net"
import { type AbortOptions, type MultiaddrConnection, TimeoutError } from "@libp2p/interface"
import { AbstractMultiaddrConnection, type AbstractMultiaddrConnectionInit } from "@libp2p/utils"

type Sent = ReturnType<AbstractMultiaddrConnection["sendData"]>
type Outgoing = Parameters<AbstractMultiaddrConnection["sendData"]>[0]

import { tellListenersOnly } from "./HeardEvents.ts"

/**
 * A connection on which nothing moves for so long is nobody's, ms. Peers that have nothing to say to
 * each other compare catalogues by chance, every 30 s with one of them; TCP's own keep-alive finds
 * those that are gone.
 */
const inactivityTimeout = 30 * 60_000

export interface SocketConnectionOptions
  extends Pick<AbstractMultiaddrConnectionInit, "direction" | "log" | "remoteAddr"> {
  readonly socket: Socket
}

export class SocketConnection extends AbstractMultiaddrConnection implements MultiaddrConnection {
  readonly #socket: Socket

  constructor({ socket, ...init }: SocketConnectionOptions) {
    super(init)
    tellListenersOnly(this)
    this.#socket = socket
    socket.setTimeout(inactivityTimeout)
    socket.on("data", (bytes) => this.onData(bytes))
    socket.on("drain", () => {
      if (this.writableNeedsDrain) this.safeDispatchEvent("drain")
    })
    socket.on("error", (error) => this.abort(error))
    socket.once("timeout", () => this.abort(new TimeoutError()))
    // Halves of it do not end on their own: the socket answers a FIN with its own.
    socket.once("end", () => this.onTransportClosed())
    socket.once("close", (failed) => {
      if (failed) this.abort(new Error("the connection broke"))
      else this.onTransportClosed()
    })
  }

  // What libp2p's streams ask of who makes one

  sendData(data: Outgoing): Sent {
    // At once: Noise's length and what it is of would be two packets, for each of which the peer's threads wake.
    const canSendMore = this.#socket.write(data.subarray())
    return { sentBytes: data.byteLength, canSendMore }
  }

  async sendClose({ signal }: AbortOptions = {}): Promise<void> {
    const socket = this.#socket
    if (socket.closed) return
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => reject(signal?.reason)
      signal?.addEventListener("abort", onAbort, { once: true })
      socket.once("close", () => {
        signal?.removeEventListener("abort", onAbort)
        resolve()
      })
      socket.destroySoon()
      if (signal?.aborted === true) onAbort()
    })
  }

  sendReset(): void {
    // A reset cannot follow a FIN that is on its way.
    if (this.#socket.writableEnded) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  sendPause(): void {
    this.#socket.pause()
  }

  sendResume(): void {
    // Whoever was just given what had waited may have had enough of it.
    if (this.readStatus !== "paused") this.#socket.resume()
  }
}
