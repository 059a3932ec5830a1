/**
 * How many retries a service may cost on top of its requests, so that a failing service is not
 * buried under them (Finagle's and Linkerd's retry budget). Every request deposits, every retry
 * withdraws; both count for one window. The invariant, checked at each withdrawal:
 *
 *     retries in the window ≤ ratio · requests in the window + minPerSecond · window
 *
 * The window slides in ten steps, so what is exact is a window of nine to ten tenths.
 */
import type { RetryBudgetPolicy } from "../model/Policy.ts"

const steps = 10

export class RetryBudget {
  readonly #ratio: number
  readonly #reserve: number
  readonly #step: number
  readonly #deposits = new Array<number>(steps).fill(0)
  readonly #withdrawals = new Array<number>(steps).fill(0)
  #deposited = 0
  #withdrawn = 0
  /** Number of the step written to, counted from the clock's zero. */
  #current = 0

  constructor(policy: RetryBudgetPolicy) {
    this.#ratio = policy.ratio
    this.#reserve = (policy.minPerSecond * policy.window) / 1_000
    this.#step = Math.max(policy.window / steps, 1)
  }

  /** Called once per request (not per attempt). */
  deposit(now: number): void {
    this.#slide(now)
    this.#deposits[this.#current % steps]!++
    this.#deposited++
  }

  /** True: the retry is paid for. */
  withdraw(now: number): boolean {
    if (this.available(now) < 1) return false
    this.#withdrawals[this.#current % steps]!++
    this.#withdrawn++
    return true
  }

  /** Retries that could be withdrawn now. */
  available(now: number): number {
    this.#slide(now)
    const balance = this.#ratio * this.#deposited + this.#reserve - this.#withdrawn
    // Five deposits at 0.2 are one retry, whatever binary fractions make of it.
    return Math.floor(balance + 1e-9)
  }

  #slide(now: number): void {
    const step = Math.floor(now / this.#step)
    if (step <= this.#current) return
    const first = Math.max(this.#current + 1, step - steps + 1)
    for (let passed = first; passed <= step; passed++) {
      const slot = passed % steps
      this.#deposited -= this.#deposits[slot]!
      this.#withdrawn -= this.#withdrawals[slot]!
      this.#deposits[slot] = 0
      this.#withdrawals[slot] = 0
    }
    this.#current = step
  }
}
