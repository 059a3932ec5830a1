/**
 * Tells outlier ejection how attempts ended, and everybody else whom it took out. One per service: it
 * compares the endpoints with each other. Who may be picked is Selection's to say, which reads the
 * records.
 */
import type { EjectionPolicy } from "../../model/Policy.ts"
import type { Verdict } from "../policy/Classifier.ts"
import {
  type Ejection,
  type EjectionNews,
  type EjectionRecord,
  OutlierEjection
} from "../policy/OutlierEjection.ts"
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
    const record = this.#ejection.add({
      failures: this.#service.runCount(endpoint.key, "ejection_failures"),
      proof: this.#service.runCount(endpoint.key, "ejection_proof")
    })
    endpoint.ejection = record
    this.#endpoints.set(record, endpoint)
    return new EjectionGuard(this, this.#ejection, record)
  }

  /** It has proved that it is well. */
  returned(record: EjectionRecord): void {
    const endpoint = this.#endpoints.get(record)
    if (endpoint !== undefined) this.#tell(endpoint, { state: "well" })
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

  /** Who is out or unwell has changed. The end of an interval may find others than `asked`. */
  moved(ejections: ReadonlyArray<Ejection>, asked: EjectionRecord, attempt: GuardedAttempt): void {
    this.#service.invalidate()
    for (const { reason, record, state } of ejections) {
      const endpoint = this.#endpoints.get(record)
      if (endpoint === undefined) continue
      const until = state === "out" ? record.until : record.spared
      this.#tell(endpoint, { state, until, reason })
      if (state === "spared") continue
      this.#service.metrics.ejection(this.#service.service, endpoint.key, reason)
      if (record === asked) attempt.event("ejected")
    }
  }

  #tell(endpoint: GuardedEndpoint, news: EjectionNews): void {
    this.#service.tell(endpoint.key, { kind: "ejection", news })
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
    if (wasOut && !this.#isOut(now)) this.#step.returned(this.#record)
  }

  learn(fact: EndpointFact, now: number): void {
    if (this.#left || fact.kind !== "ejection") return
    if (this.#ejection.learn(this.#record, fact.news, now)) this.#step.learnt()
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
