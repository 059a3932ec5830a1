/** Runs main.ts, which has both hosts in it, and then attached.ts, on a host whose node lets programs attach. */
import { join } from "node:path"
import { Effect } from "effect"
import { runChild, startChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { startOneNode, temporaryDirectory } from "../stage/Nodes.ts"
import { eventually, StepFailed } from "../stage/StepFailed.ts"

const script = join(import.meta.dirname, "main.ts")
const attached = join(import.meta.dirname, "attached.ts")

const said = [
  "all carts are on host-a, and no call has failed",
  "the cart of user-0 has book, pen, cup, cup, cup, cup, cup, cup, cup, cup"
]

export const example: Example = {
  shows:
    "actors: carts on two hosts, found from both, that move while they are called; and attached",
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

      yield* say(
        "attached.ts runs carts in programs that have no node: they share that of their host."
      )
      const directory = yield* temporaryDirectory
      const place = [`unix:${join(directory, "programs.sock")}`, join(directory, "carts.sqlite")]
      yield* step(
        "a mesh of one node is up, where programs may attach",
        startOneNode({ programs: { listen: place[0] } }),
        ({ name }) => name
      )
      for (const name of ["first", "second"]) {
        const program = yield* startChild({ name, script: attached, args: [...place, name] })
        const runs = Effect.gen(function* () {
          const ended = program.ended()
          if (ended !== undefined)
            yield* new StepFailed({ message: `${ended} ${program.output()}` })
          return new RegExp(`^${name} runs carts$`, "m").exec(program.output())?.[0]
        })
        yield* step("a program is attached", eventually("its word", 30, runs), (text) => text)
      }
      yield* step(
        "a third asks, and finds all carts",
        Effect.filterOrElse(
          runChild({ name: "attached.ts", script: attached, args: place }),
          ({ stdout }) => stdout === "carts are in first and second\nthe cart of user-0 has book",
          ({ output }) => new StepFailed({ message: `attached.ts said\n${output}` })
        ),
        ({ stdout }) => stdout.split("\n").join("; ")
      )
      return ["  npx node examples/actors/main.ts"]
    })
}
