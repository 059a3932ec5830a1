/**
 * Which addresses are to be turned away at the door, because handshakes from there come to nothing again and
 * again: each costs some two ms, and whoever sends what was recorded, or garbage, needs none itself. Honest
 * hosts fail seldom and pause between tries. Pure: a bucket for each address, by the time that is handed in.
 */
import { hostGroup } from "../../model/HostGroup.ts"
import { BoundedCache } from "./BoundedCache.ts"

/** Addresses that are remembered. */
const maxAddresses = 4_096

export interface FailureLimits {
  /** Handshakes that may fail at once… */
  readonly atOnce: number
  /** …and a second, on average. */
  readonly perSecond: number
}

/** What strangers' cost then is a hundredth of a processor. */
const defaultLimits: FailureLimits = { atOnce: 32, perSecond: 4 }

/** So many are to be free again before the next is looked at, so that others from there find room. */
const reopened = 8
/** What those that were under way already may cost it. */
const deepest = -32

interface Bucket {
  readonly free: number
  /** Monotonic ms. */
  readonly at: number
  /** Until then it is turned away. */
  readonly until: number
}

export class FailedCallers {
  readonly #buckets = new BoundedCache<Bucket>(maxAddresses)
  readonly #limits: FailureLimits

  constructor(limits = defaultLimits) {
    this.#limits = limits
  }

  /** One from there came to nothing. Answers for how many ms from now it is turned away; 0: it is not. */
  failed(address: string, now: number): number {
    const { atOnce, perSecond } = this.#limits
    const key = hostGroup(address)
    const held = this.#buckets.get(key)
    const refilled =
      held === undefined
        ? atOnce
        : Math.min(atOnce, held.free + ((now - held.at) / 1_000) * perSecond)
    const free = Math.max(deepest, refilled - 1)
    const until = free < 1 ? now + ((reopened - free) / perSecond) * 1_000 : 0
    this.#buckets.set(key, { free, at: now, until })
    return Math.max(0, until - now)
  }

  /** A member was let in from there: what failed before may well have been one that was slow. */
  succeeded(address: string, now: number): void {
    const key = hostGroup(address)
    if (this.#buckets.peek(key) !== undefined) {
      this.#buckets.set(key, { free: this.#limits.atOnce, at: now, until: 0 })
    }
  }

  /** For how many ms from now; 0: it may come. */
  turnedAway(address: string, now: number): number {
    const held = this.#buckets.peek(hostGroup(address))
    return held === undefined ? 0 : Math.max(0, held.until - now)
  }
}
