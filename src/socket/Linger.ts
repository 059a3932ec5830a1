/**
 * The end of a socket that has nothing more to say: what is written still goes out, for as long as
 * the other side takes it. Only one that takes nothing for a while is given up.
 */
import type net from "node:net"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"

/** How long nothing may be taken, ms. Long, since what the system takes of one write is not seen. */
const patience = 30_000

/** Cancel the timer when the socket has closed. */
export class Linger implements Timer {
  readonly #socket: net.Socket
  readonly #ticker: Ticker
  #left: number
  #timer: Timer

  constructor(socket: net.Socket, ticker: Ticker) {
    this.#socket = socket
    this.#ticker = ticker
    this.#left = socket.writableLength
    this.#timer = ticker.after(patience, () => this.#look())
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #look(): void {
    const left = this.#socket.writableLength
    if (left === this.#left) {
      // With a FIN it would look like the end of what was to come.
      if (left > 0) this.#socket.resetAndDestroy()
      else this.#socket.destroy()
      return
    }
    this.#left = left
    this.#timer = this.#ticker.after(patience, () => this.#look())
  }
}
