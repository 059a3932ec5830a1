/**
 * A service in Effect that has no node and no port of its own: the program is attached to the node of its
 * host, which says in its config where (`programs: { listen: unix:/run/skein/programs.sock }`).
 *
 *     npx node examples/attach/main.ts unix:/run/skein/programs.sock
 *     curl -x 127.0.0.1:4140 http://greeter.mesh/
 *
 * With --once it calls itself through the mesh, and ends.
 */
import { HttpClient, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { Console, Effect, Layer } from "effect"
import { CalledBy, formatCaller, MeshHttpClient, MeshHttpServer, ServiceName, Skein } from "skein"

const args = process.argv.slice(2)
const once = args.includes("--once")
const to = args.find((arg) => arg !== "--once")

const began = performance.now()
const Greetings = HttpRouter.empty.pipe(
  HttpRouter.get(
    "/",
    Effect.map(CalledBy, (caller) =>
      HttpServerResponse.text(`hello, ${caller === undefined ? "you" : formatCaller(caller)}\n`)
    )
  )
)

const Served = HttpServer.serve(Greetings).pipe(Layer.provide(MeshHttpServer.layer("greeter")))

const program = Effect.gen(function* () {
  const skein = yield* Skein
  yield* skein.awaitService(ServiceName.make("greeter"))
  const client = yield* HttpClient.HttpClient
  const { text } = yield* client.get("http://greeter.mesh/")
  const greeting = yield* text
  const took = Math.round(performance.now() - began)
  yield* Console.log(`${skein.node()} serves it: ${greeting.trim()} (first call after ${took} ms)`)
  if (!once) yield* Effect.never
})

const fiber = Effect.runFork(
  program.pipe(
    Effect.provide(Layer.merge(Served, MeshHttpClient.layer)),
    Effect.provide(Skein.attach({ to, name: "greeter" })),
    Effect.catchAll((error) => {
      process.exitCode = 1
      return Console.error(error.message)
    })
  )
)
for (const signal of ["SIGINT", "SIGTERM"]) {
  // The mesh hears of it first, and what runs may end.
  process.once(signal, () => fiber.unsafeInterruptAsFork(fiber.id()))
}
