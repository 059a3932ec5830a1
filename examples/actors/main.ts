/**
 * Carts as actors on two hosts, on this machine: each cart is on one of them, is found from both, and moves
 * while it is called when its host ends.
 *
 *     npm run example -- actors
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  Console,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Scope,
  Stream
} from "effect"
import { initMesh, SkeinNode } from "skein"
import { ActorMesh, SqliteStore } from "skein/actors"
import { Cart, CartFull, cartsOn } from "./cart.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-actors-"))
const users = Array.from({ length: 12 }, (_, i) => `user-${i}`)

/** A host: in earnest each is a program of its own, with PostgreSQL in place of a file. */
const host = (name: string, join_?: string) =>
  cartsOn(name).pipe(
    Layer.provideMerge(ActorMesh.layer),
    Layer.provide(SqliteStore.layer({ file: join(directory, "carts.sqlite") })),
    Layer.provideMerge(
      SkeinNode.layer(
        { node: { name, dataDir: join(directory, name), listen: ["/ip4/127.0.0.1/tcp/0"] } },
        { join: join_ }
      )
    )
  )

const check = (what: string, isSo: boolean) =>
  isSo ? Effect.void : Effect.fail(new Error(`it is not so that ${what}`))

const program = Effect.gen(function* () {
  yield* initMesh({ dataDir: join(directory, "host-a"), name: "host-a" })
  const a = yield* Layer.build(host("host-a"))
  const { token } = yield* Effect.provide(
    Effect.flatMap(SkeinNode, ({ source }) =>
      source.invite({ services: ["actor-cart"], capabilities: [], ttlMs: 60_000 })
    ),
    a
  )
  const scopeOfB = yield* Scope.make()
  const b = yield* Layer.buildWithScope(host("host-b", token), scopeOfB)

  const fromA = yield* Effect.provide(Cart.client, a)
  const fromB = yield* Effect.provide(Cart.client, b)
  for (const user of users) {
    yield* fromA(user).Add({ item: "book" })
    yield* fromB(user).Add({ item: "pen" })
  }
  const hosts = yield* Effect.forEach(users, (user) => fromB(user).Host())
  for (const [i, user] of users.entries())
    yield* Console.log(`the cart of ${user} is on ${hosts[i]}`)
  yield* check("both have carts", new Set(hosts).size === 2)
  const { types } = yield* Effect.provide(
    Effect.flatMap(SkeinNode, ({ source }) => source.actors({ type: "Cart" })),
    a
  )
  // What `skein actors Cart` shows.
  const running = types.flatMap((type) => type.hosts)
  for (const { activations, node, shards } of running)
    yield* Console.log(`${node} has ${activations} carts in memory, and ${shards.owned} shards`)
  yield* check(
    "all of them are in memory",
    running.reduce((sum, { activations }) => sum + activations, 0) === users.length
  )

  // Who watches one of them goes with it.
  const watched = users[hosts.indexOf("host-b")] ?? ""
  const isWatched = yield* Deferred.make<void>()
  const watching = yield* fromA.watch(watched).pipe(
    Stream.tap(() => Deferred.succeed(isWatched, undefined)),
    Stream.takeUntil((event) => event._tag === "Watching" && event.host === "host-a"),
    Stream.runCollect,
    Effect.fork
  )
  yield* Deferred.await(isWatched)

  yield* Console.log("host-b ends while items are added to all carts")
  const adding = yield* Effect.fork(
    Effect.forEach(users, (user) => Effect.replicateEffect(fromA(user).Add({ item: "cup" }), 8), {
      concurrency: "unbounded"
    })
  )
  yield* Scope.close(scopeOfB, Exit.void)
  const sizes = yield* Fiber.join(adding)
  const events = Array.from(yield* Fiber.join(watching), ({ _tag }) => _tag)
  yield* Console.log(`who watches the cart of ${watched} has heard: ${events.join(", ")}`)
  yield* check("it has been told that it moves", events.includes("Moved"))
  const rest = yield* Effect.forEach(users, (user) => fromA(user).Host())
  const full = yield* Effect.flip(fromA("user-0").Add({ item: "one more" }))
  yield* Console.log(`all carts are on ${[...new Set(rest)].join(", ")}, and no call has failed`)
  yield* check(
    "they have all that was added",
    sizes.every((all) => all.at(-1) === 10)
  )
  yield* check("they are on host-a", new Set(rest).size === 1)
  yield* check("a full cart says so", full instanceof CartFull)
  const items = yield* fromA("user-0").Items()
  yield* Console.log(`the cart of user-0 has ${items.join(", ")}`)
})

await program.pipe(
  Effect.scoped,
  Effect.catchAll((error) => {
    process.exitCode = 1
    return Console.error(String(error))
  }),
  Logger.withMinimumLogLevel(LogLevel.Error),
  Effect.ensuring(Effect.sync(() => rmSync(directory, { recursive: true, force: true }))),
  Effect.runPromise
)
