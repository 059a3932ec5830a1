/**
 * Addresses from which handshakes fail again and again, as the mesh thread says: they are answered here, with no
 * message to it and nothing computed, until their time is over (mesh/trust/FailedCallers.ts).
 */
import { hostGroup } from "../../model/HostGroup.ts"

/** More than an attacker with a few has; the oldest makes room. */
const maxAddresses = 4_096

export class TurnedAway {
  readonly #now: () => number
  /** Until when, monotonic ms. */
  readonly #until = new Map<string, number>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** For so many ms from now. */
  set(address: string, ms: number): void {
    const key = hostGroup(address)
    this.#until.delete(key)
    this.#until.set(key, this.#now() + ms)
    if (this.#until.size <= maxAddresses) return
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest)
      return
    }
  }

  /** For so many ms more; 0: it may come. */
  left(address: string): number {
    if (this.#until.size === 0) return 0
    const key = hostGroup(address)
    const until = this.#until.get(key)
    if (until === undefined) return 0
    const left = until - this.#now()
    if (left > 0) return left
    this.#until.delete(key)
    return 0
  }
}
