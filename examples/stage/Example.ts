/**
 * What `npm run example -- NAME` runs: each directory that holds an `example.ts` is one, which exports
 * its `example`.
 */
import type { Effect, Scope } from "effect"
import type { Narrator } from "./Narrator.ts"
import type { StepFailed } from "./StepFailed.ts"

export interface Stage {
  readonly narrator: Narrator
  /** As a checklist that ends, and not as a story that goes on. */
  readonly once: boolean
  /** What stood behind the name, without `--once`. */
  readonly args: ReadonlyArray<string>
}

export interface Example {
  /** One line for the list. */
  readonly shows: string
  /**
   * Sets the stage and goes through the steps, each of which may fail. Gives what there is to try while
   * it all runs on; nothing where nothing does. All of it ends with the scope.
   */
  readonly run: (stage: Stage) => Effect.Effect<ReadonlyArray<string>, StepFailed, Scope.Scope>
}
