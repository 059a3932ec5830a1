/** Sets the stage for main.ts: a host whose node lets programs attach. */
import { join } from "node:path"
import { Effect } from "effect"
import { startChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { startOneNode, temporaryDirectory } from "../stage/Nodes.ts"
import { eventually, StepFailed } from "../stage/StepFailed.ts"
import { through } from "../stage/Through.ts"

const script = join(import.meta.dirname, "main.ts")

export const example: Example = {
  shows: "a program with no node and no port of its own, attached to the node of its host",
  run: ({ narrator: { say, step } }) =>
    Effect.gen(function* () {
      const socket = `unix:${join(yield* temporaryDirectory, "programs.sock")}`
      const node = yield* step(
        "a mesh of one node is up, where programs may attach",
        startOneNode({ programs: { listen: socket } }),
        ({ name }) => name
      )
      yield* say("main.ts attaches to it, serves greeter, and calls it through the mesh.")
      const program = yield* startChild({ name: "greeter", script, args: [socket] })
      const own = Effect.gen(function* () {
        const ended = program.ended()
        if (ended !== undefined) yield* new StepFailed({ message: `${ended} ${program.output()}` })
        return /^host-a serves it: hello, .*$/m.exec(program.output())?.[0]
      })
      yield* step("it is attached", eventually("its own call", 30, own), (text) => text)
      yield* step(
        "others call it, too",
        Effect.filterOrElse(
          through(node, "http://greeter.mesh/"),
          ({ status, text }) => status === 200 && text.startsWith("hello, "),
          ({ status, text }) => new StepFailed({ message: `it answered ${status} ${text}` })
        ),
        ({ text }) => text
      )
      return [`  curl -x ${node.proxy} http://greeter.mesh/`]
    })
}
