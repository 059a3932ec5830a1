/** Actors in PostgreSQL: what every store does, and what becomes of it when the server does not answer. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Layer, ManagedRuntime } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ActorStore, type ActorStoreShape, type Save } from "../../src/entity/store/ActorStore.ts"
import * as PostgresStore from "../../src/entity/store/PostgresStore.ts"
import { build, root } from "../fixtures/Mesh.ts"
import { type Postgres, startPostgres } from "../fixtures/Postgres.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { storeConformance } from "../fixtures/StoreConformance.ts"
import { Wire } from "../fixtures/Wire.ts"

let postgres: Postgres
/** A connection beside those of the stores. */
let beside: ManagedRuntime.ManagedRuntime<PgClient.PgClient, unknown>

beforeAll(async () => {
  postgres = await startPostgres()
  beside = ManagedRuntime.make(PgClient.layer({ ...config(), maxConnections: 1 }))
})

afterAll(async () => {
  await beside?.dispose()
  await postgres?.stop()
  await stopAll()
})

const config = (port = postgres.port) => ({
  ...{ host: "127.0.0.1", port, username: "postgres", database: "postgres" }
})

/** All that is to end ends so much sooner. */
const pass = (millis: number) =>
  Effect.promise(() =>
    beside.runPromise(
      Effect.flatMap(PgClient.PgClient, (sql) =>
        sql.unsafe(`
          update skein_actor_lease set ends = ends - ${millis};
          update skein_actor_key set ends = ends - ${millis};
          update skein_actor_reminder set due = due - ${millis}`)
      )
    )
  )

storeConformance("PostgreSQL", () => ({ layer: PostgresStore.layer(config()), pass, runs: 25 }))

const actor = (id: string) => ({ shard: { type: "Cart", index: 0 }, id })
const save = (id: string): Save => ({
  ...{ actor: actor(id), lease: undefined, version: 0 },
  state: { bytes: new Uint8Array([1]), schema: 1 }
})

const inStore = <A, E>(
  layer: Layer.Layer<ActorStore, unknown>,
  work: (store: ActorStoreShape) => Effect.Effect<A, E>
): Promise<A> => Effect.runPromise(Effect.provide(Effect.flatMap(ActorStore, work), layer))

describe("a store in PostgreSQL", () => {
  it("begins while its server is away, says so, and comes back by itself", async () => {
    const port = await freePort()
    const wire = new Wire(postgres.port)
    try {
      await inStore(PostgresStore.layer({ ...config(port), timeout: "1 second" }), (store) =>
        Effect.gen(function* () {
          const away = yield* Effect.flip(store.save(save("away")))
          // Nobody was there to do it.
          expect(away).toMatchObject({ code: "store_unavailable", unknown: false })
          expect(away.message).toContain("ECONNREFUSED")
          yield* Effect.promise(() => wire.listen(port))
          expect(yield* store.save(save("away"))).toBe(1)
        })
      )
    } finally {
      wire.close()
    }
  })

  it("waits no longer than it may for a server that says nothing, and then does without those connections", async () => {
    const port = await freePort()
    const wire = new Wire(postgres.port)
    await wire.listen(port)
    const layer = PostgresStore.layer({ ...config(port), timeout: "300 millis", maxConnections: 2 })
    try {
      await inStore(layer, (store) =>
        Effect.gen(function* () {
          expect(yield* store.save(save("silent"))).toBe(1)
          wire.isCut = true
          const tries = yield* Effect.forEach(
            ["a", "b", "c", "d"],
            (id) => Effect.flip(store.save(save(`silent-${id}`))),
            { concurrency: "unbounded" }
          )
          for (const error of tries) {
            expect(error).toMatchObject({ code: "store_unavailable", unknown: true })
            expect(error.message).toContain("no answer in 300 ms")
          }
          wire.isCut = false
          // All of its connections wait for bytes that were lost.
          const loaded = yield* store.load(actor("silent")).pipe(Effect.retry({ times: 20 }))
          expect(loaded.version).toBe(1)
        })
      )
    } finally {
      wire.close()
    }
  })

  it("makes a new owner wait for a save that has begun, and finds it", async () => {
    const waiting = (event: string, count: number) =>
      Effect.promise(() =>
        until(`${count} wait for ${event}`, async () => {
          const found = await postgres.query(
            `select count(*) from pg_stat_activity where '${event}' in (wait_event, wait_event_type)`
          )
          return found === String(count) ? true : undefined
        })
      )
    await inStore(PostgresStore.layer(config()), (store) =>
      Effect.gen(function* () {
        const { shard } = actor("held")
        const [lease] = yield* store.acquire("a", [shard], 60_000)
        expect(yield* store.save({ ...save("held"), lease })).toBe(1)
        yield* pass(60_001)
        const holder = yield* Effect.fork(
          Effect.promise(() =>
            postgres
              .query(
                "begin; select from skein_actor where id = 'held' for update; select pg_sleep(60)"
              )
              .catch(() => "terminated")
          )
        )
        yield* waiting("PgSleep", 1)
        const saving = yield* Effect.fork(store.save({ ...save("held"), version: 1, lease }))
        yield* waiting("Lock", 1)
        const acquiring = yield* Effect.fork(store.acquire("b", [shard], 60_000))
        yield* waiting("Lock", 2)
        yield* Effect.promise(() =>
          postgres.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"
          )
        )
        expect(yield* Fiber.join(holder)).toBe("terminated")
        expect(yield* Fiber.join(saving)).toBe(2)
        expect(yield* Fiber.join(acquiring)).toMatchObject([{ owner: "b", epoch: 2 }])
        expect((yield* store.load(actor("held"))).version).toBe(2)
      })
    )
  })

  it("makes its tables once, whoever begins first, and runs on a client of the program", async () => {
    await postgres.query("create database fresh")
    const client = PgClient.layer({ ...config(), database: "fresh" })
    const layer = Layer.provide(PostgresStore.layerClient(), client)
    const all = ["a", "b", "c", "d"].map((id) => inStore(layer, (store) => store.save(save(id))))
    expect(await Promise.all(all)).toEqual([1, 1, 1, 1])
    expect(await postgres.query("select count(*) from skein_actor_tables", "fresh")).toBe("1")
  })

  it("leaves tables alone that a newer release made", async () => {
    await postgres.query("create database newer")
    const layer = PostgresStore.layer({ ...config(), database: "newer" })
    await inStore(layer, (store) => store.load(actor("x")))
    await postgres.query("update skein_actor_tables set version = 99", "newer")
    const error = await inStore(layer, (store) => Effect.flip(store.save(save("x"))))
    expect(error).toMatchObject({ code: "store_newer", unknown: false })
  })

  it("needs no right to make tables where there are some", async () => {
    await inStore(PostgresStore.layer(config()), (store) => store.load(actor("x")))
    await postgres.query(
      `create role guest login; revoke create on schema public from public;
       grant select, insert, update, delete on all tables in schema public to guest`
    )
    const layer = PostgresStore.layer({ ...config(), username: "guest" })
    expect(await inStore(layer, (store) => store.save(save("guest")))).toBe(1)
  })
})

describe("on Deno", () => {
  it("stores keep, fence and give back as they do on Node", async () => {
    await build()
    const deno = join(root, "node_modules", ".bin", "deno")
    const script = join(root, "test", "fixtures", "StoreProgram.ts")
    const directory = mkdtempSync(join(tmpdir(), "skein-store-"))
    try {
      const { code, stderr, stdout } = await run(deno, [
        ...["run", "-A", script, join(directory, "actors.db"), String(postgres.port)]
      ])
      expect(code, stderr).toBe(0)
      expect(stdout).toBe("SQLite: 1 Fenced 2 b\nPostgreSQL: 1 Fenced 2 b\n")
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
