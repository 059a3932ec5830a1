/**
 * For how long the other side has taken nothing of what is written. What the system takes of one
 * write is not seen before it has all of it, so one asks for much longer than a stall lasts.
 */
import type net from "node:net"

/**
 * Who takes nothing for so long is given up, ms: what `timeout.idle` is by default. Something is
 * lost then, so it is told by a reset: a FIN would look like the end of what was to come.
 */
export const unsentPatience = 300_000

export class Unsent {
  readonly #socket: net.Socket
  #left: number
  #since: number

  constructor(socket: net.Socket, now: number) {
    this.#socket = socket
    this.#left = socket.writableLength
    this.#since = now
  }

  /** Asked every now and then. */
  isGivenUp(now: number): boolean {
    const left = this.#socket.writableLength
    if (left !== this.#left || left === 0) {
      this.#left = left
      this.#since = now
      return false
    }
    return now - this.#since >= unsentPatience
  }
}
