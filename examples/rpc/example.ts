/** Sets the stage for server.ts and client.ts: a mesh of one node, which lets both in. */
import { join } from "node:path"
import { Effect } from "effect"
import { runChild, startChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import { invite, startOneNode, usable } from "../stage/Nodes.ts"
import { eventually, StepFailed } from "../stage/StepFailed.ts"

const script = (name: string): string => join(import.meta.dirname, `${name}.ts`)

const said = [
  "after paying 60 there are 40",
  "for 60 more 20 are missing",
  "the balance is 40",
  "paid: 60 of alice by host/till"
]

export const example: Example = {
  shows: "@effect/rpc between two programs of the mesh: answers, typed failures, streams",
  run: ({ narrator: { say, step } }) =>
    Effect.gen(function* () {
      const node = yield* step("a mesh of one node is up", startOneNode(), ({ name }) => name)
      yield* say(
        "server.ts joins it as a node of its own and serves the ledger, client.ts calls it."
      )
      const token = yield* invite(node, "--services", "ledger")
      const server = yield* startChild({ name: "ledger", script: script("server"), args: [token] })
      const offered = Effect.gen(function* () {
        const ended = server.ended()
        if (ended !== undefined) yield* new StepFailed({ message: `${ended}: ${server.output()}` })
        return (yield* usable(node, "ledger")) > 0 ? true : undefined
      })
      yield* step("the ledger is served", eventually("the mesh knows it", 30, offered), () => "")
      const client = Effect.flatMap(invite(node), (token) =>
        runChild({ name: "client.ts", script: script("client"), args: [token] })
      )
      yield* step(
        "its client is answered, refused by a typed failure, and reads a stream",
        Effect.filterOrElse(
          client,
          ({ stdout }) => said.every((line) => stdout.split("\n").includes(line)),
          ({ output }) => new StepFailed({ message: `the client said\n${output}` })
        ),
        () => said.join("; ")
      )
      return [
        `  npx node examples/rpc/client.ts $(npx skein invite --admin ${node.admin})`,
        `  npx skein services --admin ${node.admin}`
      ]
    })
}
