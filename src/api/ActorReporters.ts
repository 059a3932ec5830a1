/** Who in this program knows something of actors, and what they say when the program's node asks. */
import { Effect, type Scope } from "effect"
import { type ActorQuestion, type ActorReports, actorLimits } from "../schema/ActorReportSchema.ts"

export type ActorReporter = (question: ActorQuestion) => ActorReports

export class ActorReporters {
  readonly #all = new Set<ActorReporter>()

  /** Until the scope closes. */
  add(reporter: ActorReporter): Effect.Effect<void, never, Scope.Scope> {
    // The same one may be there twice.
    const one: ActorReporter = (question) => reporter(question)
    return Effect.acquireRelease(
      Effect.sync(() => void this.#all.add(one)),
      () => Effect.sync(() => void this.#all.delete(one))
    )
  }

  /** As many as an answer has room for. */
  readonly answer: ActorReporter = (question) =>
    [...this.#all].flatMap((reporter) => reporter(question)).slice(0, actorLimits.reports)
}
