/**
 * The circuit around one endpoint. So many failures with no success between them open it.
 *
 *     closed ──threshold reached──► open ──its time is over, next request──► half_open
 *       ▲                            ▲                                           │
 *       └────────a probe succeeds────│───────────────────────────────────────────┤
 *                                    └─────the probe fails: open twice as long───┘
 *
 * Half-open lets one real request through, the probe; everybody else is refused until there is
 * evidence. A probe may be any request, also one whose answer takes minutes by its nature, so it has
 * a time of its own: when that is over without evidence, the next request is another probe. Whichever
 * succeeds first closes the circuit; only the latest can open it again. Results of requests admitted
 * before the circuit opened say nothing about the endpoint now and are ignored.
 *
 * A node has several threads, each with a circuit of its own around the endpoint. They may share the
 * count of failures, and tell each other what they find out (`CircuitNews`), so that what one has learnt
 * costs the others no request, and one of them probes at a time.
 */
import type { BreakerPolicy } from "../../model/Policy.ts"
import { OwnRunCount, type RunCount } from "./RunCount.ts"

export type BreakerState = "closed" | "open" | "half_open"

/** What a circuit elsewhere on this node has become. Times are monotonic milliseconds. */
export type CircuitNews =
  | { readonly state: "open"; readonly until: number }
  /** Its probe is on its way; no other is needed before `until`. */
  | { readonly state: "probed"; readonly until: number }
  | { readonly state: "closed" }

/** How a request was let through; handed back with its result. A number: as that probe, from 1 on. */
export type Permit = "normal" | number

export class Breaker {
  readonly #base: number
  readonly #max: number
  readonly #probeTime: number
  readonly #threshold: number
  readonly #failures: RunCount
  #state: BreakerState = "closed"
  /** Times it opened since it was last closed. */
  #openings = 0
  /** The latest probe, and the first of those that belong to the present half-open time. */
  #probe = 0
  #firstProbe = 0
  /** Open: no probe before this. Half-open: no other probe before this. */
  #until = 0

  constructor(policy: BreakerPolicy, failures: RunCount = new OwnRunCount()) {
    this.#base = policy.open.base
    this.#max = policy.open.max
    this.#probeTime = policy.probe
    this.#threshold = policy.consecutiveFailures
    this.#failures = failures
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Nobody is let through before this time; 0 when closed. */
  get openUntil(): number {
    return this.#state === "closed" ? 0 : this.#until
  }

  /** Would `admit` let a request through? Changes nothing. */
  ready(now: number): boolean {
    return this.#state === "closed" || now >= this.#until
  }

  /** Undefined: refused. A probe moves an open circuit to half-open. */
  admit(now: number): Permit | undefined {
    if (this.#state === "closed") return "normal"
    if (now < this.#until) return undefined
    this.#probe++
    if (this.#state === "open") this.#firstProbe = this.#probe
    this.#state = "half_open"
    this.#until = now + this.#probeTime
    return this.#probe
  }

  /** True when the state changed. */
  success(permit: Permit): boolean {
    if (permit === "normal") {
      if (this.#state === "closed") this.#failures.clear()
      return false
    }
    if (this.#state !== "half_open" || permit < this.#firstProbe) return false
    this.#state = "closed"
    this.#openings = 0
    this.#failures.clear()
    return true
  }

  /** True when the state changed. `random` in [0, 1). */
  failure(permit: Permit, now: number, random: number): boolean {
    if (permit === "normal") {
      if (this.#state !== "closed" || !this.#failures.add(this.#threshold)) return false
    } else if (!this.#decides(permit)) return false
    this.#open(now, random)
    return true
  }

  /** The request ended without a verdict (its caller left): the next request is the probe. */
  abandon(permit: Permit, now: number): boolean {
    if (permit === "normal" || !this.#decides(permit)) return false
    this.#state = "open"
    this.#until = now
    return true
  }

  /** What others of this node are to know of the state there is now. */
  get news(): CircuitNews {
    return this.#state === "closed"
      ? { state: "closed" }
      : { state: this.#state === "open" ? "open" : "probed", until: this.#until }
  }

  /** Another circuit around the same endpoint has moved. True when the state changed. */
  learn(news: CircuitNews): boolean {
    const before = this.#state
    switch (news.state) {
      case "closed":
        this.#state = "closed"
        this.#openings = 0
        this.#failures.clear()
        break
      case "open":
        this.#until = news.until
        this.#openings = Math.min(this.#openings + 1, 32)
        this.#failures.clear()
        this.#state = "open"
        break
      case "probed":
        // A probe of our own is evidence as good as theirs.
        if (before === "open") this.#until = news.until
    }
    return this.#state !== before
  }

  /** There is news that the endpoint is well again: an open circuit may be probed from `now` on. */
  probeFrom(now: number): void {
    this.#until = Math.min(this.#until, now)
  }

  /** Nobody goes by it any more: what it has counted is over. */
  forget(): void {
    this.#failures.clear()
  }

  #decides(probe: number): boolean {
    return this.#state === "half_open" && probe === this.#probe
  }

  #open(now: number, random: number): void {
    const time = Math.min(this.#max, this.#base * 2 ** this.#openings)
    // ± 50 %: callers that opened together do not probe together.
    this.#until = now + time * (0.5 + random)
    this.#openings = Math.min(this.#openings + 1, 32)
    this.#failures.clear()
    this.#state = "open"
  }
}
