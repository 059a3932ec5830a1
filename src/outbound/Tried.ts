/**
 * The endpoints a call has been to, so that a retry goes to one that has not had its turn. Made at
 * a call's first retry: most calls never have one.
 */
import { Candidates } from "./Candidates.ts"

export class Tried<C extends { readonly weight: number }> {
  /** In the order of the attempts; one that was tried twice is in here twice. */
  readonly #endpoints: Array<C> = []

  add(endpoint: C): void {
    this.#endpoints.push(endpoint)
  }

  /** Is there anybody the call has not been to? */
  leavesAny(candidates: Candidates<C>): boolean {
    return candidates.all.some((candidate) => !this.#endpoints.includes(candidate))
  }

  /** Whom the next attempt may go to: who was not tried; else anybody but the last one tried. */
  choose(candidates: Candidates<C>): Candidates<C> {
    const { all } = candidates
    if (all.length === 1) return candidates
    const untried = all.filter((candidate) => !this.#endpoints.includes(candidate))
    if (untried.length === all.length) return candidates
    if (untried.length > 0) return new Candidates(untried)
    const last = this.#endpoints.at(-1)
    return new Candidates(all.filter((candidate) => candidate !== last))
  }
}
