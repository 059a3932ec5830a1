/**
 * A policy for any Effect: the same cores the request plane runs, in a shell of Clock and Random.
 *
 *     const guarded = PolicyEffect.apply(policy, { name: "ledger", idempotent: true })
 *     yield* guarded(readBalance(account))
 *
 * `apply` makes the state (budget, circuit) once; every effect passed to the result shares it. So
 * call it once per thing that is called, not once per call. What holds of a policy, and what cannot:
 *
 * - `timeout.request` and `timeout.perTry` hold, both from the start of the effect. One that cannot
 *   be interrupted is waited for. `connect` and the idle limits need a connection to watch.
 * - `retry` holds. `idempotent` stands in for `methods`; `bodyLimit` has nothing to limit.
 * - `breaker` holds, with one circuit for the target.
 * - `ejection` and `balance` need several endpoints, which an Effect does not have.
 *
 * A target that says "failed" by succeeding (a response with status 503) looks well: let it fail
 * first (`HttpClient.filterStatusOk`), and say in `classify` what its failures mean.
 */
import { Cause, Clock, Duration, Effect, Exit, Option, Random, Schema } from "effect"
import type { Policy } from "../model/Policy.ts"
import { fullJitter } from "../request/policy/Backoff.ts"
import { Breaker, type Permit } from "../request/policy/Breaker.ts"
import { isWell, type Verdict, verdicts } from "../request/policy/Classifier.ts"
import { longestRetryAfter } from "../request/policy/RetryAfter.ts"
import { RetryBudget } from "../request/policy/RetryBudget.ts"
import { RetryRules } from "../request/policy/RetryRules.ts"

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
  /** Milliseconds until a call may be let through as a probe; 0: when the one under way is over. */
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
   * What a failure says about the target; asked once for each. Default: a `reset`, i.e. it counts
   * against the target and is retried when idempotent; of a policy within this one, its time-out
   * is a `timeout` and its open circuit a `connectFailure`. Return `verdicts.refused` for failures
   * that are the caller's own.
   */
  readonly classify?: (error: E) => Verdict
  /**
   * How long a failure asks to wait before the next attempt; undefined: it does not say. The wait
   * is kept where back-off would have been shorter; for more than 5 s, or than what is left of
   * `timeout.request`, there is no further attempt. Default: what an open circuit within says.
   */
  readonly retryAfter?: (error: E) => Duration.DurationInput | undefined
}

const whatFailed = (error: unknown): Verdict =>
  error instanceof BreakerOpen
    ? verdicts.connectFailure
    : error instanceof PolicyTimeout
      ? verdicts.timeout
      : verdicts.reset

const whatAsks = (error: unknown): Duration.DurationInput | undefined =>
  error instanceof BreakerOpen ? error.retryAfter : undefined

/** Milliseconds that no step of the wall clock touches. */
const monotonic = Clock.clockWith((clock) =>
  Effect.sync(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6)
)

/** What the end of an attempt means, once for all who want to know. */
interface Judgement {
  /** Undefined: it was interrupted, which says nothing about the target. */
  readonly verdict: Verdict | undefined
  /** Milliseconds that a failure asks to wait; undefined: nothing may follow it. */
  readonly asked?: number
}

interface Ended<A, E> extends Judgement {
  readonly exit: Exit.Exit<A, E>
}

/** The retries of one call. The budget is told once what came of them: it grants less while they do not help. */
class CallRetries {
  made = 0
  readonly #budget: RetryBudget | undefined
  #settled = false

  constructor(budget: RetryBudget | undefined) {
    this.#budget = budget
  }

  settle(verdict: Verdict, now: number): void {
    if (this.made === 0 || this.#settled) return
    this.#settled = true
    this.#budget?.settled(this.made, isWell(verdict), now)
  }
}

export const apply = <E = unknown>(policy: Policy, options: PolicyEffectOptions<E>) => {
  const { name, classify = whatFailed, idempotent = false, retryAfter = whatAsks } = options
  const retry = policy.retry === "off" ? undefined : policy.retry
  const rules = retry && new RetryRules(retry)
  const budget = retry && new RetryBudget(retry.budget)
  const breaker = policy.breaker === "off" ? undefined : new Breaker(policy.breaker)
  const { perTry = Number.POSITIVE_INFINITY, request = Number.POSITIVE_INFINITY } = policy.timeout

  const judge = (exit: Exit.Exit<unknown, E>): Judgement => {
    if (Exit.isSuccess(exit)) return { verdict: verdicts.success }
    if (Cause.isInterruptedOnly(exit.cause)) return { verdict: undefined }
    const failure = Cause.failureOption(exit.cause)
    // A defect is the target's failure too; but what is broken stays so, and nothing follows it.
    if (Option.isNone(failure)) return { verdict: verdicts.serverError }
    const asked = Option.fromNullable(retryAfter(failure.value))
    return {
      verdict: classify(failure.value),
      asked: Option.match(asked, { onNone: () => 0, onSome: Duration.toMillis })
    }
  }

  const settle = (permit: Permit, verdict: Verdict | undefined, now: number, random: number) => {
    // As in the request plane: what is the caller's own fault, or never got there for want of room,
    // leaves the circuit as it was.
    if (verdict === undefined || verdict === verdicts.refused || verdict === verdicts.overflow) {
      breaker?.abandon(permit, now)
    } else if (verdict.success) breaker?.success(permit)
    else breaker?.failure(permit, now, random)
  }

  const tooLong = (limit: "perTry" | "request") =>
    new PolicyTimeout({ target: name, limit, millis: limit === "perTry" ? perTry : request })

  /** The effect's own end, or the limit that came first. */
  const within = <A, E1 extends E, R>(
    effect: Effect.Effect<A, E1, R>,
    left: number
  ): Effect.Effect<Exit.Exit<A, E1> | PolicyTimeout, never, R> => {
    const duration = Math.min(perTry, left)
    if (!Number.isFinite(duration)) return Effect.exit(effect)
    return Effect.timeoutTo(Effect.exit(effect), {
      duration,
      onSuccess: (exit) => exit,
      onTimeout: () => tooLong(perTry < left ? "perTry" : "request")
    })
  }

  /**
   * Runs the effect once, if there is time and the circuit lets it through; a bare failure says
   * why not. What admits and what settles it cannot be interrupted, so that no circuit waits for a
   * probe that is gone.
   */
  const attempt = <A, E1 extends E, R>(
    effect: Effect.Effect<A, E1, R>,
    deadline: number
  ): Effect.Effect<Ended<A, E1 | PolicyTimeout> | PolicyFailure, never, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const begun = yield* monotonic
        if (begun >= deadline) return tooLong("request")
        const permit = breaker === undefined ? "normal" : breaker.admit(begun)
        if (permit === undefined) {
          const wait = Math.max(0, (breaker?.openUntil ?? 0) - begun)
          return new BreakerOpen({ target: name, retryAfter: wait })
        }
        const outcome = yield* Effect.exit(restore(within(effect, deadline - begun)))
        // By itself it only ever succeeds: with an end. A failure is an interruption from outside.
        const end = Exit.isSuccess(outcome) ? outcome.value : Exit.failCause(outcome.cause)
        const now = yield* monotonic
        const random = yield* Random.next
        // Should `classify` throw, that counts as any defect does.
        let judgement: Judgement = { verdict: verdicts.serverError }
        try {
          if (end instanceof PolicyTimeout) {
            judgement = { verdict: verdicts.timeout, asked: 0 }
            return { exit: Exit.fail(end), ...judgement }
          }
          judgement = judge(end)
          return { exit: end, ...judgement }
        } finally {
          settle(permit, judgement.verdict, now, random)
        }
      })
    )

  /**
   * Milliseconds after which another attempt may follow, in the order of the request plane
   * (OutboundExchange): the budget is asked last, so that nothing is withdrawn in vain.
   */
  const pause = (
    { verdict, asked }: Judgement,
    retries: number,
    deadline: number,
    now: number,
    random: number
  ): number | undefined => {
    if (retry === undefined || rules === undefined || budget === undefined) return undefined
    if (verdict === undefined || asked === undefined || retries >= retry.attempts) return undefined
    if (!rules.allow(verdict, idempotent) || asked > longestRetryAfter) return undefined
    const delay = Math.max(asked, fullJitter(retry.backoff, retries, random))
    if (now + delay >= deadline) return undefined
    if (breaker !== undefined && !breaker.ready(now)) return undefined
    return budget.withdraw(now) ? delay : undefined
  }

  const run = <A, E1 extends E, R>(
    effect: Effect.Effect<A, E1, R>,
    call: CallRetries
  ): Effect.Effect<A, E1 | PolicyFailure, R> =>
    Effect.gen(function* () {
      const started = yield* monotonic
      const deadline = started + request
      budget?.deposit(started)
      let last: Exit.Exit<A, E1 | PolicyTimeout> | undefined
      for (;;) {
        const ended = yield* attempt(effect, deadline)
        const now = yield* monotonic
        if (ended instanceof BreakerOpen || ended instanceof PolicyTimeout) {
          call.settle(verdicts.timeout, now)
          // Others may have opened the circuit during back-off: what the target said last says more.
          return yield* ended instanceof BreakerOpen ? (last ?? ended) : ended
        }
        last = ended.exit
        const delay = pause(ended, call.made, deadline, now, yield* Random.next)
        if (delay === undefined) {
          if (ended.verdict !== undefined) call.settle(ended.verdict, now)
          return yield* last
        }
        call.made++
        yield* Effect.sleep(delay)
      }
    })

  return <A, E1 extends E, R>(
    effect: Effect.Effect<A, E1, R>
  ): Effect.Effect<A, E1 | PolicyFailure, R> =>
    Effect.suspend(() => {
      const call = new CallRetries(budget)
      // Whatever was run again has not helped a caller that gave up, be it in an attempt or between two.
      const givenUp = Effect.map(monotonic, (now) => call.settle(verdicts.timeout, now))
      return Effect.onInterrupt(run(effect, call), () => givenUp)
    })
}
