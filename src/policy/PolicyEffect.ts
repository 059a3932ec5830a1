/**
 * A policy for any Effect: the same cores the request plane runs, in a shell of Clock and Random.
 *
 *     const guarded = PolicyEffect.apply(policy, { name: "ledger", idempotent: true })
 *     yield* guarded(readBalance(account))
 *
 * `apply` makes the state (budget, circuit) once; every effect passed to the result shares it. So
 * call it once per thing that is called, not once per call. Of a policy's parts, timeouts, retry
 * and breaker apply; balancing and ejection need several endpoints, which an Effect does not have.
 */
import { Cause, Clock, Effect, Exit, Option, Random, Schema } from "effect"
import type { Policy } from "../model/Policy.ts"
import { fullJitter } from "./Backoff.ts"
import { Breaker, type Permit } from "./Breaker.ts"
import { type Verdict, verdicts } from "./Classifier.ts"
import { RetryBudget } from "./RetryBudget.ts"
import { RetryRules } from "./RetryRules.ts"

/** One attempt, or all attempts together, took longer than the policy allows. */
export class PolicyTimeout extends Schema.TaggedError<PolicyTimeout>()("PolicyTimeout", {
  /** What was called. */
  target: Schema.String,
  /** The limit that was reached: `timeout.perTry` or `timeout.request`. */
  limit: Schema.Literal("perTry", "request"),
  millis: Schema.Number
}) {
  override get message(): string {
    return `${this.target} did not answer within ${this.millis} ms (timeout.${this.limit}); it is slow or hangs, or the limit is too tight`
  }
}

/** The circuit is open: the call was not made. */
export class BreakerOpen extends Schema.TaggedError<BreakerOpen>()("BreakerOpen", {
  target: Schema.String,
  /** Milliseconds until a call will be let through as a probe; 0 while a probe is under way. */
  retryAfter: Schema.Number
}) {
  override get message(): string {
    return this.retryAfter > 0
      ? `${this.target} failed too often in a row; not called for another ${Math.ceil(this.retryAfter)} ms`
      : `${this.target} failed too often in a row; one call is probing it, the others wait for its result`
  }
}

export type PolicyFailure = PolicyTimeout | BreakerOpen

export interface PolicyEffectOptions<E> {
  /** What is called; stands in errors. */
  readonly name: string
  /** The effect may be run again although it may have had its effect already. Default: false. */
  readonly idempotent?: boolean
  /**
   * What a failure says about the target. Default: every failure is a `reset`, i.e. counts
   * against the target and is retried when idempotent. Return `verdicts.refused` for failures
   * that are the caller's own.
   */
  readonly classify?: (error: E) => Verdict
}

const whenFailed = (): Verdict => verdicts.reset

export const apply = <E>(policy: Policy, options: PolicyEffectOptions<E>) => {
  const { name, classify = whenFailed, idempotent = false } = options
  const { timeout } = policy
  const retry = policy.retry === "off" ? undefined : policy.retry
  const rules = retry && new RetryRules(retry)
  const budget = retry && new RetryBudget(retry.budget)
  const breaker = policy.breaker === "off" ? undefined : new Breaker(policy.breaker)

  /** One verdict per attempt, as in the request plane. */
  const verdictOf = (error: E | PolicyFailure): Verdict =>
    error instanceof PolicyTimeout
      ? verdicts.timeout
      : error instanceof BreakerOpen
        ? verdicts.refused
        : classify(error)

  const settle = <A>(permit: Permit, exit: Exit.Exit<A, E | PolicyFailure>) =>
    Effect.gen(function* () {
      if (breaker === undefined) return
      const now = yield* Clock.currentTimeMillis
      const random = yield* Random.next
      if (Exit.isSuccess(exit)) breaker.success(permit)
      else if (Cause.isInterruptedOnly(exit.cause)) breaker.abandon(permit, now)
      else {
        const error = Cause.failureOption(exit.cause)
        // A defect is the target's failure too.
        const verdict = Option.isSome(error) ? verdictOf(error.value) : verdicts.serverError
        if (verdict.success) breaker.success(permit)
        else breaker.failure(permit, now, random)
      }
    })

  /** Runs the effect once, within what is left of both time limits. */
  const attempt = <A, R>(effect: Effect.Effect<A, E, R>, deadline: number) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const permit = breaker === undefined ? "normal" : breaker.admit(now)
      if (permit === undefined) {
        const retryAfter = Math.max(0, (breaker?.openUntil ?? 0) - now)
        return yield* new BreakerOpen({ target: name, retryAfter })
      }
      const perTry = timeout.perTry ?? Number.POSITIVE_INFINITY
      const left = deadline - now
      const limit = perTry <= left ? "perTry" : "request"
      const millis = (limit === "perTry" ? timeout.perTry : timeout.request) ?? 0
      const limited: Effect.Effect<A, E | PolicyTimeout, R> = Number.isFinite(
        Math.min(perTry, left)
      )
        ? Effect.timeoutFail(effect, {
            duration: Math.max(0, Math.min(perTry, left)),
            onTimeout: () => new PolicyTimeout({ target: name, limit, millis })
          })
        : effect
      return yield* Effect.onExit(limited, (exit) => settle(permit, exit))
    })

  const run = <A, R>(
    effect: Effect.Effect<A, E, R>,
    deadline: number,
    retries: number
  ): Effect.Effect<A, E | PolicyFailure, R> =>
    Effect.catchAll(attempt(effect, deadline), (error) =>
      Effect.gen(function* () {
        const verdict = verdictOf(error)
        if (retry === undefined || rules === undefined || budget === undefined)
          return yield* Effect.fail(error)
        if (retries >= retry.attempts || !rules.allow(verdict, idempotent))
          return yield* Effect.fail(error)
        const now = yield* Clock.currentTimeMillis
        const delay = fullJitter(retry.backoff, retries, yield* Random.next)
        if (now + delay >= deadline || !budget.withdraw(now)) return yield* Effect.fail(error)
        yield* Effect.sleep(delay)
        return yield* run(effect, deadline, retries + 1)
      })
    )

  return <A, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | PolicyFailure, R> =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      budget?.deposit(now)
      return yield* run(effect, now + (timeout.request ?? Number.POSITIVE_INFINITY), 0)
    })
}
