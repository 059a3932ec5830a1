/** Runs main.ts, which has both hosts in it. */
import { join } from "node:path"
import { Effect } from "effect"
import { runChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { StepFailed } from "../stage/StepFailed.ts"

const script = join(import.meta.dirname, "main.ts")

const said = [
  "all carts are on host-a, and no call has failed",
  "the cart of user-0 has book, pen, cup, cup, cup, cup, cup, cup, cup, cup"
]

export const example: Example = {
  shows: "actors: carts on two hosts, found from both, that move while they are called",
  run: ({ narrator: { say, step } }) =>
    Effect.gen(function* () {
      yield* say("main.ts is two hosts that run shopping carts (cart.ts); one of them ends.")
      const { stdout } = yield* step(
        "carts are on both hosts, and on one when the other has ended; no call fails",
        Effect.filterOrElse(
          runChild({ name: "main.ts", script }),
          ({ stdout }) => said.every((line) => stdout.split("\n").includes(line)),
          ({ output }) => new StepFailed({ message: `main.ts said\n${output}` })
        ),
        () => said.join("; ")
      )
      yield* say(...stdout.trimEnd().split("\n"))
      return ["  npx node examples/actors/main.ts"]
    })
}
