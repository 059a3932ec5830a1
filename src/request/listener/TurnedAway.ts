/**
 * Addresses from which handshakes fail again and again, as the mesh thread says: they are answered here, with no
 * message to it and nothing computed, until their time is over (mesh/trust/FailedCallers.ts). For a minute from
 * then on they are let through one by one: a flood that goes on would else come in at once, each time.
 */
import { hostGroup } from "../../model/HostGroup.ts"

/** More than an attacker with a few has; the oldest makes room. */
const maxAddresses = 4_096

/** After its time one each so many ms… */
const spacing = 250
/** …for so long, ms. */
const probation = 60_000

interface Away {
  /** Monotonic ms: none before, one by one until `free`. */
  next: number
  readonly free: number
}

export class TurnedAway {
  readonly #now: () => number
  readonly #away = new Map<string, Away>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** For so many ms from now. */
  set(address: string, ms: number): void {
    const key = hostGroup(address)
    const until = this.#now() + ms
    this.#away.delete(key)
    this.#away.set(key, { next: until, free: until + probation })
    if (this.#away.size <= maxAddresses) return
    for (const oldest of this.#away.keys()) {
      this.#away.delete(oldest)
      return
    }
  }

  /** Somebody comes from there: in how many ms it is to come back; 0: it may come now. */
  pauseFor(address: string): number {
    if (this.#away.size === 0) return 0
    const key = hostGroup(address)
    const away = this.#away.get(key)
    if (away === undefined) return 0
    const now = this.#now()
    if (now >= away.free) {
      this.#away.delete(key)
      return 0
    }
    if (now < away.next) return away.next - now
    away.next = now + spacing
    return 0
  }
}
