/**
 * Connections that are turned away, and hear of it a moment later: whoever comes again as soon as it is answered
 * comes no more often than that. A place costs a descriptor and nothing else; when all are taken the one that
 * has waited longest is answered at once.
 */
import type { Socket } from "node:net"
import type { Ticker } from "../../model/Time.ts"

export interface DoorstepLimits {
  /** At a time. */
  readonly most: number
  /** How long each waits, ms. */
  readonly wait: number
}

export class Doorstep {
  readonly #ticker: Ticker
  readonly #limits: DoorstepLimits
  /** In the order in which they came: how each is sent off. */
  readonly #waiting = new Map<Socket, () => void>()

  constructor(ticker: Ticker, limits: DoorstepLimits) {
    this.#ticker = ticker
    this.#limits = limits
  }

  get size(): number {
    return this.#waiting.size
  }

  /** `answer`: what it hears then. */
  add(socket: Socket, answer: Buffer): void {
    const { most, wait } = this.#limits
    for (const sendOff of this.#waiting.values()) {
      if (this.#waiting.size < most) break
      sendOff()
    }
    const timer = this.#ticker.after(wait, () => sendOff())
    const leave = (): void => {
      timer.cancel()
      this.#waiting.delete(socket)
    }
    const sendOff = (): void => {
      leave()
      if (socket.writableEnded) socket.destroy()
      else socket.end(answer, () => socket.destroy())
    }
    this.#waiting.set(socket, sendOff)
    socket.once("close", leave)
  }

  /** All that are left hear it now. */
  close(): void {
    for (const sendOff of [...this.#waiting.values()]) sendOff()
  }
}
