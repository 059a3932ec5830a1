/**
 * A node inside a program: joins a mesh with a token, waits for a service, calls it with an
 * ordinary HttpClient under the mesh's policies, and leaves nothing behind.
 *
 *     node examples/embed/main.ts TOKEN [SERVICE]
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpClient } from "@effect/platform"
import { Console, Effect, Logger, LogLevel } from "effect"
import { MeshHttpClient, ServiceName, SkeinNode } from "../../src/mod.ts"

const [token, service = "on-node"] = process.argv.slice(2)
if (token === undefined) {
  console.error("usage: node examples/embed/main.ts TOKEN [SERVICE]   (TOKEN: skein invite)")
  process.exit(2)
}

const program = Effect.gen(function* () {
  const node = yield* SkeinNode
  const name = ServiceName.make(service)
  yield* node.awaitService(name).pipe(Effect.timeout("20 seconds"))

  // The same client any Effect program uses; the layer decides that it goes through the mesh.
  const client = yield* HttpClient.HttpClient
  const response = yield* client.get(`http://${name}.mesh/hello`)
  yield* Console.log(`${response.status} from ${name} by way of ${node.name}:`)
  yield* Console.log(yield* response.text)
})

const dataDir = mkdtempSync(join(tmpdir(), "skein-embed-"))
const Node = SkeinNode.layer(
  {
    node: { name: `embedded-${process.pid}`, dataDir, listen: ["/ip4/127.0.0.1/tcp/0"] },
    admin: "127.0.0.1:0",
    outbound: { http: "off" },
    policies: { [service]: { timeout: { request: "2s" }, retry: { attempts: 3 } } }
  },
  { join: token }
)

await program.pipe(
  Effect.provide(MeshHttpClient.layer),
  Effect.provide(Node),
  Logger.withMinimumLogLevel(LogLevel.Warning),
  Effect.ensuring(Effect.sync(() => rmSync(dataDir, { recursive: true, force: true }))),
  Effect.runPromise
)
process.exit(0)
