/**
 * When to ping, what the answers say of the round trip, and when a silent peer is dead. Pure: the
 * session asks it at every beat. Either end learns from the other's pings that it is there, so
 * one end leaves them to the other, and asks itself only when they do not come.
 */
import type { LinkLimits } from "./LinkOptions.ts"

type HeartbeatLimits = Pick<LinkLimits, "pingEvery" | "deadAfter">

/** How often an end that is pinged pings all the same, to know the round trip, ms. */
export const measureEvery = 10_000

export class Heartbeat {
  readonly #limits: HeartbeatLimits
  /** This end leaves the pings to the other. */
  readonly #yields: boolean
  /** Milliseconds between the last ping that was answered and its answer. */
  rtt: number | undefined = undefined
  #id = 0
  /** When the unanswered ping was sent. */
  #sent: number | undefined = undefined
  /** When the last ping was sent, and when the peer's last one came. */
  #asked = Number.NEGATIVE_INFINITY
  #askedBy = Number.NEGATIVE_INFINITY
  #heard: number
  #due: number

  constructor(limits: HeartbeatLimits, yields: boolean, now: number) {
    this.#limits = limits
    this.#yields = yields
    this.#heard = now
    this.#due = now + limits.pingEvery
  }

  /** Something came. */
  heard(now: number): void {
    this.#heard = now
  }

  /** For how long nothing came, ms. */
  quiet(now: number): number {
    return now - this.#heard
  }

  /** The peer has pinged. */
  pinged(now: number): void {
    this.#askedBy = now
  }

  /** The id of a new ping; undefined while one is unanswered or none is needed. */
  ping(now: number): number | undefined {
    if (this.#sent !== undefined) return undefined
    const pinged = now - this.#askedBy < 1.5 * this.#limits.pingEvery
    if (this.#yields && pinged && now - this.#asked < measureEvery) return undefined
    this.#sent = now
    this.#asked = now
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
