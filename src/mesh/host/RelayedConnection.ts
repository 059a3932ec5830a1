/**
 * A connection whose socket belongs to a request thread: bytes come and go by message (Relay.ts).
 * For libp2p it is a connection like any other.
 */
import type { AbortOptions, MultiaddrConnection } from "@libp2p/interface"
import { AbstractMultiaddrConnection, type AbstractMultiaddrConnectionInit } from "@libp2p/utils"
import {
  type Away,
  type RelayDown,
  type RelayUp,
  relayTold,
  relayWindow
} from "../../model/Relay.ts"
import { tellListenersOnly } from "./HeardEvents.ts"

type Sent = ReturnType<AbstractMultiaddrConnection["sendData"]>
type Outgoing = Parameters<AbstractMultiaddrConnection["sendData"]>[0]

export interface RelayedConnectionOptions
  extends Pick<AbstractMultiaddrConnectionInit, "log" | "remoteAddr"> {
  readonly id: number
  readonly post: (message: RelayDown) => void
}

export class RelayedConnection extends AbstractMultiaddrConnection implements MultiaddrConnection {
  readonly #id: number
  readonly #post: (message: RelayDown) => void
  /** Sent and not yet taken by the socket. */
  #underway = 0
  /** Came and is not yet confirmed. */
  #owed = 0
  #held = false
  #gone = false
  #onGone: (() => void) | undefined = undefined

  constructor({ id, post, ...init }: RelayedConnectionOptions) {
    super({ ...init, direction: "inbound" })
    tellListenersOnly(this)
    this.#id = id
    this.#post = post
  }

  /** What the thread says of this connection. */
  receive(message: Exclude<RelayUp, { readonly type: "relay.open" }>): void {
    switch (message.type) {
      case "relay.data":
        this.#onBytes(message.bytes)
        return
      case "relay.taken":
        this.#underway -= message.bytes
        if (this.#underway < relayWindow && this.writableNeedsDrain) {
          this.safeDispatchEvent("drain")
        }
        return
      case "relay.closed":
        this.lost(message.reason)
    }
  }

  /** The socket is gone, by itself or with its thread. */
  lost(reason: string | undefined): void {
    if (this.#gone) return
    this.#gone = true
    this.#onGone?.()
    if (reason === undefined) this.onTransportClosed()
    else this.abort(new Error(reason))
  }

  #onBytes(bytes: Uint8Array): void {
    this.#owed += bytes.length
    this.onData(bytes)
    if (!this.#held) this.#confirm()
  }

  #confirm(): void {
    if (this.#owed < relayTold || this.#gone) return
    this.#post({ type: "relay.taken", id: this.#id, bytes: this.#owed })
    this.#owed = 0
  }

  // What libp2p's streams ask of who makes one

  sendData(data: Outgoing): Sent {
    const bytes = data.slice()
    if (!this.#gone) {
      this.#underway += bytes.length
      this.#post({ type: "relay.data", id: this.#id, bytes })
    }
    return { sentBytes: bytes.length, canSendMore: this.#underway < relayWindow }
  }

  async sendClose({ signal }: AbortOptions = {}): Promise<void> {
    if (this.#gone) return
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => reject(signal?.reason)
      signal?.addEventListener("abort", onAbort, { once: true })
      this.#onGone = () => {
        signal?.removeEventListener("abort", onAbort)
        resolve()
      }
      this.#post({ type: "relay.end", id: this.#id })
      if (signal?.aborted === true) onAbort()
    })
  }

  sendReset(): void {
    if (!this.#gone) this.#post({ type: "relay.reset", id: this.#id })
  }

  /** The thread that has the socket is to turn away whoever else comes from there. */
  turnAway(away: Away): void {
    const [, , address = ""] = this.remoteAddr.toString().split("/")
    this.#post({ type: "relay.away", id: this.#id, address, away })
  }

  sendPause(): void {
    this.#held = true
  }

  sendResume(): void {
    // Whoever was just given what had waited may have had enough of it.
    if (this.readStatus === "paused") return
    this.#held = false
    this.#confirm()
  }
}
