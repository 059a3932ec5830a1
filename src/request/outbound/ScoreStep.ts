/** Keeps the score of each endpoint, by which the balancers choose and people see its latency. */
import type { Policy } from "../../model/Policy.ts"
import type { Verdict } from "../policy/Classifier.ts"
import { Score, type ScoreParameters } from "../policy/Score.ts"
import type {
  Abandonment,
  EndpointGuard,
  EndpointStep,
  GuardedAttempt,
  GuardedEndpoint
} from "./EndpointStep.ts"

/** For balancers that have none of their own: people look at latencies all the same. */
export const usualScore: ScoreParameters = { initial: 30, decay: 10_000 }

export const scoreParameters = ({ balance }: Policy): ScoreParameters =>
  balance.kind === "p2c_ewma" ? { initial: balance.initial, decay: balance.decay } : usualScore

export class ScoreStep implements EndpointStep {
  readonly #parameters: ScoreParameters

  constructor(parameters: ScoreParameters) {
    this.#parameters = parameters
  }

  enter(endpoint: GuardedEndpoint): EndpointGuard {
    endpoint.score = new Score(this.#parameters)
    return new ScoreGuard(endpoint.score)
  }
}

class ScoreGuard implements EndpointGuard {
  readonly #score: Score

  constructor(score: Score) {
    this.#score = score
  }

  answered({ startedAt }: GuardedAttempt, verdict: Verdict, now: number): void {
    if (verdict.served) this.#score.answered(now - startedAt, now)
    else this.#withoutWork(startedAt, verdict, now)
  }

  settled({ answer, startedAt }: GuardedAttempt, verdict: Verdict, now: number): void {
    if (answer === undefined) {
      if (verdict.served) this.#score.working(now)
      else this.#withoutWork(startedAt, verdict, now)
    } else if (!verdict.served && verdict !== answer) {
      // It has counted by its head, and ended otherwise.
      this.#score.retract(isFailure(verdict))
    }
  }

  /**
   * Where there was no room the balancer looks elsewhere first, since there seldom is some a moment
   * later; the endpoint was not asked and stays well.
   */
  abandoned({ startedAt }: GuardedAttempt, now: number, why: Abandonment): void {
    if (why === "no_room") this.#score.failed(now - startedAt, now)
    else this.#score.abandoned(now - startedAt, now)
  }

  #withoutWork(startedAt: number, verdict: Verdict, now: number): void {
    const latency = now - startedAt
    if (isFailure(verdict)) this.#score.failed(latency, now)
    else this.#score.declined(latency, now)
  }
}

/** To the balancer: what another endpoint might have done better. */
const isFailure = ({ conditions }: Verdict): boolean => conditions.length > 0
