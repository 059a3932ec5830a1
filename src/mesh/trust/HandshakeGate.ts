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
import { type GateLimits, HandshakeLine } from "./HandshakeLine.ts"

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

export class HandshakeGate {
  readonly #known = new BoundedCache<true>(maxKnown)
  readonly #line: HandshakeLine

  constructor(ticker: Pick<Ticker, "after" | "now">, limits: Partial<GateLimits> = {}) {
    this.#line = new HandshakeLine(
      { now: () => ticker.now(), after: (delay, run) => ticker.after(delay, run) },
      limits
    )
  }

  /** Told to come back. */
  get refused(): number {
    return this.#line.refused
  }

  get running(): number {
    return this.#line.running
  }

  get waiting(): number {
    return this.#line.waiting
  }

  /**
   * Done when the caller's turn has come; rejects with `Busy`, or with the signal's reason. `address`:
   * the host it calls from.
   */
  enter(address: string, signal: AbortSignal): Promise<Leave> {
    const known = this.#known.get(address) !== undefined
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        withdraw()
        reject(signal.reason)
      }
      signal.addEventListener("abort", onAbort, { once: true })
      const over = () => signal.removeEventListener("abort", onAbort)
      const withdraw = this.#line.enter({
        known,
        begin: (leave) => {
          over()
          resolve((letIn) => {
            if (letIn) this.#known.set(address, true)
            leave()
          })
        },
        refuse: (retryAfter) => {
          over()
          reject(new Busy(retryAfter))
        }
      })
    })
  }
}
