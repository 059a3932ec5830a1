/**
 * Lets only connections of one user's processes to a listener. Each waits, unread, until the system
 * has said whose it is; who waits too long, or beside too many, is closed.
 */
import type net from "node:net"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { SocketOwners, whyNoOwners } from "../socket/SocketOwners.ts"
import { makeListenError } from "./ListenError.ts"

/** Connections that wait at a time. */
const mostWaiting = 1_024
/** For the system's answer, ms. */
const patience = 5_000

export interface UserGateOptions {
  readonly uid: number
  readonly ticker: Ticker
  readonly owners?: SocketOwners | undefined
  /** It is that user's. */
  readonly onAdmitted: (socket: net.Socket) => void
  /** It is another's; undefined: nobody's of this host that can be told. */
  readonly onStranger: (socket: net.Socket, uid: number | undefined) => void
  /** It was not found out, or it went away before; its socket is destroyed. */
  readonly onGone: (error: Error | undefined) => void
}

/** One for all listeners of a thread: what it reads is of the whole host. */
const ownersOfHost = new SocketOwners()

/** Rejects with a `ListenError` where the system does not tell. */
export const assertOwners = async (host: string, port: number): Promise<void> => {
  const problem = await whyNoOwners()
  if (problem !== undefined) throw makeListenError(host, port, problem)
}

export class UserGate {
  readonly #options: UserGateOptions
  readonly #owners: SocketOwners
  readonly #waiting = new Map<net.Socket, { readonly timer: Timer; readonly onClose: () => void }>()

  constructor(options: UserGateOptions) {
    this.#options = options
    this.#owners = options.owners ?? ownersOfHost
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** `socket`: paused, and not yet read from. */
  take(socket: net.Socket): void {
    const { ticker } = this.#options
    const { localAddress, localPort, remoteAddress, remotePort } = socket
    if (this.#waiting.size >= mostWaiting) {
      this.#giveUp(socket, new Error(`${mostWaiting} connections wait to be told whose they are`))
      return
    }
    if (
      localAddress === undefined ||
      localPort === undefined ||
      remoteAddress === undefined ||
      remotePort === undefined
    ) {
      this.#giveUp(socket, undefined) // closed already
      return
    }
    const timer = ticker.after(patience, () =>
      this.#giveUp(socket, new Error(`the system has not said within ${patience} ms whose it is`))
    )
    const onClose = (): void => this.#giveUp(socket, undefined)
    this.#waiting.set(socket, { timer, onClose })
    socket.on("error", ignore)
    socket.once("close", onClose)
    this.#owners
      .ownerOf({
        client: { address: remoteAddress, port: remotePort },
        here: { address: localAddress, port: localPort }
      })
      .then(
        (uid) => this.#onOwner(socket, uid),
        (error: unknown) => {
          if (!this.#leave(socket)) return
          const known = error instanceof Error ? error : new Error(String(error))
          this.#giveUp(socket, known)
        }
      )
  }

  /** All that wait are closed. */
  close(): void {
    for (const socket of [...this.#waiting.keys()]) this.#giveUp(socket, undefined)
  }

  #onOwner(socket: net.Socket, uid: number | undefined): void {
    if (!this.#leave(socket)) return
    const { onAdmitted, onStranger } = this.#options
    if (uid === this.#options.uid) onAdmitted(socket)
    else onStranger(socket, uid)
  }

  #giveUp(socket: net.Socket, error: Error | undefined): void {
    this.#leave(socket)
    socket.destroy()
    this.#options.onGone(error)
  }

  /** False: it is not waiting any more. */
  #leave(socket: net.Socket): boolean {
    const waiting = this.#waiting.get(socket)
    if (waiting === undefined) return false
    this.#waiting.delete(socket)
    waiting.timer.cancel()
    socket.off("close", waiting.onClose)
    socket.off("error", ignore)
    return true
  }
}

const ignore = (): void => undefined
