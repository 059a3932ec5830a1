/**
 * A host that was lost with its data directory comes back under its name, with a new key, before the
 * mesh has given the old node up: then it waits for that instead of asking for another name.
 */
import { Effect, Schedule } from "effect"
import type { JoinError } from "../mesh/trust/Join.ts"

/** The mesh gives a node up that died without a word after some 6 to 10 s, on busy hosts later. */
const knocks = 30
const knockEvery = "1 second"

/** Tries again while only the name is in the way. */
export const whenNameIsFree = <A>(
  name: string,
  join: Effect.Effect<A, JoinError>
): Effect.Effect<A, JoinError> =>
  Effect.catchIf(join, isNameTaken, () =>
    Effect.zipRight(
      Effect.logWarning(
        `another node of the mesh is called ${name}; should it be dead, the mesh gives it up within seconds, so this one knocks again for ${knocks} s`
      ),
      Effect.retry(join, {
        while: isNameTaken,
        times: knocks,
        schedule: Schedule.spaced(knockEvery)
      })
    )
  )

const isNameTaken = ({ attempts }: JoinError): boolean =>
  attempts.some(({ code }) => code === "name_taken")
