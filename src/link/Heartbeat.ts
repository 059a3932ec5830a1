/**
 * When to ping, what the answers say of the round trip, and when a silent peer is dead. Pure: the
 * session asks it at every beat.
 */
import type { LinkLimits } from "./LinkOptions.ts"

export class Heartbeat {
  readonly #limits: Pick<LinkLimits, "pingEvery" | "deadAfter">
  /** Milliseconds between the last ping that was answered and its answer. */
  rtt: number | undefined = undefined
  #id = 0
  /** When the unanswered ping was sent. */
  #sent: number | undefined = undefined
  #heard: number
  #due: number

  constructor(limits: Pick<LinkLimits, "pingEvery" | "deadAfter">, now: number) {
    this.#limits = limits
    this.#heard = now
    this.#due = now + limits.pingEvery
  }

  /** Something came. */
  heard(now: number): void {
    this.#heard = now
  }

  /** The id of a new ping, or undefined while one is unanswered. */
  ping(now: number): number | undefined {
    if (this.#sent !== undefined) return undefined
    this.#sent = now
    this.#id = (this.#id + 1) >>> 0
    return this.#id
  }

  pong(id: number, now: number): void {
    if (id !== this.#id || this.#sent === undefined) return
    this.rtt = now - this.#sent
    this.#sent = undefined
  }

  /** To be called every `pingEvery`: for how long the peer has been silent, when that is too long. */
  beat(now: number): number | undefined {
    // While this process itself stood still, silence says nothing about the peer.
    const late = now - this.#due
    if (late > this.#limits.pingEvery / 2) this.#heard = Math.min(now, this.#heard + late)
    this.#due = now + this.#limits.pingEvery
    const silent = now - this.#heard
    return silent >= this.#limits.deadAfter ? silent : undefined
  }
}
