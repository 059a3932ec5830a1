/**
 * Puts a circuit around each endpoint, tells it how attempts ended, and everybody else when it moves.
 * Who may be picked at all is Selection's to say, which reads the circuits.
 */
import type { BreakerPolicy } from "../../model/Policy.ts"
import { Breaker, type Permit } from "../policy/Breaker.ts"
import type { Verdict } from "../policy/Classifier.ts"
import type {
  EndpointFact,
  EndpointGuard,
  EndpointStep,
  GuardedAttempt,
  GuardedEndpoint
} from "./EndpointStep.ts"
import type { StepService } from "./StepService.ts"
import { StepSlot } from "./StepSlot.ts"

/** Of probes alone; others are let through as a matter of course. */
const permits = new StepSlot<Permit>()

export class BreakerStep implements EndpointStep {
  readonly #policy: BreakerPolicy
  readonly #service: StepService

  constructor(policy: BreakerPolicy, service: StepService) {
    this.#policy = policy
    this.#service = service
  }

  enter(endpoint: GuardedEndpoint): EndpointGuard {
    const failures = this.#service.runCount(endpoint.key, "circuit_failures")
    const breaker = new Breaker(this.#policy, failures)
    endpoint.breaker = breaker
    return new BreakerGuard(endpoint, breaker, this.#service)
  }
}

class BreakerGuard implements EndpointGuard {
  readonly #endpoint: GuardedEndpoint
  readonly #breaker: Breaker
  readonly #service: StepService

  constructor(endpoint: GuardedEndpoint, breaker: Breaker, service: StepService) {
    this.#endpoint = endpoint
    this.#breaker = breaker
    this.#service = service
  }

  /** The endpoint was picked, so its circuit lets the attempt through. */
  admit(attempt: GuardedAttempt, now: number): undefined {
    if (this.#breaker.state !== "closed") this.#probe(attempt, now)
  }

  #probe(attempt: GuardedAttempt, now: number): void {
    const before = this.#breaker.state
    const permit = this.#breaker.admit(now)
    if (permit === undefined || permit === "normal") return
    permits.put(attempt, permit)
    attempt.probing = true
    // Further probes of a half-open circuit are no transition, but the selection waits anew.
    if (before === "open") this.#moved()
    else {
      this.#service.invalidate()
      this.#tell()
    }
  }

  settled(attempt: GuardedAttempt, verdict: Verdict, now: number): void {
    const permit = permits.of(attempt) ?? "normal"
    if (verdict.success) {
      if (this.#breaker.success(permit)) this.#moved()
    } else this.#failed(attempt, permit, now)
  }

  #failed(attempt: GuardedAttempt, permit: Permit, now: number): void {
    const opened = this.#breaker.failure(permit, now, this.#service.random())
    if (opened && this.#moved()) attempt.event("breaker_open")
  }

  abandoned(attempt: GuardedAttempt, now: number): void {
    if (this.#breaker.abandon(permits.of(attempt) ?? "normal", now)) this.#moved()
  }

  recovered(now: number): void {
    this.#breaker.probeFrom(now)
  }

  learn(fact: EndpointFact): void {
    if (fact.kind !== "circuit" || this.#endpoint.breaker !== this.#breaker) return
    const moved = this.#breaker.learn(fact.news)
    this.#service.invalidate()
    // Who found it out has counted it.
    if (moved) this.#service.metrics.breakerState(this.#place, this.#breaker.state)
  }

  leave(): void {
    this.#breaker.forget()
    this.#endpoint.breaker = undefined
  }

  /** False: it is the endpoint's circuit no more. */
  #moved(): boolean {
    const endpoint = this.#endpoint
    if (endpoint.breaker !== this.#breaker) return false
    this.#service.invalidate()
    if (!endpoint.gone) this.#service.metrics.breaker(this.#place, this.#breaker.state)
    this.#tell()
    return true
  }

  #tell(): void {
    this.#service.tell(this.#endpoint.key, { kind: "circuit", news: this.#breaker.news })
  }

  get #place() {
    return { service: this.#service.service, endpoint: this.#endpoint.key }
  }
}
