/**
 * How much is dialled for others: little, so that nobody can have hosts looked at through this node,
 * or keep it busy. Pure: time comes in, monotonic ms.
 */
import type { PeerKey } from "../model/Names.ts"

export const dialBackLimits = {
  /** Dials under way, in all; each member has one at a time. */
  concurrent: 4,
  /** At once for one member, which may announce 16 addresses… */
  burst: 20,
  /** …and then one in so many ms. */
  every: 10_000,
  /** The same for all members together. */
  burstOfAll: 60,
  everyOfAll: 1_000,
  /** Members remembered: more than ask at a time. */
  members: 1_024
} as const

/** So many at once, and one more after each interval. */
class Allowance {
  readonly #burst: number
  readonly #every: number
  #left: number
  #at: number

  constructor(burst: number, every: number, now: number) {
    this.#burst = burst
    this.#every = every
    this.#left = burst
    this.#at = now
  }

  #fill(now: number): void {
    this.#left = Math.min(this.#burst, this.#left + Math.max(0, now - this.#at) / this.#every)
    this.#at = now
  }

  has(now: number): boolean {
    this.#fill(now)
    return this.#left >= 1
  }

  isFull(now: number): boolean {
    this.#fill(now)
    return this.#left >= this.#burst
  }

  take(): void {
    this.#left--
  }
}

export class DialBackLimits {
  readonly #all: Allowance
  readonly #members = new Map<PeerKey, Allowance>()
  readonly #underWay = new Set<PeerKey>()

  constructor(now: number) {
    this.#all = new Allowance(dialBackLimits.burstOfAll, dialBackLimits.everyOfAll, now)
  }

  /** Undefined: it may begin, and `end` is to be called. Else why it may not, for who asks. */
  begin(peer: PeerKey, now: number): string | undefined {
    if (this.#underWay.has(peer)) return "one address of a node is tried at a time"
    if (this.#underWay.size >= dialBackLimits.concurrent) return "others are being tried"
    const member = this.#member(peer, now)
    if (member === undefined || !this.#all.has(now)) return "too many nodes ask for this"
    if (!member.has(now)) return "this node asks too often"
    member.take()
    this.#all.take()
    this.#underWay.add(peer)
    return undefined
  }

  end(peer: PeerKey): void {
    this.#underWay.delete(peer)
  }

  #member(peer: PeerKey, now: number): Allowance | undefined {
    const known = this.#members.get(peer)
    if (known !== undefined) return known
    if (this.#members.size >= dialBackLimits.members) {
      // One that has its whole allowance again is as good as one never seen.
      for (const [other, allowance] of this.#members) {
        if (allowance.isFull(now)) this.#members.delete(other)
      }
      if (this.#members.size >= dialBackLimits.members) return undefined
    }
    const fresh = new Allowance(dialBackLimits.burst, dialBackLimits.every, now)
    this.#members.set(peer, fresh)
    return fresh
  }
}
