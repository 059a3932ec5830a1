/**
 * How demo and examples talk: told as a story, or ticked off as a list. The steps are the same; the story
 * has sentences around them.
 */
import { Console, Duration, Effect } from "effect"
import type { StepFailed } from "./StepFailed.ts"

export interface Narrator {
  /** A paragraph of the story; nothing in a checklist. */
  say(...lines: ReadonlyArray<string>): Effect.Effect<void>
  /** Does something and shows how it came out; `describe` puts the result in a few words. */
  step<A, R>(
    title: string,
    work: Effect.Effect<A, StepFailed, R>,
    describe: (result: A) => string
  ): Effect.Effect<A, StepFailed, R>
}

export const makeNarrator = (once: boolean): Narrator => {
  const indent = once ? "" : "  "
  return {
    say: (...lines) => (once ? Effect.void : Console.log(["", ...lines].join("\n"))),
    step: (title, work, describe) =>
      Effect.timed(work).pipe(
        Effect.tap(([took, result]) => {
          const detail = describe(result)
          const seconds = (Duration.toMillis(took) / 1_000).toFixed(1)
          return Console.log(
            `${indent}√ ${title}${detail === "" ? "" : `: ${detail}`} (${seconds} s)`
          )
        }),
        Effect.tapError((failed) => Console.log(`${indent}× ${title}: ${failed.message}`)),
        Effect.map(([, result]) => result)
      )
  }
}
