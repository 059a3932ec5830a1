/** A program of this host that can be asked how its actors fare. */
import type { ActorQuestion, ActorReports } from "../schema/ActorReportSchema.ts"
import type { NoReports } from "./ProgramControl.ts"

export interface AskedProgram {
  /** What it is called; null: the node is in it. */
  readonly program: string | null
  readonly services: ReadonlyArray<string>
  /** Answers once, or never. Returns how to wait no longer. */
  readonly ask: (
    question: ActorQuestion,
    then: (answer: ActorReports | NoReports) => void
  ) => () => void
}
