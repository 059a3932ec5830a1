/** Places that request threads share: one has all of them, if no other wants any. */
import type { HostCount } from "../policy/HostCounts.ts"
import type { Places } from "./Places.ts"

/** Who meets another at the last place may find it free again at once. */
const tries = 8

export class HostPlaces implements Places {
  readonly most: number
  readonly #count: HostCount
  /** What this thread may have that the others do not see. */
  readonly #part: number
  /** It has so many of those. */
  #unseen = 0

  /** `part`: of `most`, for when there is no room to count them. */
  constructor(count: HostCount, most: number, part: number) {
    this.#count = count
    this.most = most
    this.#part = part
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

  #takeUnseen(): boolean {
    if (this.#unseen >= this.#part) return false
    this.#unseen++
    return true
  }
}
