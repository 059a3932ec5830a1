/**
 * Tells outlier ejection how attempts ended, and everybody else whom it took out. One per service: it
 * compares the endpoints with each other. Who may be picked is Selection's to say, which reads the
 * records.
 */
import type { EjectionPolicy } from "../../model/Policy.ts"
import type { Verdict } from "../policy/Classifier.ts"
import { type Ejection, type EjectionRecord, OutlierEjection } from "../policy/OutlierEjection.ts"
import type {
  EndpointFact,
  EndpointGuard,
  EndpointStep,
  GuardedAttempt,
  GuardedEndpoint
} from "./EndpointStep.ts"
import type { StepService } from "./StepService.ts"

export class EjectionStep implements EndpointStep {
  readonly #ejection: OutlierEjection
  readonly #service: StepService
  readonly #endpoints = new Map<EjectionRecord, GuardedEndpoint>()

  constructor(policy: EjectionPolicy, service: StepService) {
    this.#ejection = new OutlierEjection(policy)
    this.#service = service
  }

  enter(endpoint: GuardedEndpoint): EndpointGuard {
    const record = this.#ejection.add()
    endpoint.ejection = record
    this.#endpoints.set(record, endpoint)
    return new EjectionGuard(this, this.#ejection, record)
  }

  /** It has proved that it is well. */
  returned(record: EjectionRecord, now: number): void {
    const endpoint = this.#endpoints.get(record)
    if (endpoint !== undefined) this.#service.tell(endpoint.key, { kind: "ejected", until: now })
  }

  /** Who is out is another now, as another thread says, which has counted it. */
  learnt(): void {
    this.#service.invalidate()
  }

  leave(record: EjectionRecord): void {
    this.#ejection.remove(record)
    const endpoint = this.#endpoints.get(record)
    this.#endpoints.delete(record)
    if (endpoint?.ejection === record) endpoint.ejection = undefined
  }

  /** Who is out or unwell has changed. The end of an interval may take out others than `asked`. */
  moved(ejections: ReadonlyArray<Ejection>, asked: EjectionRecord, attempt: GuardedAttempt): void {
    this.#service.invalidate()
    for (const { record, reason } of ejections) {
      const endpoint = this.#endpoints.get(record)
      if (endpoint === undefined) continue
      this.#service.metrics.ejection(this.#service.service, endpoint.key, reason)
      this.#service.tell(endpoint.key, { kind: "ejected", until: record.until })
      if (record === asked) attempt.event("ejected")
    }
  }
}

class EjectionGuard implements EndpointGuard {
  readonly #step: EjectionStep
  readonly #ejection: OutlierEjection
  readonly #record: EjectionRecord
  #left = false

  constructor(step: EjectionStep, ejection: OutlierEjection, record: EjectionRecord) {
    this.#step = step
    this.#ejection = ejection
    this.#record = record
  }

  settled(attempt: GuardedAttempt, verdict: Verdict, now: number): void {
    if (this.#left) return
    const { revision } = this.#ejection
    const wasOut = this.#isOut(now)
    const ejections = this.#ejection.result(this.#record, verdict.success, now, attempt)
    if (this.#ejection.revision === revision) return
    this.#step.moved(ejections, this.#record, attempt)
    if (wasOut && !this.#isOut(now)) this.#step.returned(this.#record, now)
  }

  learn(fact: EndpointFact, now: number): void {
    if (this.#left || fact.kind !== "ejected") return
    if (this.#ejection.learn(this.#record, fact.until, now)) this.#step.learnt()
  }

  #isOut(now: number): boolean {
    return this.#record.until > now || this.#record.spared > now
  }

  recovered(now: number): void {
    this.#record.until = Math.min(this.#record.until, now)
    this.#record.spared = 0
  }

  leave(): void {
    this.#left = true
    this.#step.leave(this.#record)
  }
}
