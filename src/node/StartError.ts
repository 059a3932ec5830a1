/** Why a node did not start, whatever part of it said so. */
import { Data } from "effect"

/** What every start-up failure of the parts carries. */
interface Problem {
  readonly _tag: string
  readonly message: string
  readonly code?: string
}

export class StartError extends Data.TaggedError("StartError")<{
  /** Stable: `locked`, `no_identity`, `address_in_use`, … */
  readonly code: string
  /** What failed, the value, the likely cause and the mend. */
  readonly message: string
  readonly cause: unknown
}> {
  static readonly from = (problem: Problem): StartError =>
    problem instanceof StartError
      ? problem
      : new StartError({
          code: problem.code ?? problem._tag,
          message: problem.message,
          cause: problem
        })
}
