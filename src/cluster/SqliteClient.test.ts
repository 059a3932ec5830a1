import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqlClient, type SqlError } from "@effect/sql"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import * as SqliteClient from "./SqliteClient.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-sqlite-client-"))),
  (it) => Effect.sync(() => rmSync(it, { recursive: true, force: true }))
)

const withClient = <A, E>(
  work: (sql: SqlClient.SqlClient, file: string) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError.SqlError> =>
  Effect.scoped(
    Effect.flatMap(directory, (at) => {
      const file = join(at, "cluster.sqlite")
      return Effect.flatMap(SqlClient.SqlClient, (sql) => work(sql, file)).pipe(
        Effect.provide(SqliteClient.layer({ file }))
      )
    })
  )

const big = 2n ** 60n + 1n

describe("SqliteClient", () => {
  it.effect("keeps values as SQLite has them", () =>
    withClient((sql, file) =>
      Effect.gen(function* () {
        yield* sql`create table t (id integer primary key, a, b, c, d)`
        const row = { id: 1, a: true, b: undefined, c: new Date(0), d: new Uint8Array([1, 2]) }
        yield* sql`insert into t ${sql.insert(row)}`
        const [kept] = yield* sql`select * from t`
        expect({ ...kept }).toEqual({
          ...{ id: 1, a: 1, b: null, c: "1970-01-01T00:00:00.000Z", d: new Uint8Array([1, 2]) }
        })
        expect(yield* sql`select id, a from t`.values).toEqual([[1, 1]])
        const streamed = yield* Stream.runCollect(sql`select id from t`.stream)
        expect(Chunk.toReadonlyArray(streamed)).toHaveLength(1)
        expect(statSync(file).mode & 0o777).toBe(0o600)
      })
    )
  )

  it.effect("gives numbers beyond 2^53 whole to who asks for it, and to nobody rounded", () =>
    withClient((sql) =>
      Effect.gen(function* () {
        yield* sql`create table t (id integer primary key)`
        yield* sql`insert into t (id) values (${big})`
        const ask = sql<{ id: unknown }>`select id from t`
        const rows = yield* Effect.provideService(ask, SqlClient.SafeIntegers, true)
        expect(rows[0]?.id).toBe(big)
        expect(yield* Effect.flip(ask)).toMatchObject({ _tag: "SqlError" })
      })
    )
  )

  it.effect("names the file in what it fails with", () =>
    withClient((sql, file) =>
      Effect.gen(function* () {
        const { message } = yield* Effect.flip(sql`select 1 from nowhere`)
        expect(message).toBe(`${file}: no such table: nowhere`)
        const nowhere = Effect.provide(
          Effect.void,
          SqliteClient.layer({ file: join(file, "no-directory") })
        )
        expect((yield* Effect.flip(nowhere)).message).toContain("no-directory")
      })
    )
  )

  it.effect("undoes a transaction that fails, and lets nothing else into one", () =>
    withClient((sql) =>
      Effect.gen(function* () {
        yield* sql`create table t (id integer primary key)`
        const begun = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const failing = yield* Effect.fork(
          sql.withTransaction(
            sql`insert into t (id) values (1)`.pipe(
              Effect.zipRight(Deferred.succeed(begun, undefined)),
              Effect.zipRight(Deferred.await(go)),
              Effect.zipRight(Effect.fail("no"))
            )
          )
        )
        yield* Deferred.await(begun)
        const other = yield* Effect.fork(sql`select count(*) as n from t`.values)
        yield* Effect.yieldNow()
        expect(yield* Fiber.poll(other)).toMatchObject({ _tag: "None" })
        yield* Deferred.succeed(go, undefined)
        expect(yield* Fiber.await(failing)).toEqual(Exit.fail("no"))
        expect(yield* Fiber.join(other)).toEqual([[0]])
        // The one within is undone alone.
        const nested = sql.withTransaction(
          Effect.zipRight(
            sql`insert into t (id) values (2)`,
            Effect.ignore(
              sql.withTransaction(
                Effect.zipRight(sql`insert into t (id) values (3)`, Effect.fail("no"))
              )
            )
          )
        )
        yield* nested
        expect(yield* sql`select id from t`.values).toEqual([[2]])
      })
    )
  )

  it.effect("two of them write to one file", () =>
    withClient((one, file) =>
      Effect.gen(function* () {
        yield* one`create table t (id integer primary key autoincrement, by text)`
        const two = yield* SqlClient.SqlClient
        const add = (sql: SqlClient.SqlClient, by: string) =>
          sql.withTransaction(
            Effect.zipRight(sql`select count(*) from t`, sql`insert into t (by) values (${by})`)
          )
        yield* Effect.all(
          Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? add(one, "one") : add(two, "two"))),
          { concurrency: 1 }
        )
        expect(yield* two`select by, count(*) from t group by by order by by`.values).toEqual([
          ["one", 25],
          ["two", 25]
        ])
      }).pipe(Effect.provide(SqliteClient.layer({ file })))
    )
  )
})
