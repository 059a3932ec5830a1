/**
 * `SqlClient` of @effect/sql on a file (node:sqlite): storage of a cluster whose programs are all on one host. It has
 * no native module to be built, and runs on Node and on Deno.
 *
 * The calls of SQLite hold up the thread they are made in; transactions of one program come one after the other.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import { makeCompilerSqlite } from "@effect/sql/Statement"
import { Context, Effect, Layer, Scope, Stream } from "effect"
import { openSqliteFile, type SqliteFileOptions } from "../entity/store/SqliteFile.ts"

/** Prepared statements that are kept; the one that was used longest ago makes room. */
const maxPrepared = 256

const failed = (file: string, cause: unknown): SqlError =>
  new SqlError({
    cause,
    message: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`
  })

/** As SQLite has it: it knows neither booleans nor dates. */
const bound = (value: unknown): SQLInputValue => {
  if (value === undefined || value === null) return null
  if (typeof value === "boolean") return value ? 1 : 0
  if (value instanceof Date) return value.toISOString()
  if (typeof value === "string" || typeof value === "number" || typeof value === "bigint")
    return value
  if (value instanceof Uint8Array) return value
  throw new TypeError(`${typeof value} is nothing that SQLite keeps`)
}

class Statements {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  rows(
    sql: string,
    params: ReadonlyArray<unknown>,
    bigInts: boolean
  ): ReadonlyArray<Record<string, unknown>> {
    const statement = this.#prepared.get(sql) ?? this.#db.prepare(sql)
    this.#prepared.delete(sql)
    this.#prepared.set(sql, statement)
    if (this.#prepared.size > maxPrepared) {
      const [oldest = ""] = this.#prepared.keys()
      this.#prepared.delete(oldest)
    }
    statement.setReadBigInts(bigInts)
    return statement.all(...params.map(bound))
  }
}

const connectionTo = (db: DatabaseSync, file: string): Connection => {
  const statements = new Statements(db)
  const rows = (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.withFiberRuntime<ReadonlyArray<Record<string, unknown>>, SqlError>((fiber) =>
      Effect.try({
        try: () =>
          statements.rows(sql, params, Context.get(fiber.currentContext, SqlClient.SafeIntegers)),
        catch: (cause) => failed(file, cause)
      })
    )
  const execute: Connection["execute"] = (sql, params, transform) =>
    transform === undefined ? rows(sql, params) : Effect.map(rows(sql, params), transform)
  return {
    execute,
    executeUnprepared: execute,
    executeRaw: rows,
    // Columns of one name are one.
    executeValues: (sql, params) => Effect.map(rows(sql, params), (all) => all.map(Object.values)),
    executeStream: (sql, params, transform) =>
      Stream.unwrap(Effect.map(execute(sql, params, transform), Stream.fromIterable))
  }
}

const make = (options: SqliteFileOptions) =>
  Effect.gen(function* () {
    const { file } = options
    const db = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => openSqliteFile(options),
        catch: (cause) => failed(file, cause)
      }),
      (it) => Effect.sync(() => it.close())
    )
    const connection = connectionTo(db, file)
    // There is one connection: what is no part of a transaction waits for its end.
    const turn = yield* Effect.makeSemaphore(1)
    const transactionAcquirer = Effect.uninterruptibleMask((restore) =>
      restore(turn.take(1)).pipe(
        Effect.zipRight(Effect.scope),
        Effect.tap((scope) => Scope.addFinalizer(scope, turn.release(1))),
        Effect.as(connection)
      )
    )
    return yield* SqlClient.make({
      acquirer: turn.withPermits(1)(Effect.succeed(connection)),
      transactionAcquirer,
      compiler: makeCompilerSqlite(),
      // One that begins by reading could not write any more once another process has written.
      beginTransaction: "BEGIN IMMEDIATE",
      spanAttributes: [["db.system.name", "sqlite"]]
    })
  })

/** Fails where the file cannot be opened, or the runtime has no node:sqlite (Node 22.13 and newer have it). */
export const layer = (options: SqliteFileOptions): Layer.Layer<SqlClient.SqlClient, SqlError> =>
  Layer.scoped(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))
