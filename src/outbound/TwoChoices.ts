/**
 * Two candidates drawn at random, the better one is picked (Mitzenmacher, "The Power of Two
 * Choices", 2001). Both are drawn in proportion to weight and the first drawn wins a tie, so with
 * nothing else to tell them apart traffic follows the weights exactly. What "better" is: Preference.
 */
import type { Balancer, Candidate } from "./Candidate.ts"
import type { Candidates } from "./Candidates.ts"
import type { Preference } from "./Preference.ts"

export class TwoChoices implements Balancer {
  readonly #prefersSecond: Preference
  readonly #random: () => number

  /** `random` is uniform in [0, 1). */
  constructor(prefersSecond: Preference, random: () => number) {
    this.#prefersSecond = prefersSecond
    this.#random = random
  }

  pick<C extends Candidate>(candidates: Candidates<C>, now: number): C {
    const { all } = candidates
    if (all.length === 1) return all[0]!
    const index = candidates.draw(this.#random())
    const first = all[index]!
    const second = all[candidates.drawOther(index, this.#random())]!
    return this.#prefersSecond(first, second, now) ? second : first
  }
}
