/**
 * What runs once in the mesh: on one of the programs that have its layer, and on another when that one ends.
 * It is an actor with one address, so what is promised of actors is promised of it (`guarantee`).
 */
import * as Rpc from "@effect/rpc/Rpc"
import { Effect, Layer, Schedule, type Scope } from "effect"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import * as Actor from "./Actor.ts"
import type { CurrentAddress } from "./ActorAddress.ts"
import type { Actors } from "./Actors.ts"
import type { CurrentActivation } from "./CurrentActivation.ts"

/** Its one id. */
const only = "only"
/** Each program with its layer sees that often that it runs. */
const wakeEvery = "2 seconds"

/** After it has failed: 1 s, twice that the next time, and so on up to 30 s. */
const pauses = Schedule.union(Schedule.exponential("1 second"), Schedule.spaced("30 seconds"))

/**
 * The type is `Singleton-NAME`, and the service `actor-singleton-NAME`. `run` is interrupted when it moves, and
 * begun again after it has failed; one that has succeeded is done, until it moves.
 */
export const make = <E, R>(
  name: string,
  run: Effect.Effect<unknown, E, R>,
  options: Pick<Actor.ActorOptions, "guarantee" | "leaseTimes" | "weight"> = {}
): Layer.Layer<
  never,
  ServeRefused,
  Actors | Exclude<R, CurrentActivation | CurrentAddress | Scope.Scope>
> => {
  const Only = Actor.make(`Singleton-${name}`, [Rpc.make("Wake")])
  const live = Only.toLayer(
    Effect.gen(function* () {
      yield* Actor.keepAlive(true)
      yield* run.pipe(
        Effect.tapErrorCause((cause) =>
          Effect.logWarning(`the singleton ${name} has failed`, cause)
        ),
        Effect.sandbox,
        Effect.retry(pauses),
        Effect.ignore,
        Effect.forkScoped
      )
      return { Wake: () => Effect.void }
    }),
    options
  )
  const waking = Layer.scopedDiscard(
    Effect.gen(function* () {
      const client = yield* Only.client
      const wake = Effect.ignore(client(only).Wake(undefined, { discard: true }))
      yield* Effect.forkScoped(
        Effect.interruptible(Effect.forever(Effect.zipRight(wake, Effect.sleep(wakeEvery))))
      )
    })
  )
  return Layer.merge(live, waking)
}
