/** The guards of one endpoint, by hook: what an attempt walks. */
import type { Fault } from "../../model/Fault.ts"
import type { Verdict } from "../policy/Classifier.ts"
import type {
  Abandonment,
  EndpointFact,
  EndpointGuard,
  EndpointStep,
  GuardedAttempt,
  GuardedEndpoint
} from "./EndpointStep.ts"
import type { StepService } from "./StepService.ts"
import { having } from "./StepSlot.ts"

export class EndpointGuards {
  readonly #steps: ReadonlyArray<EndpointStep>
  /** At the index of their steps. */
  readonly #all: ReadonlyArray<EndpointGuard>
  readonly #admits
  readonly #answereds
  readonly #settleds
  readonly #abandoneds
  readonly #closeds
  readonly #service: StepService

  /** Guards of steps that are in `previous` too are kept, with what they know. */
  constructor(
    steps: ReadonlyArray<EndpointStep>,
    endpoint: GuardedEndpoint,
    service: StepService,
    previous?: EndpointGuards
  ) {
    this.#service = service
    this.#steps = steps
    const kept = steps.map((step) => previous?.of(step))
    previous?.leave(kept)
    this.#all = steps.map((step, index) => kept[index] ?? step.enter(endpoint))
    this.#admits = having(this.#all, "admit")
    this.#answereds = having(this.#all, "answered")
    this.#settleds = having(this.#all, "settled")
    this.#abandoneds = having(this.#all, "abandoned")
    this.#closeds = having(this.#all, "closed")
  }

  /** The guard that a step has made. */
  of(step: EndpointStep): EndpointGuard | undefined {
    const index = this.#steps.indexOf(step)
    return index === -1 ? undefined : this.#all[index]
  }

  /** A fault: it is refused, and those that had admitted it know. */
  admit(attempt: GuardedAttempt, now: number): Fault | undefined {
    for (let i = 0; i < this.#admits.length; i++) {
      const guard = this.#admits[i]!
      try {
        const fault = guard.admit(attempt, now)
        if (fault !== undefined) return this.#takeBack(attempt, guard, now, fault)
      } catch (error) {
        this.#defect(error)
      }
    }
    return undefined
  }

  answered(attempt: GuardedAttempt, verdict: Verdict, now: number): void {
    for (let i = 0; i < this.#answereds.length; i++) {
      try {
        this.#answereds[i]!.answered(attempt, verdict, now)
      } catch (error) {
        this.#defect(error)
      }
    }
  }

  settled(attempt: GuardedAttempt, verdict: Verdict, now: number): void {
    for (let i = 0; i < this.#settleds.length; i++) {
      try {
        this.#settleds[i]!.settled(attempt, verdict, now)
      } catch (error) {
        this.#defect(error)
      }
    }
  }

  abandoned(attempt: GuardedAttempt, now: number, why: Abandonment): void {
    for (const guard of this.#abandoneds) {
      try {
        guard.abandoned(attempt, now, why)
      } catch (error) {
        this.#defect(error)
      }
    }
  }

  closed(attempt: GuardedAttempt): void {
    for (let i = 0; i < this.#closeds.length; i++) {
      try {
        this.#closeds[i]!.closed(attempt)
      } catch (error) {
        this.#defect(error)
      }
    }
  }

  recovered(now: number): void {
    for (const guard of having(this.#all, "recovered")) {
      try {
        guard.recovered(now)
      } catch (error) {
        this.#defect(error)
      }
    }
  }

  learn(fact: EndpointFact, now: number): void {
    for (const guard of having(this.#all, "learn")) {
      try {
        guard.learn(fact, now)
      } catch (error) {
        this.#defect(error)
      }
    }
  }

  /** All but those that are kept. */
  leave(kept: ReadonlyArray<EndpointGuard | undefined> = []): void {
    for (const guard of having(this.#all, "leave")) {
      if (kept.includes(guard)) continue
      try {
        guard.leave()
      } catch (error) {
        this.#defect(error)
      }
    }
  }

  #takeBack(attempt: GuardedAttempt, refusing: EndpointGuard, now: number, fault: Fault): Fault {
    for (const guard of this.#all) {
      if (guard === refusing) break
      try {
        guard.abandoned?.(attempt, now, "no_room")
        guard.closed?.(attempt)
      } catch (error) {
        this.#defect(error)
      }
    }
    return fault
  }

  #defect(error: unknown): void {
    this.#service.onDefect(error, `a step of the endpoints of ${this.#service.service}`)
  }
}
