/**
 * A node inside a program: joins a mesh with a token, waits for a service, calls it with an
 * ordinary HttpClient under the mesh's policies, and leaves: no directory and no member stays. In a
 * checkout:
 *
 *     npx node examples/embed/main.ts TOKEN [SERVICE] [PATH]
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpClient } from "@effect/platform"
import { Console, Effect, Logger, LogLevel } from "effect"
import { MeshHttpClient, ServiceName, SkeinNode } from "skein"

const [token, service = "web", path = "/"] = process.argv.slice(2)
if (token === undefined) {
  console.error(
    "usage: npx node examples/embed/main.ts TOKEN [SERVICE] [PATH]   (TOKEN: npx skein invite)"
  )
  process.exit(2)
}

const program = Effect.gen(function* () {
  const node = yield* SkeinNode
  // It does not come back: the others need not keep it in their lists.
  yield* Effect.addFinalizer(() => node.leave)
  const name = ServiceName.make(service)
  yield* node.awaitService(name).pipe(
    Effect.timeoutFail({
      duration: "20 seconds",
      onTimeout: () =>
        new Error(`no node of mesh ${node.mesh.name} offers ${name}: npx skein services`)
    })
  )

  // The same client any Effect program uses; the layer decides that it goes through the mesh.
  const client = yield* HttpClient.HttpClient
  const response = yield* client.get(`http://${name}.mesh${path}`)
  yield* Console.log(`${response.status} from ${name} by way of ${node.name}:`)
  yield* Console.log(yield* response.text)
})

const dataDir = mkdtempSync(join(tmpdir(), "skein-embed-"))
const Node = SkeinNode.layer(
  {
    node: { name: `embedded-${process.pid}`, dataDir },
    policies: { [service]: { timeout: { request: "2s" }, retry: { attempts: 3 } } }
  },
  { join: token }
)

await program.pipe(
  Effect.scoped,
  Effect.provide(MeshHttpClient.layer),
  Effect.provide(Node),
  Effect.catchAll(({ message }) => {
    process.exitCode = 1
    return Console.error(message)
  }),
  Logger.withMinimumLogLevel(LogLevel.Warning),
  Effect.ensuring(Effect.sync(() => rmSync(dataDir, { recursive: true, force: true }))),
  Effect.runPromise
)
