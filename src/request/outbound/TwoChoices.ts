/**
 * Two candidates drawn at random, the better one is picked (Mitzenmacher, "The Power of Two
 * Choices", 2001). Both are drawn in proportion to weight and the first drawn wins a tie, so with
 * nothing else to tell them apart traffic follows the weights exactly. What "better" is: Preference.
 *
 * Now and then the first one drawn gets the request though it is worse, if it has nothing to do. So
 * it is found out soon that an endpoint is well again, and one that hangs costs one request. A
 * retry is no occasion for that.
 */
import type { Balancer, Candidate, Turns } from "./Candidate.ts"
import type { Candidates } from "./Candidates.ts"
import type { Preference } from "./Preference.ts"

/** Probability that an idle candidate drawn first is tried whatever is known of it. */
const trickle = 0.01

export class TwoChoices implements Balancer {
  readonly #prefersSecond: Preference
  readonly #random: () => number

  /** `random` is uniform in [0, 1). */
  constructor(prefersSecond: Preference, random: () => number) {
    this.#prefersSecond = prefersSecond
    this.#random = random
  }

  pick<C extends Candidate>(candidates: Candidates<C>, now: number, turns: Turns): C {
    const { all } = candidates
    if (all.length === 1) return all[0]!
    const index = candidates.draw(this.#random())
    const first = all[index]!
    const second = all[candidates.drawOther(index, this.#random())]!
    if (!this.#prefersSecond(first, second, now)) return first
    if (turns === "first" && first.inFlight === 0 && this.#random() < trickle) return first
    return second
  }
}
