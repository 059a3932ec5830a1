/** Sets the stage for main.ts: a mesh of one node, which offers something to call. */
import { createServer } from "node:http"
import { join } from "node:path"
import { Effect } from "effect"
import { runChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { invite, type NodePlace, startOneNode, stateOf } from "../stage/Nodes.ts"
import { eventually, StepFailed } from "../stage/StepFailed.ts"

const script = join(import.meta.dirname, "main.ts")

/** Ordinary, and at any port. */
const startWeb = Effect.acquireRelease(
  Effect.async<{ readonly address: string; readonly close: () => void }, StepFailed>((resume) => {
    const server = createServer((_request, response) => response.end("hello from web\n"))
    server.once("error", ({ message }) => resume(new StepFailed({ message })))
    server.listen(0, "127.0.0.1", () => {
      const at = server.address()
      const address = `127.0.0.1:${typeof at === "object" && at !== null ? at.port : 0}`
      const close = (): void => {
        server.closeAllConnections()
        server.close()
      }
      resume(Effect.succeed({ address, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

/** True once that member is gone: `left`, and then no longer in the list. */
const leftBy = (node: NodePlace, name: string) =>
  Effect.map(stateOf(node, name), (state) =>
    state === undefined || state === "left" ? true : undefined
  )

export const example: Example = {
  shows: "a node inside an Effect program, and the mesh as its HttpClient",
  run: ({ narrator: { step } }) =>
    Effect.gen(function* () {
      const { address } = yield* startWeb
      const node = yield* step(
        "a mesh of one node is up, and offers web",
        startOneNode({ services: [{ name: "web", address }] }),
        ({ name }) => name
      )
      const token = yield* invite(node)
      const said = yield* step(
        "main.ts joins it and calls web",
        Effect.filterOrElse(
          runChild({ name: "main.ts", script, args: [token, "web", "/"] }),
          ({ stdout }) => /^200 from web by way of embedded-\d+:\nhello from web$/m.test(stdout),
          ({ output }) => new StepFailed({ message: `it said\n${output}` })
        ),
        ({ stdout }) => stdout.replaceAll("\n", " ")
      )
      const [name = ""] = /embedded-\d+/.exec(said.stdout) ?? []
      yield* step(
        "and has left it again",
        eventually(`${name} has left`, 10, leftBy(node, name)),
        () => ""
      )
      return [`  npx node examples/embed/main.ts $(npx skein invite --admin ${node.admin}) web /`]
    })
}
