import { Data, Duration, Effect } from "effect"

/** A step of a demo or an example did not come out as it should; the message says what was expected. */
export class StepFailed extends Data.TaggedError("StepFailed")<{ readonly message: string }> {}

/** Milliseconds between two looks at a condition. */
const lookEvery = 100

/**
 * Waits for a condition: looks until `probe` gives something other than undefined. Failures of
 * the probe count as not yet, and the last one is told when time is up.
 */
export const eventually = <A, E>(
  what: string,
  seconds: number,
  probe: Effect.Effect<A | undefined, E>
): Effect.Effect<A, StepFailed> => {
  let last = ""
  const look: Effect.Effect<A> = probe.pipe(
    Effect.catchAll((cause) => {
      last = ` (last: ${cause instanceof Error ? cause.message : String(cause)})`
      return Effect.succeed(undefined)
    }),
    Effect.flatMap((found) =>
      found === undefined
        ? Effect.sleep(lookEvery).pipe(Effect.zipRight(Effect.suspend(() => look)))
        : Effect.succeed(found)
    )
  )
  return look.pipe(
    Effect.timeoutFail({
      duration: Duration.seconds(seconds),
      onTimeout: () => new StepFailed({ message: `not within ${seconds} s: ${what}${last}` })
    })
  )
}
