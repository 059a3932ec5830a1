/**
 * The end of a socket that has nothing more to say: what is written still goes out, for as long as
 * the other side takes it. Only one that takes nothing for a while is given up.
 */

import type net from "node:net"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { breakOff } from "./BreakOff.ts"
import { Unsent } from "./Unsent.ts"

/** Between two looks, ms; and how long one that has taken everything may leave its half open. */
const pause = 30_000

/** Cancel the timer when the socket has closed. */
export class Linger implements Timer {
  readonly #socket: net.Socket
  readonly #ticker: Ticker
  readonly #unsent: Unsent
  #timer: Timer

  constructor(socket: net.Socket, ticker: Ticker) {
    this.#socket = socket
    this.#ticker = ticker
    this.#unsent = new Unsent(socket, ticker.now())
    this.#timer = ticker.after(pause, () => this.#look())
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #look(): void {
    if (this.#socket.writableLength === 0) {
      this.#socket.destroy()
      return
    }
    if (this.#unsent.isGivenUp(this.#ticker.now())) {
      breakOff(this.#socket)
      return
    }
    this.#timer = this.#ticker.after(pause, () => this.#look())
  }
}
