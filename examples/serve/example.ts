/** Sets the stage for main.ts: a mesh of one node, through which the service is called. */
import { join } from "node:path"
import { Effect } from "effect"
import { startChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { invite, startOneNode } from "../stage/Nodes.ts"
import { eventually, StepFailed } from "../stage/StepFailed.ts"
import { through } from "../stage/Through.ts"

const script = join(import.meta.dirname, "main.ts")

export const example: Example = {
  shows: "a service in Effect (HttpApi), served to the mesh with no port opened",
  run: ({ narrator: { say, step } }) =>
    Effect.gen(function* () {
      const node = yield* step("a mesh of one node is up", startOneNode(), ({ name }) => name)
      yield* say("main.ts joins it as a node of its own, and serves stock to it.")
      const token = yield* invite(node, "--services", "stock")
      const program = yield* startChild({ name: "stock", script, args: [token] })
      const tea = eventually(
        "stock answers",
        30,
        Effect.flatMap(through(node, "http://stock.mesh/items/tea"), ({ status, text }) => {
          if (status === 200) return Effect.succeed(text)
          return new StepFailed({ message: program.ended() ?? text })
        })
      )
      yield* step("its API is called through the mesh, and told by whom", tea, (text) => text)
      yield* step(
        "what it declares as an error is one to its caller",
        Effect.filterOrElse(
          through(node, "http://stock.mesh/items/milk"),
          ({ status }) => status === 404,
          ({ status, text }) => new StepFailed({ message: `milk is ${status} ${text}` })
        ),
        ({ text }) => `404 ${text}`
      )
      return [`  curl -x ${node.proxy} http://stock.mesh/items/tea`]
    })
}
