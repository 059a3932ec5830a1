/** Places that request threads share: one has all of them, if no other wants any. */
import type { HostCount } from "../policy/HostCounts.ts"
import type { Places } from "./Places.ts"

/**
 * Who meets another at the last place finds it free again at once, but so does the other. Each looks on for another
 * while, so that they meet again less often than not, and so many times in less than one of a million cases.
 */
const tries = 16
/** Looks, at most. */
const longestWhile = 64

export class HostPlaces implements Places {
  readonly most: number
  readonly #count: HostCount
  /** What this thread may have that the others do not see. */
  readonly #part: number
  /** It has so many of those. */
  #unseen = 0
  /** Of the whiles, in no order and in each thread another. */
  #turn: number

  /** `part`: of `most`, for when there is no room to count them. */
  constructor(count: HostCount, most: number, part: number) {
    this.#count = count
    this.most = most
    this.#part = part
    this.#turn = Math.imul(count.thread, 2_654_435_761)
  }

  get taken(): number {
    return this.#count.total + this.#unseen
  }

  /** In this thread. */
  get held(): number {
    return this.#count.own + this.#unseen
  }

  of(thread: number): number {
    return this.#count.of(thread)
  }

  /** Counted first and looked at then: what is taken is never more than there are. */
  take(): boolean {
    for (let left = tries; left > 0; left--) {
      if (!this.#count.add()) return this.#takeUnseen()
      if (this.taken <= this.most) return true
      this.#count.remove()
      if (this.taken >= this.most) return false
      this.#wait(tries - left + 1)
    }
    return false
  }

  takeAnyway(): void {
    if (!this.#count.add()) this.#unseen++
  }

  give(): void {
    if (this.#unseen > 0) this.#unseen--
    else this.#count.remove()
  }

  /** After so many meetings. */
  #wait(met: number): void {
    this.#turn = (Math.imul(this.#turn, 1_664_525) + 1_013_904_223) | 0
    const looks = (this.#turn >>> 16) % Math.min(2 ** met, longestWhile)
    for (let look = 0; look < looks; look++) this.#count.total
  }

  #takeUnseen(): boolean {
    if (this.#unseen >= this.#part) return false
    this.#unseen++
    return true
  }
}
