/**
 * Connections of which it is not known yet whose they are: bounded in number and in time. At the
 * bound the one that has been silent longest makes room. An honest one has said what it is after one
 * round trip; those that hold their places without a word go first, and nobody is shut out by them.
 */
import type { Socket } from "node:net"
import type { Ticker } from "../../model/Time.ts"

export interface NewcomerLimits {
  /** At a time. */
  readonly most: number
  /** How long one may take, ms. */
  readonly patience: number
}

export class Newcomers {
  /** How many took too long. */
  late = 0
  /** How many made room for others. */
  displaced = 0
  readonly #ticker: Ticker
  readonly #limits: NewcomerLimits
  /** In the order in which they came. */
  readonly #sockets = new Set<Socket>()

  constructor(ticker: Ticker, limits: NewcomerLimits) {
    this.#ticker = ticker
    this.#limits = limits
  }

  get size(): number {
    return this.#sockets.size
  }

  /** Until it closes, or the function that is returned is called. */
  add(socket: Socket): () => void {
    const { most, patience } = this.#limits
    for (const oldest of this.#sockets) {
      if (this.#sockets.size < most) break
      this.displaced++
      this.#drop(oldest)
    }
    this.#sockets.add(socket)
    const timer = this.#ticker.after(patience, () => {
      if (!this.#sockets.has(socket)) return
      this.late++
      this.#drop(socket)
    })
    const leave = (): void => {
      timer.cancel()
      this.#sockets.delete(socket)
    }
    socket.once("close", leave)
    return leave
  }

  /** All that are left. */
  close(): void {
    for (const socket of [...this.#sockets]) this.#drop(socket)
  }

  #drop(socket: Socket): void {
    this.#sockets.delete(socket)
    // A reset cannot follow a FIN that is on its way.
    if (socket.writableEnded) socket.destroy()
    else socket.resetAndDestroy()
  }
}
