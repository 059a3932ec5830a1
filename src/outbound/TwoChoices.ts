/**
 * Two candidates drawn at random, the cheaper one is picked (Mitzenmacher, "The Power of Two
 * Choices", 2001). Candidates are drawn in proportion to their weights and the first drawn wins a
 * tie, so with nothing else to tell them apart traffic follows the weights exactly.
 */
import type { Balancer, Candidate } from "./Candidate.ts"

/** What one more request would cost; `share` is the work in flight per unit of mean weight. */
export type Cost = (candidate: Candidate, share: number, now: number) => number

/** Expected wait: latency × queue (Finagle). */
export const peakEwma: Cost = (candidate, share, now) => candidate.latency.cost(share, now)

export const leastRequest: Cost = (_candidate, share) => share

export class TwoChoices implements Balancer {
  readonly #cost: Cost
  readonly #random: () => number
  /** Of the array below: the weights' sum, and whether they are all the same. */
  #total = 0
  #equal = true
  #seen: ReadonlyArray<Candidate> | undefined = undefined

  constructor(cost: Cost, random: () => number) {
    this.#cost = cost
    this.#random = random
  }

  pick<C extends Candidate>(candidates: ReadonlyArray<C>, now: number, avoid: C | undefined): C {
    const count = candidates.length
    if (count === 1) return candidates[0]!
    if (candidates !== this.#seen) this.#weigh(candidates)
    const i = this.#draw(candidates, -1)
    const first = candidates[i]!
    const second = candidates[this.#draw(candidates, i)]!
    if (first === avoid) return second
    if (second === avoid) return first
    const mean = this.#total / count
    const a = this.#cost(first, (first.inFlight * mean) / first.weight, now)
    const b = this.#cost(second, (second.inFlight * mean) / second.weight, now)
    return b < a ? second : first
  }

  #weigh(candidates: ReadonlyArray<Candidate>): void {
    this.#total = 0
    this.#equal = true
    for (const { weight } of candidates) {
      this.#total += weight
      if (weight !== candidates[0]!.weight) this.#equal = false
    }
    this.#seen = candidates
  }

  /** An index in proportion to weight, other than `except`. */
  #draw(candidates: ReadonlyArray<Candidate>, except: number): number {
    if (this.#equal) {
      const count = except === -1 ? candidates.length : candidates.length - 1
      const index = Math.floor(this.#random() * count)
      return except !== -1 && index >= except ? index + 1 : index
    }
    const total = except === -1 ? this.#total : this.#total - candidates[except]!.weight
    let rest = this.#random() * total
    let last = 0
    for (let i = 0; i < candidates.length; i++) {
      if (i === except) continue
      last = i
      rest -= candidates[i]!.weight
      if (rest < 0) break
    }
    return last
  }
}
