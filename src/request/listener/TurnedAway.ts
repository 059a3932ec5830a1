/**
 * Addresses from which more handshakes come than are looked at, as the mesh thread says (HandshakeGate.ts): they are
 * answered here, with no message to it and nothing computed, until their time is over. Those whose
 * handshakes fail again and again are let through one by one for a minute from then on: a flood that goes on
 * would else come in at once, each time.
 */
import { hostGroup } from "../../model/HostGroup.ts"
import type { Away } from "../../model/Relay.ts"

/** More than an attacker with a few has; the oldest makes room. */
const maxAddresses = 4_096

/** After its time one each so many ms… */
const spacing = 250
/** …for so long, ms. */
const probation = 60_000

interface Place {
  /** Monotonic ms: none before, one by one until `free`. */
  next: number
  readonly free: number
}

export class TurnedAway {
  readonly #now: () => number
  readonly #away = new Map<string, Place>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** From now on. Nobody's probation ends by it. */
  set(address: string, { ms, onProbation }: Away): void {
    const key = hostGroup(address)
    const until = this.#now() + ms
    const free = Math.max(until + (onProbation ? probation : 0), this.#away.get(key)?.free ?? 0)
    this.#away.delete(key)
    this.#away.set(key, { next: until, free })
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
