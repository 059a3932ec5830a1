/**
 * The retries of one call: how many there were, whom the next one passes over and when it may be, and
 * what the budget is told of them. Made at the first failure that may be retried: most calls never
 * have one.
 */
import type { Ticker } from "../../model/Time.ts"
import { isWell, type Verdict } from "../policy/Classifier.ts"
import { retryAfterMillis } from "../policy/RetryAfter.ts"
import type { EndpointState } from "./EndpointState.ts"
import type { RetryStep } from "./RetryStep.ts"
import type { ServicePlan } from "./ServicePlan.ts"
import { Tried } from "./Tried.ts"

/** An attempt that came to nothing. */
export interface FailedAttempt {
  readonly endpoint: EndpointState
  readonly verdict: Verdict
  /** Value of Retry-After, if it was said. */
  readonly retryAfter: string | undefined
}

export class CallRetries {
  readonly #step: RetryStep
  readonly #plan: ServicePlan
  /** Of the call as it came: above 0 it is itself a retry further up. */
  readonly #attempt: number
  readonly tried = new Tried<EndpointState>()
  made = 0
  /** Those of which the budget has not been told yet what came of them. */
  #unsettled = 0

  constructor(step: RetryStep, plan: ServicePlan, attempt: number) {
    this.#step = step
    this.#plan = plan
    this.#attempt = attempt
  }

  /**
   * Milliseconds until the next attempt, which is paid for then; undefined: there is to be none. It
   * has to be within the policy, before the deadline and with somebody to send it to; and the budget
   * is asked last, so that nothing is withdrawn in vain. `spent`: only the budget was against it.
   */
  next(
    { endpoint, retryAfter, verdict }: FailedAttempt,
    deadline: number,
    now: number,
    ticker: Ticker
  ): number | "spent" | undefined {
    if (this.made >= this.#step.attempts) return undefined
    const { candidates } = this.#plan.selection(now)
    if (candidates.all.length === 0) return undefined
    this.tried.add(endpoint, now + askedWait(retryAfter, ticker))
    const ready = this.tried.readyAt(candidates)
    const delay = this.#step.delay(verdict, this.made, ready - now, ticker.random())
    if (delay === undefined || now + delay >= deadline) return undefined
    if (!this.#step.withdraw(this.#attempt, now)) {
      this.#plan.budgetExhausted()
      return "spent"
    }
    this.made++
    this.#unsettled++
    this.#plan.retried(verdict)
    return delay
  }

  /** What the call came to, with its retries: the budget grants less while they do not help. */
  settle(verdict: Verdict, now: number): void {
    if (this.#unsettled === 0) return
    this.#step.settled(this.#unsettled, isWell(verdict), now)
    this.#unsettled = 0
  }
}

/** Milliseconds for which an endpoint wants to be left alone. */
const askedWait = (retryAfter: string | undefined, ticker: Ticker): number =>
  retryAfter === undefined ? 0 : (retryAfterMillis(retryAfter, ticker.wall()) ?? 0)
