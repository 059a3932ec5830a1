/** The steps of a call, by hook: what a call walks. */
import type { Fault } from "../../model/Fault.ts"
import type { Verdict } from "../policy/Classifier.ts"
import type { CallInFlight, CallStep, FailedAttempt, held } from "./CallStep.ts"
import type { StepService } from "./StepService.ts"
import { having } from "./StepSlot.ts"

export class CallSteps {
  readonly bodyKept: number | undefined
  /** Somebody wants to know when a request has been sent. */
  readonly watchSent: boolean
  readonly #begins
  readonly #sents
  readonly #answereds
  readonly #tunnelleds
  readonly #excuses
  readonly #faileds
  readonly #judgeds
  readonly #overs
  readonly #service: StepService

  constructor(steps: ReadonlyArray<CallStep>, service: StepService) {
    const kept = having(steps, "bodyKept").map(({ bodyKept }) => bodyKept)
    this.bodyKept = kept.length === 0 ? undefined : Math.max(...kept)
    this.#begins = having(steps, "begin")
    this.#sents = having(steps, "sent")
    this.#answereds = having(steps, "answered")
    this.#tunnelleds = having(steps, "tunnelled")
    this.#excuses = having(steps, "excuses")
    this.#faileds = having(steps, "failed")
    this.#judgeds = having(steps, "judged")
    this.#overs = having(steps, "over")
    this.watchSent = this.#sents.length > 0
    this.#service = service
  }

  begin(call: CallInFlight, now: number, first = 0): Fault | typeof held | undefined {
    for (let i = first; i < this.#begins.length; i++) {
      try {
        const answer = this.#begins[i]!.begin(call, now)
        if (answer !== undefined) return answer
      } catch (error) {
        this.defect(error)
      }
    }
    return undefined
  }

  /** The steps after one that has held the call. */
  beginAfter(step: CallStep, call: CallInFlight, now: number): Fault | typeof held | undefined {
    const begins: ReadonlyArray<CallStep> = this.#begins
    return this.begin(call, now, begins.indexOf(step) + 1)
  }

  sent(call: CallInFlight): void {
    for (let i = 0; i < this.#sents.length; i++) {
      try {
        this.#sents[i]!.sent(call)
      } catch (error) {
        this.defect(error)
      }
    }
  }

  answered(call: CallInFlight, now: number): void {
    for (let i = 0; i < this.#answereds.length; i++) {
      try {
        this.#answereds[i]!.answered(call, now)
      } catch (error) {
        this.defect(error)
      }
    }
  }

  tunnelled(call: CallInFlight): void {
    for (const step of this.#tunnelleds) {
      try {
        step.tunnelled(call)
      } catch (error) {
        this.defect(error)
      }
    }
  }

  excuses(call: CallInFlight, fault: Fault, now: number): boolean {
    for (const step of this.#excuses) {
      try {
        if (step.excuses(call, fault, now)) return true
      } catch (error) {
        this.defect(error)
      }
    }
    return false
  }

  failed(call: CallInFlight, failure: FailedAttempt, now: number): number | undefined {
    for (const step of this.#faileds) {
      try {
        const wait = step.failed(call, failure, now)
        if (wait !== undefined) return wait
      } catch (error) {
        this.defect(error)
      }
    }
    return undefined
  }

  judged(call: CallInFlight, verdict: Verdict, now: number): void {
    for (let i = 0; i < this.#judgeds.length; i++) {
      try {
        this.#judgeds[i]!.judged(call, verdict, now)
      } catch (error) {
        this.defect(error)
      }
    }
  }

  over(call: CallInFlight): void {
    for (let i = 0; i < this.#overs.length; i++) {
      try {
        this.#overs[i]!.over(call)
      } catch (error) {
        this.defect(error)
      }
    }
  }

  defect(error: unknown): void {
    this.#service.onDefect(error, `a step of the calls to ${this.#service.service}`)
  }
}
