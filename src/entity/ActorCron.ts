/**
 * What is done at times of the calendar, once in the mesh: a singleton that keeps in the store when it was last
 * done, so that a move or a restart neither leaves a time out nor does it again.
 */
import { Clock, Cron, Duration, Effect, type Layer, Schema, type Scope } from "effect"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { ActorOptions } from "./Actor.ts"
import type { CurrentAddress } from "./ActorAddress.ts"
import * as ActorState from "./ActorState.ts"
import type { Actors } from "./Actors.ts"
import type { CurrentActivation } from "./CurrentActivation.ts"
import * as Singleton from "./Singleton.ts"

export interface ActorCronOptions<E, R> {
  /** The type is `Singleton-Cron-NAME`. */
  readonly name: string
  readonly cron: Cron.Cron
  /** At least once for each time: again when what did it ended before that was saved. */
  readonly execute: Effect.Effect<unknown, E, R>
  /** A time that is longer ago is left out. Default 1 day. */
  readonly skipIfOlderThan?: Duration.DurationInput | undefined
  readonly guarantee?: ActorOptions["guarantee"]
}

const Done = Schema.Struct({
  /** Milliseconds since 1970 of the last time that was dealt with. */
  last: Schema.optionalWith(Schema.Number, { exact: true })
})

/** Milliseconds slept at a time: timers take 24 days at most, and clocks are set meanwhile. */
const longestSleep = 86_400_000

const until = (time: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    now >= time
      ? Effect.void
      : Effect.zipRight(Effect.sleep(Math.min(longestSleep, time - now)), until(time))
  )

export const make = <E, R>({
  cron,
  execute,
  guarantee,
  name,
  skipIfOlderThan = "1 day"
}: ActorCronOptions<E, R>): Layer.Layer<
  never,
  ServeRefused,
  Actors | Exclude<R, CurrentActivation | CurrentAddress | Scope.Scope>
> => {
  const oldest = Duration.toMillis(skipIfOlderThan)
  const run = Effect.gen(function* () {
    const done = yield* ActorState.make(Done)
    while (true) {
      const { last } = yield* done.get
      const now = yield* Clock.currentTimeMillis
      // The first one ever is the next one to come.
      const next = Cron.next(cron, new Date(Math.max(last ?? now, now - oldest))).getTime()
      yield* until(next)
      yield* Effect.catchAllCause(execute, (cause) =>
        Effect.logWarning(`${name} has failed at its time; it is done again at the next`, cause)
      )
      yield* done.set({ last: next })
      yield* done.save
    }
  })
  return Singleton.make(`Cron-${name}`, run, { guarantee })
}
