/**
 * The circuit around one endpoint; when it opens is ConsecutiveFailures' business.
 *
 *     closed ──threshold reached──► open ──its time is over, next request──► half_open
 *       ▲                            ▲                                           │
 *       └────────probe succeeds──────│───────────────────────────────────────────┤
 *                                    └───────────probe fails: open twice as long─┘
 *
 * Half-open lets exactly one real request through, the probe; everybody else is refused until it
 * has a verdict. Results of requests admitted before the circuit opened say nothing about the
 * endpoint now and are ignored.
 */
import type { BreakerPolicy } from "../model/Policy.ts"
import { ConsecutiveFailures } from "./ConsecutiveFailures.ts"

export type BreakerState = "closed" | "open" | "half_open"

/** How a request was let through; handed back with its result. */
export type Permit = "normal" | "probe"

export class Breaker {
  readonly #base: number
  readonly #max: number
  readonly #failures: ConsecutiveFailures
  #state: BreakerState = "closed"
  /** Times it opened since it was last closed. */
  #openings = 0
  #until = 0

  constructor(policy: BreakerPolicy) {
    this.#base = policy.open.base
    this.#max = policy.open.max
    this.#failures = new ConsecutiveFailures(policy.consecutiveFailures)
  }

  get state(): BreakerState {
    return this.#state
  }

  /** When open: the time of the earliest probe. Otherwise 0. */
  get openUntil(): number {
    return this.#state === "open" ? this.#until : 0
  }

  /** Would `admit` let a request through? Changes nothing. */
  ready(now: number): boolean {
    return this.#state === "closed" || (this.#state === "open" && now >= this.#until)
  }

  /** Undefined: refused. A `probe` moves the circuit to half-open. */
  admit(now: number): Permit | undefined {
    if (this.#state === "closed") return "normal"
    if (this.#state === "half_open" || now < this.#until) return undefined
    this.#state = "half_open"
    return "probe"
  }

  /** True when the state changed. */
  success(permit: Permit): boolean {
    if (permit === "normal") {
      if (this.#state === "closed") this.#failures.success()
      return false
    }
    if (this.#state !== "half_open") return false
    this.#state = "closed"
    this.#openings = 0
    this.#failures.reset()
    return true
  }

  /** True when the state changed. `random` in [0, 1). */
  failure(permit: Permit, now: number, random: number): boolean {
    if (permit === "normal") {
      if (this.#state !== "closed" || !this.#failures.failure()) return false
    } else if (this.#state !== "half_open") return false
    this.#open(now, random)
    return true
  }

  /** The request ended without a verdict (its caller left): the next request is the probe. */
  abandon(permit: Permit, now: number): boolean {
    if (permit !== "probe" || this.#state !== "half_open") return false
    this.#state = "open"
    this.#until = now
    return true
  }

  /** There is news that the endpoint is well again: an open circuit may be probed from `now` on. */
  probeFrom(now: number): void {
    this.#until = Math.min(this.#until, now)
  }

  #open(now: number, random: number): void {
    const time = Math.min(this.#max, this.#base * 2 ** this.#openings)
    // ± 50 %: callers that opened together do not probe together.
    this.#until = now + time * (0.5 + random)
    this.#openings = Math.min(this.#openings + 1, 32)
    this.#failures.reset()
    this.#state = "open"
  }
}
