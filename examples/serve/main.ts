/**
 * A service in Effect, served to the mesh with no port opened: a node inside this program offers it, and
 * calls come to its handlers as they are.
 *
 *     npx skein invite --services stock          # on any host of the mesh; prints a token
 *     npx node examples/serve/main.ts TOKEN
 *     curl -x 127.0.0.1:4140 http://stock.mesh/items/tea
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
  HttpServer
} from "@effect/platform"
import { Console, Effect, Layer, Schema } from "effect"
import { CalledBy, formatCaller, MeshHttpServer, SkeinNode } from "skein"

const [token] = process.argv.slice(2)
if (token === undefined) {
  console.error(
    "usage: npx node examples/serve/main.ts TOKEN   (npx skein invite --services stock)"
  )
  process.exit(2)
}

class UnknownItem extends Schema.TaggedError<UnknownItem>()(
  "UnknownItem",
  { item: Schema.String },
  HttpApiSchema.annotations({ status: 404 })
) {}

const Count = Schema.Struct({ item: Schema.String, count: Schema.Int, toldTo: Schema.String })

const Stock = HttpApi.make("stock").add(
  HttpApiGroup.make("items").add(
    HttpApiEndpoint.get("count", "/items/:item")
      .setPath(Schema.Struct({ item: Schema.String }))
      .addSuccess(Count)
      .addError(UnknownItem)
  )
)

const counts = new Map([["tea", 12]])

const Items = HttpApiBuilder.group(Stock, "items", (handlers) =>
  handlers.handle("count", ({ path: { item } }) =>
    Effect.gen(function* () {
      const count = counts.get(item)
      if (count === undefined) return yield* new UnknownItem({ item })
      const caller = yield* CalledBy
      return { item, count, toldTo: caller === undefined ? "nobody" : formatCaller(caller) }
    })
  )
)

const dataDir = mkdtempSync(join(tmpdir(), "skein-serve-"))
const Node = SkeinNode.layer({ node: { dataDir } }, { join: token })

const Served = HttpApiBuilder.serve().pipe(
  HttpServer.withLogAddress,
  Layer.provide(HttpApiBuilder.api(Stock)),
  Layer.provide(Items),
  Layer.provide(MeshHttpServer.layer("stock")),
  Layer.provide(HttpServer.layerContext),
  Layer.provide(Node)
)

const program = Layer.launch(Served).pipe(
  Effect.catchAll(({ message }) => {
    process.exitCode = 1
    return Console.error(message)
  }),
  Effect.ensuring(Effect.sync(() => rmSync(dataDir, { recursive: true, force: true })))
)
const fiber = Effect.runFork(program)
for (const signal of ["SIGINT", "SIGTERM"]) {
  // The mesh hears of it first, and what runs may end.
  process.once(signal, () => fiber.unsafeInterruptAsFork(fiber.id()))
}
