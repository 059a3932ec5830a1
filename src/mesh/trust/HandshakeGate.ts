/**
 * Handshakes of callers, a few at a time. A handshake is the dearest thing a peer can ask of this
 * node; when many ask at once, doing all of them means finishing none in time, and each that was not
 * finished comes again. So those beyond a few wait in line, and who would wait too long is told when
 * to come back, before there was any cryptography: what is refused costs next to nothing.
 *
 * Who calls from an address from which a member was let in before goes first; of either kind, who
 * came first. Nobody knows yet who calls, so this is no right, only an order.
 *
 * What is bounded is work. Who is slow to speak does none here, so after a while it no longer counts,
 * and a few that connect and say nothing keep nobody out.
 */
import type { Ticker } from "../../model/Time.ts"
import { BoundedCache } from "./BoundedCache.ts"

export interface GateLimits {
  /** Handshakes at a time. Default 6: enough to use the time in which peers are waited for. */
  readonly atOnce: number
  /** Of them, those of addresses from which nobody was let in yet. Default 4. */
  readonly strangers: number
  /** In line. Default 128. */
  readonly waiting: number
  /** Who would wait longer is told to come back, ms. Default 1,500. */
  readonly patience: number
  /** For so long a handshake counts as one under way, ms. Default 1,000. */
  readonly counts: number
}

const defaultLimits: GateLimits = {
  atOnce: 6,
  strangers: 4,
  waiting: 128,
  patience: 1_500,
  counts: 1_000
}

/** What somebody is told to wait, ms: never nothing, and never so long that a busy hour is a closed door. */
const leastPause = 100
const mostPause = 10_000

/** Addresses from which members were let in. */
const maxKnown = 4_096

/** Come back in so many ms. */
export class Busy extends Error {
  override readonly name = "Busy"
  readonly retryAfter: number

  constructor(retryAfter: number) {
    super(`busy with other handshakes; to be tried again in ${Math.ceil(retryAfter)} ms`)
    this.retryAfter = retryAfter
  }
}

/** `letIn`: it has become a connection of a member. */
export type Leave = (letIn: boolean) => void

interface Waiting {
  readonly known: boolean
  readonly begin: () => void
}

export class HandshakeGate {
  /** Told to come back. */
  refused = 0
  readonly #limits: GateLimits
  readonly #ticker: Pick<Ticker, "after" | "now">
  readonly #known = new BoundedCache<true>(maxKnown)
  readonly #line: Array<Waiting> = []
  #running = 0
  #strangers = 0
  /** What a handshake takes, ms: a moving average. */
  #usual = 50

  constructor(ticker: Pick<Ticker, "after" | "now">, limits: Partial<GateLimits> = {}) {
    this.#ticker = ticker
    this.#limits = { ...defaultLimits, ...limits }
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#line.length
  }

  /**
   * Done when the caller's turn has come; rejects with `Busy`, or with the signal's reason. `address`:
   * the host it calls from.
   */
  enter(address: string, signal: AbortSignal): Promise<Leave> {
    const known = this.#known.get(address) !== undefined
    if (this.#hasRoom(known) && !this.#line.some((one) => one.known || !known)) {
      return Promise.resolve(this.#begin(known, address))
    }
    const before = known ? this.#line.filter((one) => one.known).length : this.#line.length
    const wait = ((before + 1) * this.#usual) / this.#limits.atOnce
    if (before >= this.#limits.waiting || wait > this.#limits.patience) return this.#refuse(wait)
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        const at = this.#line.indexOf(waiting)
        if (at !== -1) this.#line.splice(at, 1)
        reject(signal.reason)
      }
      const waiting: Waiting = {
        known,
        begin: () => {
          signal.removeEventListener("abort", onAbort)
          resolve(this.#begin(known, address))
        }
      }
      signal.addEventListener("abort", onAbort, { once: true })
      this.#line.splice(before, 0, waiting)
    })
  }

  #refuse(wait: number): Promise<never> {
    this.refused++
    return Promise.reject(new Busy(Math.min(mostPause, Math.max(leastPause, wait))))
  }

  #hasRoom(known: boolean): boolean {
    const { atOnce, strangers } = this.#limits
    return this.#running < atOnce && (known || this.#strangers < strangers)
  }

  #begin(known: boolean, address: string): Leave {
    this.#running++
    if (!known) this.#strangers++
    const began = this.#ticker.now()
    let counts = true
    const release = () => {
      if (!counts) return
      counts = false
      this.#running--
      if (!known) this.#strangers--
      this.#next()
    }
    const timer = this.#ticker.after(this.#limits.counts, release)
    let left = false
    return (letIn) => {
      if (left) return
      left = true
      timer.cancel()
      if (letIn) this.#known.set(address, true)
      const took = Math.min(this.#limits.counts, this.#ticker.now() - began)
      this.#usual += (took - this.#usual) / 8
      release()
    }
  }

  #next(): void {
    for (let at = 0; at < this.#line.length; ) {
      const waiting = this.#line[at]!
      if (this.#running >= this.#limits.atOnce) return
      if (!this.#hasRoom(waiting.known)) at++
      else {
        this.#line.splice(at, 1)
        waiting.begin()
      }
    }
  }
}
