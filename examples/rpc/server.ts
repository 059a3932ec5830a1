/**
 * RPCs of @effect/rpc, served to the mesh with no port opened:
 *
 *     npx skein invite --services ledger         # on any host of the mesh; prints a token
 *     npx node examples/rpc/server.ts TOKEN
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RpcServer } from "@effect/rpc"
import { Console, Effect, Layer, Stream } from "effect"
import { CalledBy, formatCaller, SkeinNode } from "skein"
import { MeshRpc } from "skein/rpc"
import { Ledger, NotCovered } from "./ledger.ts"

const [token] = process.argv.slice(2)
if (token === undefined) {
  console.error(
    "usage: npx node examples/rpc/server.ts TOKEN   (npx skein invite --services ledger)"
  )
  process.exit(2)
}

const balances = new Map([["alice", 100]])
const payments: Array<string> = []

const Handlers = Ledger.toLayer({
  Pay: ({ amount, from }) =>
    Effect.gen(function* () {
      const left = (balances.get(from) ?? 0) - amount
      if (left < 0) return yield* new NotCovered({ missing: -left })
      balances.set(from, left)
      const caller = yield* CalledBy
      payments.push(`${amount} of ${from} by ${caller === undefined ? "?" : formatCaller(caller)}`)
      return left
    }),
  Balance: ({ of }) => Effect.succeed(balances.get(of) ?? 0),
  Payments: () => Stream.fromIterable(payments)
})

const dataDir = mkdtempSync(join(tmpdir(), "skein-rpc-server-"))
const Served = RpcServer.layer(Ledger).pipe(
  Layer.provide(Handlers),
  Layer.provide(MeshRpc.layerServer("ledger")),
  Layer.provide(SkeinNode.layer({ node: { dataDir } }, { join: token }))
)

const fiber = Effect.runFork(
  Layer.launch(Served).pipe(
    Effect.catchAll(({ message }) => {
      process.exitCode = 1
      return Console.error(message)
    }),
    Effect.ensuring(Effect.sync(() => rmSync(dataDir, { recursive: true, force: true })))
  )
)
for (const signal of ["SIGINT", "SIGTERM"]) {
  // The mesh hears of it first, and what runs may end.
  process.once(signal, () => fiber.unsafeInterruptAsFork(fiber.id()))
}
