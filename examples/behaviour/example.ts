/** Runs simulated.ts and live.ts, which are given the same function. */
import { join } from "node:path"
import { Effect } from "effect"
import { runChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { StepFailed } from "../stage/StepFailed.ts"

const says = (file: string, expected: RegExp): Effect.Effect<string, StepFailed> =>
  Effect.filterOrFail(
    Effect.map(
      runChild({ name: file, script: join(import.meta.dirname, file) }),
      ({ stdout }) => stdout
    ),
    (output) => expected.test(output),
    (output) => new StepFailed({ message: `${file} says ${JSON.stringify(output)}` })
  )

export const example: Example = {
  shows: "a pure behaviour, in the simulator and as actors of a program",
  run: ({ narrator: { step } }) =>
    Effect.gen(function* () {
      yield* step(
        "in 200 simulated minutes of crashes and cuts no coin is lost",
        says("simulated.ts", /^\d+ gifts in 200 runs, \d+ messages lost, and no coin$/m),
        (output) => output
      )
      yield* step(
        "the same function gives coins as an actor",
        says("live.ts", /^ann has 70 coins, and bob has 130$/m),
        (output) => output
      )
      return []
    })
}
