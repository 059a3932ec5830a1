/**
 * Two candidates drawn at random, the cheaper one is picked (Mitzenmacher, "The Power of Two
 * Choices", 2001). Candidates are drawn in proportion to their weights and the first drawn wins a
 * tie, so with nothing else to tell them apart traffic follows the weights exactly.
 */
import type { Balancer, Candidate } from "./Candidate.ts"
import type { Candidates } from "./Candidates.ts"

/** What one more request would cost; `share` is the work in flight per unit of mean weight. */
export type Cost = (candidate: Candidate, share: number, now: number) => number

/** Expected wait: latency × queue (Finagle). */
export const peakEwma: Cost = (candidate, share, now) => candidate.latency.cost(share, now)

export const leastRequest: Cost = (_candidate, share) => share

export class TwoChoices implements Balancer {
  readonly #cost: Cost
  readonly #random: () => number

  constructor(cost: Cost, random: () => number) {
    this.#cost = cost
    this.#random = random
  }

  pick<C extends Candidate>(candidates: Candidates<C>, now: number): C {
    const { all, mean } = candidates
    if (all.length === 1) return all[0]!
    const i = candidates.draw(this.#random())
    const first = all[i]!
    const second = all[candidates.drawOther(i, this.#random())]!
    const a = this.#cost(first, (first.inFlight * mean) / first.weight, now)
    const b = this.#cost(second, (second.inFlight * mean) / second.weight, now)
    return b < a ? second : first
  }
}
