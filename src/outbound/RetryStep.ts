/** The retry step of one service: may this attempt be followed by another, and when? */
import type { RetryPolicy } from "../model/Policy.ts"
import type { Ticker } from "../model/Time.ts"
import { fullJitter } from "../policy/Backoff.ts"
import { type Verdict, verdicts } from "../policy/Classifier.ts"
import { longestRetryAfter, retryAfterMillis } from "../policy/RetryAfter.ts"
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

  /** Once per exchange: earns a share of a retry. */
  deposit(now: number): void {
    this.#budget.deposit(now)
  }

  /** Takes one retry out of the budget, if there is one. */
  withdraw(now: number): boolean {
    return this.#budget.withdraw(now)
  }

  /** `method` is undefined for a tunnel: what was sent into it is never sent again. */
  allows(verdict: Verdict, method: string | undefined): boolean {
    return this.#rules.allow(verdict, method !== undefined && this.#rules.repeatable(method))
  }

  /**
   * Milliseconds to wait before the retry after `retries` others; undefined when the endpoint asks
   * for a longer wait than a proxy should keep a caller for.
   */
  delay(
    verdict: Verdict,
    retries: number,
    retryAfter: string | undefined,
    elsewhere: boolean,
    ticker: Ticker
  ): number | undefined {
    // Nothing was sent and there is an endpoint not tried yet: no reason to wait.
    if (verdict === verdicts.connectFailure && elsewhere) return 0
    const delay = fullJitter(this.#policy.backoff, retries, ticker.random())
    if (retryAfter === undefined) return delay
    const asked = retryAfterMillis(retryAfter, ticker.wall())
    if (asked === undefined) return delay
    return asked > longestRetryAfter ? undefined : Math.max(delay, asked)
  }
}
