/**
 * Calls the ledger of examples/rpc/server.ts, wherever in the mesh it is:
 *
 *     npx skein invite                           # on any host of the mesh; prints a token
 *     npx node examples/rpc/client.ts TOKEN
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RpcClient } from "@effect/rpc"
import { Console, Effect, Logger, LogLevel, Stream } from "effect"
import { ServiceName, SkeinNode } from "skein"
import { MeshRpc } from "skein/rpc"
import { Ledger } from "./ledger.ts"

const [token] = process.argv.slice(2)
if (token === undefined) {
  console.error("usage: npx node examples/rpc/client.ts TOKEN   (npx skein invite)")
  process.exit(2)
}

const program = Effect.gen(function* () {
  const node = yield* SkeinNode
  // It does not come back: the others need not keep it in their lists.
  yield* Effect.addFinalizer(() => node.leave)
  yield* node.awaitService(ServiceName.make("ledger")).pipe(Effect.timeout("20 seconds"))
  const ledger = yield* RpcClient.make(Ledger)

  yield* Console.log(
    `after paying 60 there are ${yield* ledger.Pay({ from: "alice", amount: 60 })}`
  )
  yield* ledger
    .Pay({ from: "alice", amount: 60 })
    .pipe(
      Effect.catchTag("NotCovered", ({ missing }) =>
        Console.log(`for 60 more ${missing} are missing`)
      )
    )
  yield* Console.log(`the balance is ${yield* ledger.Balance({ of: "alice" })}`)
  yield* Stream.runForEach(ledger.Payments(), (payment) => Console.log(`paid: ${payment}`))
})

const dataDir = mkdtempSync(join(tmpdir(), "skein-rpc-client-"))
const Node = SkeinNode.layer({ node: { name: "till", dataDir } }, { join: token })

await program.pipe(
  Effect.scoped,
  Effect.provide(MeshRpc.layerClient("ledger", { group: Ledger })),
  Effect.provide(Node),
  Effect.catchAll((error) => {
    process.exitCode = 1
    return Console.error(error.message)
  }),
  Logger.withMinimumLogLevel(LogLevel.Warning),
  Effect.ensuring(Effect.sync(() => rmSync(dataDir, { recursive: true, force: true }))),
  Effect.runPromise
)
