/**
 * A TCP connection between nodes. For libp2p it is a connection like any other, and as long as the
 * handshake lasts it is used as one. Then it can be taken over: what the socket brings goes
 * straight to who opens records, and records straight to the socket.
 */
import type { Socket } from "node:net"
import { type AbortOptions, type MultiaddrConnection, TimeoutError } from "@libp2p/interface"
import { AbstractMultiaddrConnection, type AbstractMultiaddrConnectionInit } from "@libp2p/utils"
import { writeOut } from "../../model/Loan.ts"
import type { SocketReads } from "../../request/socket/SocketReads.ts"
import type { RawEvents, RawStream } from "../trust/RawStream.ts"

type Sent = ReturnType<AbstractMultiaddrConnection["sendData"]>
type Outgoing = Parameters<AbstractMultiaddrConnection["sendData"]>[0]

/** Links ping twice a second; a connection on which nothing moves for so long is nobody's, ms. */
const inactivityTimeout = 2 * 60_000

export interface SocketConnectionOptions
  extends Pick<AbstractMultiaddrConnectionInit, "direction" | "log" | "remoteAddr"> {
  readonly socket: Socket
  readonly reads: SocketReads
}

export class SocketConnection
  extends AbstractMultiaddrConnection
  implements MultiaddrConnection, RawStream
{
  readonly #socket: Socket
  #raw: RawEvents | undefined = undefined

  constructor({ socket, reads, ...init }: SocketConnectionOptions) {
    super(init)
    this.#socket = socket
    socket.setTimeout(inactivityTimeout)
    reads.onBytes = (bytes) => this.#onBytes(bytes)
    socket.on("drain", () => this.#onRoom())
    socket.on("error", (error) => this.abort(error))
    socket.once("timeout", () => this.abort(new TimeoutError()))
    // Halves of it do not end on their own: the socket answers a FIN with its own.
    socket.once("end", () => this.onTransportClosed())
    socket.once("close", (failed) => {
      if (failed) this.abort(new Error("the connection broke"))
      else this.onTransportClosed()
    })
  }

  // RawStream

  takeOver(events: RawEvents): void {
    this.#raw = events
    if (this.writeBuffer.byteLength > 0) {
      this.#socket.write(this.writeBuffer.subarray())
      this.writeBuffer.consume(this.writeBuffer.byteLength)
    }
    if (this.readBuffer.byteLength === 0) return
    // It came before anybody took it. Whoever takes over is still being made.
    const early = this.readBuffer.slice()
    this.readBuffer.consume(early.length)
    queueMicrotask(() => {
      if (this.status === "open") events.onBytes(early)
    })
  }

  writeRaw(bytes: Uint8Array): boolean {
    if (this.status !== "open") return true // `close` tells
    return writeOut(this.#socket, bytes)
  }

  #onBytes(bytes: Buffer): void {
    if (this.#raw === undefined) this.onData(Buffer.from(bytes))
    else if (this.status === "open") this.#raw.onBytes(bytes)
  }

  #onRoom(): void {
    if (this.#raw === undefined || this.writableNeedsDrain) this.safeDispatchEvent("drain")
    this.#raw?.onRoom()
  }

  // What libp2p's streams ask of who makes one

  sendData(data: Outgoing): Sent {
    let canSendMore = true
    for (const bytes of data) canSendMore = this.#socket.write(bytes)
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
    this.#socket.resume()
  }
}
