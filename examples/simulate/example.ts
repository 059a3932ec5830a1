/** Runs the scenario of partition.ts, once for one seed. */
import { join } from "node:path"
import { Effect } from "effect"
import { runChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { temporaryDirectory } from "../stage/Nodes.ts"

const root = join(import.meta.dirname, "..", "..")

export const example: Example = {
  shows: "sixty simulated nodes in two zones that lose each other for a minute",
  run: ({ narrator: { step } }) =>
    Effect.gen(function* () {
      const chart = join(yield* temporaryDirectory, "partition.svg")
      yield* step(
        "partition.ts holds: both sides change, and nobody restarts anything",
        runChild({
          name: "partition.ts",
          script: join(root, "src", "testing", "simulator", "main.ts"),
          args: [join(import.meta.dirname, "partition.ts"), "--seed", "7", "--svg", chart]
        }),
        () => ""
      )
      return []
    })
}
