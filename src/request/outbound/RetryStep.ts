/** The retry step of one service: may this attempt be followed by another, and when? */
import type { RetryPolicy } from "../../model/Policy.ts"
import { fullJitter } from "../policy/Backoff.ts"
import type { Verdict } from "../policy/Classifier.ts"
import { longestRetryAfter } from "../policy/RetryAfter.ts"
import { RetryBudget } from "../policy/RetryBudget.ts"
import { RetryRules } from "../policy/RetryRules.ts"

export class RetryStep {
  readonly attempts: number
  readonly bodyLimit: number
  readonly #policy: RetryPolicy
  readonly #rules: RetryRules
  readonly #budget: RetryBudget

  constructor(policy: RetryPolicy) {
    this.attempts = policy.attempts
    this.bodyLimit = policy.bodyLimit
    this.#policy = policy
    this.#rules = new RetryRules(policy)
    this.#budget = new RetryBudget(policy.budget)
  }

  /**
   * Once per exchange: earns a share of a retry. A call that is itself a retry further up (`attempt`
   * above 0) earns nothing: it is there because of a failure, and so would be its retries.
   */
  deposit(attempt: number, now: number): void {
    if (attempt === 0) this.#budget.deposit(now)
  }

  /** Takes one retry out of the budget, if there is one for such a call. */
  withdraw(attempt: number, now: number): boolean {
    return this.#budget.withdraw(now, attempt === 0)
  }

  /** What came of a call that had so many retries. */
  settled(retries: number, helped: boolean, now: number): void {
    this.#budget.settled(retries, helped, now)
  }

  /** `method` is undefined for a tunnel: what was sent into it is never sent again. */
  allows(verdict: Verdict, method: string | undefined): boolean {
    return this.#rules.allow(verdict, method !== undefined && this.#rules.repeatable(method))
  }

  /**
   * Milliseconds to wait before the retry after `retries` others; undefined when that would be
   * longer than a proxy should keep a caller. `ready` is in how many milliseconds the first
   * endpoint may be asked: −∞ when there is one that was not tried. What others asked for is
   * nothing to it, but after an answer it is given the usual back-off all the same, because what
   * made one fail (load, as a rule) may be theirs in common.
   */
  delay(verdict: Verdict, retries: number, ready: number, random: number): number | undefined {
    // Nobody was reached and there is an endpoint that was not tried: no reason to wait.
    if (verdict.conditions[0] === "connect_failure" && ready === Number.NEGATIVE_INFINITY) return 0
    if (ready > longestRetryAfter) return undefined
    return Math.max(ready, fullJitter(this.#policy.backoff, retries, random))
  }
}
