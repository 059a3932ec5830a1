/**
 * How many retries a service may cost on top of its requests, so that a failing service is not
 * buried under them (Finagle's and Linkerd's retry budget). Every request deposits, every retry
 * withdraws. The invariant, for every window that ends with a retry:
 *
 *     retries in the window ≤ (ratio · requests in the window + minPerSecond · window) · usefulness
 *
 * It is exact: time goes in steps of a tenth of the window, a deposit counts for at most ten of
 * them and a withdrawal for at least ten. (In a window that ends otherwise retries may have been
 * spent that requests shortly before its begin had earned.)
 *
 * Retries of calls that fail all the same are only load on a service that is down, so the budget
 * shrinks as they do not help:
 *
 *     usefulness = (helped + 8) / (settled + 8)
 *
 * over the same time, where a retry has helped when its call ended well. One bad endpoint among
 * good ones costs nothing of it. Of a budget of n a dead service gets about √(8·n): by default some
 * 25 in a window of ten seconds, which are two for each of a dozen calls. Retries under way are taken
 * to help: when an endpoint dies under a hundred calls, all hundred are made again elsewhere. So calls
 * that fail in the same moment may take all of the budget, once.
 */
import type { RetryBudgetPolicy } from "../../model/Policy.ts"
import { SlidingCount } from "./SlidingCount.ts"

const steps = 10

/** Retries that are taken to have helped before there is any experience. */
const benefitOfDoubt = 8

export class RetryBudget {
  readonly #ratio: number
  readonly #reserve: number
  readonly #deposits: SlidingCount
  readonly #withdrawals: SlidingCount
  readonly #helped: SlidingCount
  readonly #settled: SlidingCount

  constructor(policy: RetryBudgetPolicy) {
    this.#ratio = policy.ratio
    this.#reserve = (policy.minPerSecond * policy.window) / 1_000
    const step = Math.max(policy.window / steps, 1)
    this.#deposits = new SlidingCount(step, steps)
    this.#withdrawals = new SlidingCount(step, steps + 1)
    this.#helped = new SlidingCount(step, steps)
    this.#settled = new SlidingCount(step, steps)
  }

  /** Called once per request (not per attempt). */
  deposit(now: number): void {
    this.#deposits.add(1, now)
  }

  /** True: the retry is paid for. Without `reserve` only by what requests have deposited. */
  withdraw(now: number, reserve = true): boolean {
    if (this.available(now, reserve) < 1) return false
    this.#withdrawals.add(1, now)
    return true
  }

  /** A call that had so many retries is over. */
  settled(retries: number, helped: boolean, now: number): void {
    this.#settled.add(retries, now)
    if (helped) this.#helped.add(retries, now)
  }

  /** Retries that could be withdrawn now. */
  available(now: number, reserve = true): number {
    const granted = this.#ratio * this.#deposits.total(now) + (reserve ? this.#reserve : 0)
    const helped = this.#helped.total(now) + benefitOfDoubt
    const settled = this.#settled.total(now) + benefitOfDoubt
    const balance = (granted * helped) / settled - this.#withdrawals.total(now)
    // Five deposits at 0.2 are one retry, whatever binary fractions make of it.
    return Math.max(0, Math.floor(balance + 1e-9))
  }
}
