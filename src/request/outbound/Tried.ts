/**
 * The endpoints a call has been to, so that a retry goes to one that has not had its turn, and
 * from when each of them is to be asked again (RFC 9110 §10.2.3, Retry-After): that is between it
 * and this call, and no reason to keep the call from others. Made at a call's first retry: most
 * calls never have one.
 */
import { Candidates } from "./Candidates.ts"

export class Tried<C extends { readonly weight: number }> {
  /** Each once, and at the same index the time from which it may be asked again. */
  readonly #endpoints: Array<C> = []
  readonly #from: Array<number> = []
  #last: C | undefined = undefined

  /** It may be asked again `from` this time on. */
  add(endpoint: C, from: number): void {
    this.#last = endpoint
    const index = this.#endpoints.indexOf(endpoint)
    if (index !== -1) this.#from[index] = from
    else {
      this.#endpoints.push(endpoint)
      this.#from.push(from)
    }
  }

  /** When the first of them may be asked: long ago, if the call has not been to all of them. */
  readyAt(candidates: Candidates<C>): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const candidate of candidates.all) {
      earliest = Math.min(earliest, this.#readyAt(candidate))
    }
    return earliest
  }

  /** Is there anybody the call has not been to? */
  leavesAny(candidates: Candidates<C>): boolean {
    return this.readyAt(candidates) === untried
  }

  /**
   * Whom the next attempt may go to: those that were not tried; else those that may be asked
   * already, if possible others than the last; else whoever may be asked first.
   */
  choose(candidates: Candidates<C>, now: number): Candidates<C> {
    const { all } = candidates
    const ready = Math.max(now, this.readyAt(candidates))
    const left = this.leavesAny(candidates)
      ? all.filter((candidate) => this.#readyAt(candidate) === untried)
      : all.filter((candidate) => this.#readyAt(candidate) <= ready)
    const others = left.length > 1 ? left.filter((candidate) => candidate !== this.#last) : left
    return others.length === all.length ? candidates : new Candidates(others)
  }

  #readyAt(endpoint: C): number {
    const index = this.#endpoints.indexOf(endpoint)
    return index === -1 ? untried : this.#from[index]!
  }
}

const untried = Number.NEGATIVE_INFINITY
