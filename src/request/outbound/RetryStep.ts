/**
 * Retry, with its budget: may this attempt be followed by another, and when? The rules and the budget
 * are one service's; what a call has had of them is its own, made at the first failure that may be
 * retried: most calls never have one.
 */
import type { RetryPolicy } from "../../model/Policy.ts"
import { fullJitter } from "../policy/Backoff.ts"
import { isWell, type Verdict } from "../policy/Classifier.ts"
import { longestRetryAfter, retryAfterMillis } from "../policy/RetryAfter.ts"
import { RetryBudget } from "../policy/RetryBudget.ts"
import { RetryRules } from "../policy/RetryRules.ts"
import type { CallInFlight, CallStep, FailedAttempt } from "./CallStep.ts"
import type { EndpointState } from "./EndpointState.ts"
import type { StepService } from "./StepService.ts"
import { StepSlot } from "./StepSlot.ts"
import { Tried } from "./Tried.ts"

/** The retries of one call. */
class CallRetries {
  /** Whom the next one passes over. */
  readonly tried = new Tried<EndpointState>()
  made = 0
  /** Those since a program said when to come back: waits begin to double anew then. */
  inRow = 0
  /** Those of which the budget has not been told yet what came of them. */
  unsettled = 0
}

const calls = new StepSlot<CallRetries>()

export class RetryStep implements CallStep {
  readonly bodyKept: number
  readonly #policy: RetryPolicy
  readonly #rules: RetryRules
  readonly #budget: RetryBudget
  readonly #service: StepService

  constructor(policy: RetryPolicy, service: StepService) {
    this.bodyKept = policy.bodyLimit
    this.#policy = policy
    this.#rules = new RetryRules(policy)
    this.#budget = new RetryBudget(policy.budget)
    this.#service = service
  }

  /**
   * Earns a share of a retry. A call that is itself a retry further up (`attempt` above 0) earns
   * nothing: it is there because of a failure, and so would be its retries.
   */
  begin({ call }: CallInFlight, now: number): undefined {
    if (call.attempt === 0) this.#budget.deposit(now)
  }

  failed(call: CallInFlight, failure: FailedAttempt, now: number): number | undefined {
    const { verdict } = failure
    // There is nobody else to ask, and whoever has named it knows when that is worth while.
    if (call.call.only !== undefined) return undefined
    // What was sent into a tunnel, which has no method, is never sent again.
    const method = call.call.head?.method
    const repeatable = method !== undefined && this.#rules.repeatable(method)
    if (!this.#rules.allow(verdict, repeatable, failure.grpc)) return undefined
    let retries = calls.of(call)
    if (retries === undefined) {
      retries = new CallRetries()
      calls.put(call, retries)
    }
    const delay = this.#wait(call, retries, failure, now)
    if (delay === undefined) {
      this.#notAgain(retries, failure, now)
      return undefined
    }
    // Asked last, so that nothing is withdrawn in vain.
    if (!this.#budget.withdraw(now, call.call.attempt === 0)) {
      this.#notAgain(retries, failure, now)
      if (!this.#service.closed) this.#service.metrics.budgetExhausted(this.#service.service)
      call.event("retry_budget_exhausted")
      return undefined
    }
    retries.made++
    retries.inRow = failure.pushback === undefined ? retries.inRow + 1 : 0
    retries.unsettled++
    call.tried = retries.tried
    if (!this.#service.closed) this.#service.metrics.retry(this.#service.service, verdict)
    call.event("retry", {
      attempt: retries.made,
      reason: verdict.name,
      endpoint: failure.endpoint.key,
      delay
    })
    return delay
  }

  /** The budget grants less while retries do not help. */
  judged(call: CallInFlight, verdict: Verdict, now: number): void {
    const retries = calls.of(call)
    if (retries !== undefined) this.#settle(retries, isWell(verdict), now)
  }

  /**
   * What would be retried once more, and is not, has not helped, whatever it is to others. One that waits on may
   * help yet.
   */
  #notAgain(retries: CallRetries, { waitsOn = false }: FailedAttempt, now: number): void {
    if (!waitsOn) this.#settle(retries, false, now)
  }

  #settle(retries: CallRetries, helped: boolean, now: number): void {
    if (retries.unsettled === 0) return
    this.#budget.settled(retries.unsettled, helped, now)
    retries.unsettled = 0
  }

  /**
   * Milliseconds until the next attempt; undefined: there is to be none. It has to be within the
   * policy, before the deadline and with somebody to send it to.
   */
  #wait(
    call: CallInFlight,
    { inRow, made, tried }: CallRetries,
    { endpoint, pushback, retryAfter, verdict }: FailedAttempt,
    now: number
  ): number | undefined {
    if (made >= this.#policy.attempts || pushback === "never") return undefined
    const { candidates } = call.selection(now)
    if (candidates.all.length === 0) return undefined
    const asked = retryAfter === undefined ? 0 : (retryAfterMillis(retryAfter, call.wall()) ?? 0)
    tried.add(endpoint, now + (pushback ?? asked))
    const delay =
      pushback === undefined
        ? this.#delay(verdict, inRow, tried.readyAt(candidates) - now, this.#service.random())
        : pushedBack(pushback)
    if (delay === undefined || call.deadline === undefined) return delay
    return now + delay >= call.deadline ? undefined : delay
  }

  /**
   * Milliseconds to wait before the retry after `retries` others; undefined when that would be
   * longer than a proxy should keep a caller. `ready` is in how many milliseconds the first
   * endpoint may be asked: −∞ when there is one that was not tried. What others asked for is
   * nothing to it, but after an answer it is given the usual back-off all the same, because what
   * made one fail (load, as a rule) may be theirs in common.
   */
  #delay(verdict: Verdict, retries: number, ready: number, random: number): number | undefined {
    // Nobody was reached and there is an endpoint that was not tried: no reason to wait.
    if (verdict.conditions[0] === "connect_failure" && ready === Number.NEGATIVE_INFINITY) return 0
    if (ready > longestRetryAfter) return undefined
    return Math.max(ready, fullJitter(this.#policy.backoff, retries, random))
  }
}

/** It holds for the call, whoever gets it next, and as it was said (gRFC A6). */
const pushedBack = (millis: number): number | undefined =>
  millis > longestRetryAfter ? undefined : millis
