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
  /**
   * What becomes of times at which it was not done: no program with it ran, or the store was away, or the last one
   * took until then. `last` (the default): once for all of them, as @effect/cluster and CronJobs of Kubernetes do it;
   * `all`: once for each, one after the other.
   */
  readonly missed?: "all" | "last" | undefined
  /** A time that is longer ago is left out; 0: all that were missed are. Default 1 day. */
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

const timeAfter = (cron: Cron.Cron, time: number): number =>
  Cron.next(cron, new Date(time)).getTime()

/** The latest of its times up to now, or the first where that is yet to come. */
const latestUntil = (cron: Cron.Cron, first: number, now: number): number => {
  if (first > now) return first
  // Times are whole seconds, and the one before is looked for from after this one.
  return Math.max(first, Cron.prev(cron, new Date(now + 1_000)).getTime())
}

export const make = <E, R>({
  cron,
  execute,
  guarantee,
  missed = "last",
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
      const first = timeAfter(cron, Math.max(last ?? now, now - oldest))
      const next = missed === "all" ? first : latestUntil(cron, first, now)
      if (next > first) {
        const [from, to] = [first, next].map((time) => new Date(time).toISOString())
        yield* Effect.logInfo(
          `${name} was not done at its times from ${from} to ${to}, and is once for all of them`
        )
      }
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
