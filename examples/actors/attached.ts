/**
 * Carts in programs that have no node of their own: each is attached to the node of its host, which says in
 * its config where (`programs: { listen: unix:/run/skein/programs.sock }`). Several on one host share the carts.
 *
 *     npx node examples/actors/attached.ts unix:/run/skein/programs.sock ./carts.sqlite first
 *     npx node examples/actors/attached.ts unix:/run/skein/programs.sock ./carts.sqlite second
 *     npx node examples/actors/attached.ts unix:/run/skein/programs.sock ./carts.sqlite
 *
 * The last has no name, runs no carts, and asks twelve of them where they are.
 */
import { Console, Effect, Layer } from "effect"
import { Skein } from "skein"
import { ActorMesh, SqliteStore } from "skein/actors"
import { Cart, cartsOn } from "./cart.ts"

const [to, file = "./carts.sqlite", name] = process.argv.slice(2)

const Actors = ActorMesh.layer.pipe(
  Layer.provide(SqliteStore.layer({ file })),
  Layer.provideMerge(Skein.attach({ to, name: name ?? "asks" }))
)

const ask = Effect.gen(function* () {
  const carts = yield* Cart.client
  const users = Array.from({ length: 12 }, (_, i) => `user-${i}`)
  yield* Effect.forEach(users, (user) => carts(user).Add({ item: "book" }))
  const hosts = yield* Effect.forEach(users, (user) => carts(user).Host())
  yield* Console.log(`carts are in ${[...new Set(hosts)].sort().join(" and ")}`)
  yield* Console.log(`the cart of user-0 has ${(yield* carts("user-0").Items()).join(", ")}`)
})

const run = Effect.zipRight(Console.log(`${name} runs carts`), Effect.never).pipe(
  Effect.provide(cartsOn(name ?? "")),
  // SIGTERM: its carts are saved and left to the others before it is gone.
  Effect.raceFirst(
    Effect.async<void>((end) => void process.once("SIGTERM", () => end(Effect.void)))
  )
)

await Effect.if(name === undefined, { onTrue: () => ask, onFalse: () => run }).pipe(
  Effect.provide(Actors),
  Effect.catchAll(({ message }) => {
    process.exitCode = 1
    return Console.error(message)
  }),
  Effect.runPromise
)
