/**
 * Actors in PostgreSQL, through @effect/sql: the store for more than one host. Its tables begin with
 * `skein_actor` and are made when they are first needed.
 *
 * A server that is away is no reason not to begin: each request tries anew, and waits for `timeout` at most.
 */
import type { SqlError } from "@effect/sql/SqlError"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, type ParseResult } from "effect"
import {
  ActorStore,
  type ActorStoreShape,
  type Lease,
  type Save,
  type Shard
} from "./ActorStore.ts"
import { connecting, type PostgresConfig } from "./PostgresConnection.ts"
import {
  dueOf,
  dueRows,
  heldOf,
  heldRows,
  leaseOf,
  leaseRows,
  loadedOf,
  loadedRows,
  nextRows,
  savedRows,
  standingRows,
  sweptRows,
  thereRows,
  versionRows
} from "./PostgresRows.ts"
import * as Tables from "./PostgresTables.ts"
import { conflictOf, fencedBy, placeOf } from "./StoreAnswer.ts"
import { StoreUnavailable } from "./StoreError.ts"
import { refusedLoad, refusedSave } from "./StoreRequest.ts"

export type { PostgresConfig } from "./PostgresConnection.ts"

export interface PostgresStoreOptions {
  /** How long one request may take, with the wait for a connection. Default 5 seconds. */
  readonly timeout?: Duration.DurationInput
}

/** Did the server say so, or nobody? What it refused has certainly not been done. */
const isAnswer = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && ("severity" in cause || isDialling(cause))

const isDialling = (cause: object): boolean => "syscall" in cause && cause.syscall === "connect"

const lineOf = (cause: unknown): string =>
  cause instanceof AggregateError
    ? cause.errors.map(lineOf).join(", ")
    : cause instanceof Error
      ? cause.message
      : String(cause)

const unavailable = (message: string, unknown: boolean, cause?: unknown) =>
  new StoreUnavailable({
    code: "store_unavailable",
    message: `PostgreSQL: ${message}`,
    ...{ unknown, cause }
  })

const explained = (error: ParseResult.ParseError | SqlError): StoreUnavailable =>
  error._tag === "ParseError"
    ? unavailable(`answered what was not expected: ${error.message}`, true, error)
    : unavailable(lineOf(error.cause ?? error), !isAnswer(error.cause), error)

const nothing = () => Effect.void

const shardRows = (shards: ReadonlyArray<Shard>): string =>
  JSON.stringify(shards.map(({ index, type }) => ({ type, shard: index })))

/** Before every reminder. */
const beforeAll = [Number.MIN_SAFE_INTEGER, "", "", ""] as const

const heldRowsOf = (leases: ReadonlyArray<Lease>): string =>
  JSON.stringify(
    leases.map(({ epoch, owner, shard: { index, type } }) => ({ type, shard: index, owner, epoch }))
  )

const make = (
  client: Effect.Effect<PgClient.PgClient, SqlError>,
  { timeout = "5 seconds" }: PostgresStoreOptions
): ActorStoreShape => {
  let ready: PgClient.PgClient | undefined

  /** One request to the server, and what its rows are to be. */
  const ask = <A>(
    sql: PgClient.PgClient,
    decode: (rows: unknown) => Effect.Effect<A, ParseResult.ParseError>,
    text: string,
    ...values: ReadonlyArray<unknown>
  ): Effect.Effect<A, StoreUnavailable> =>
    sql
      .unsafe<object>(text, values)
      .withoutTransform.pipe(Effect.flatMap(decode), Effect.mapError(explained))

  /** The client, once the tables are there. */
  const prepared = Effect.gen(function* () {
    if (ready !== undefined) return ready
    const sql = yield* Effect.mapError(client, explained)
    const [tables] = yield* ask(sql, thereRows, Tables.tablesThere)
    if (tables?.there !== true) yield* ask(sql, nothing, Tables.createTables)
    const [found] = yield* ask(sql, versionRows, Tables.tablesVersion)
    if (found !== undefined && found.version > Tables.postgresVersion) {
      return yield* new StoreUnavailable({
        code: "store_newer",
        message: `PostgreSQL: its tables are of a newer release (${found.version}, this one knows ${Tables.postgresVersion})`,
        unknown: false
      })
    }
    ready = sql
    return sql
  })

  const within = <A, E>(work: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
    Effect.flatMap(prepared, work).pipe(
      // What the driver does to call off a statement needs a connection, too: nobody waits for it.
      Effect.disconnect,
      Effect.timeoutFail({
        duration: timeout,
        onTimeout: () => unavailable(`no answer in ${Duration.toMillis(timeout)} ms`, true)
      })
    )

  const rowsOf =
    <A>(decode: (rows: unknown) => Effect.Effect<A, ParseResult.ParseError>) =>
    (text: string, ...values: ReadonlyArray<unknown>) =>
      within((sql) => ask(sql, decode, text, ...values))

  /** Nothing was done: why? */
  const refusal = (sql: PgClient.PgClient, save: Save, allowed: boolean) =>
    Effect.gen(function* () {
      const { id, shard } = save.actor
      const [found] = yield* ask(
        ...([sql, standingRows, Tables.standing] as const),
        ...[shard.type, id, shard.index]
      )
      return yield* allowed || save.lease === undefined
        ? conflictOf(save, found?.version ?? 0)
        : fencedBy(save.lease, found?.epoch ?? 0)
    })

  return {
    load: (actor) => {
      const refused = refusedLoad(actor)
      if (refused !== undefined) return Effect.fail(refused)
      return Effect.map(rowsOf(loadedRows)(Tables.load, actor.shard.type, actor.id), loadedOf)
    },
    save: (save) => {
      const refused = refusedSave(save)
      if (refused !== undefined) return Effect.fail(refused)
      const { sql: text, values } = Tables.save(save)
      return within((sql) =>
        Effect.gen(function* () {
          const [row] = yield* ask(sql, savedRows, text, ...values)
          return row?.version ?? (yield* refusal(sql, save, row?.allowed === true))
        })
      )
    },
    acquire: (owner, shards, ttl) =>
      rowsOf(leaseRows)(Tables.acquire, owner, Math.round(ttl), shardRows(shards)).pipe(
        Effect.map((rows) => rows.map(leaseOf(owner)))
      ),
    renew: (leases, ttl) =>
      rowsOf(leaseRows)(Tables.renew, heldRowsOf(leases), Math.round(ttl)).pipe(
        Effect.map((rows) => {
          const kept = new Set(rows.map(({ shard, type }) => `${shard}/${type}`))
          return leases.filter(({ shard }) => kept.has(`${shard.index}/${shard.type}`))
        })
      ),
    release: (leases) => rowsOf(nothing)(Tables.release, heldRowsOf(leases)),
    leases: (type) => Effect.map(rowsOf(heldRows)(Tables.leases, type), (rows) => rows.map(heldOf)),
    reminders: (shards, limit, after) =>
      Effect.gen(function* () {
        const asked = shardRows(shards)
        const place = after === undefined ? beforeAll : placeOf(after)
        const due = (yield* rowsOf(dueRows)(Tables.due, asked, limit, ...place)).map(dueOf)
        if (due.length === limit) return { due, next: 0 }
        const last = due.at(-1)?.due ?? after?.due ?? Number.MIN_SAFE_INTEGER
        const [row] = yield* rowsOf(nextRows)(Tables.next, asked, last)
        return { due, next: row?.next ?? undefined }
      }),
    sweep: (limit) => Effect.map(rowsOf(sweptRows)(Tables.sweep, limit), (rows) => rows.length)
  }
}

/** On connections of its own. */
export const layer = (config: PostgresConfig & PostgresStoreOptions): Layer.Layer<ActorStore> => {
  const { timeout = "5 seconds", ...server } = config
  return Layer.scoped(
    ActorStore,
    // Later than the request, which then says what happened.
    Effect.map(connecting(server, Duration.times(timeout, 2)), (client) =>
      make(client, { timeout })
    )
  )
}

/** On the connections of a client that the program has; its own time limits hold, too. */
export const layerClient = (
  options: PostgresStoreOptions = {}
): Layer.Layer<ActorStore, never, PgClient.PgClient> =>
  Layer.effect(
    ActorStore,
    Effect.map(PgClient.PgClient, (client) => make(Effect.succeed(client), options))
  )
