/**
 * Actors in a file (node:sqlite), for one host: the store that needs nothing else.
 *
 * The calls of SQLite hold up the thread they are made in, and what costs is not the rows but the disk at the
 * end of a transaction. So whatever is asked in one turn of the event loop is one transaction: a thousand
 * actors that save at a time wait for the disk once.
 */
import { Effect, Layer, type Scope } from "effect"
import { ActorStore, type ActorStoreShape } from "./ActorStore.ts"
import { openSqliteFile, type SqliteFileOptions } from "./SqliteFile.ts"
import { createTables, SqliteTables, sqliteVersion, tablesVersion } from "./SqliteTables.ts"
import { StoreUnavailable } from "./StoreError.ts"
import { refusedLoad } from "./StoreRequest.ts"

/** Requests in one transaction: others want the event loop, too. */
const batch = 256

interface Request {
  /** In the transaction. Returns how to answer when it is on the disk. */
  readonly run: () => () => void
  readonly fail: (error: StoreUnavailable) => void
  isOver: boolean
}

const unavailable = (file: string, cause: unknown, unknown = false) =>
  new StoreUnavailable({
    code: "store_unavailable",
    message: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
    ...{ unknown, cause }
  })

/** What it is to be of a database. */
interface Database {
  readonly exec: (sql: string) => void
}

/** Requests that wait for the end of the turn. */
class Batches {
  readonly #db: Database
  readonly #file: string
  #waiting: Array<Request> = []
  #isScheduled = false
  #isClosed = false

  constructor(db: Database, file: string) {
    this.#db = db
    this.#file = file
  }

  add(request: Request): void {
    if (this.#isClosed) {
      request.fail(unavailable(this.#file, "the store is closed"))
      return
    }
    this.#waiting.push(request)
    this.#schedule()
  }

  /** Does what waits, and takes no more. */
  close(): void {
    this.#isClosed = true
    while (this.#waiting.length > 0) this.#transact()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#transact()
      if (this.#waiting.length > 0) this.#schedule()
    })
  }

  #transact(): void {
    const requests = this.#waiting.slice(0, batch).filter((it) => !it.isOver)
    this.#waiting = this.#waiting.slice(batch)
    if (requests.length === 0) return
    const answers: Array<() => void> = []
    let committing = false
    try {
      this.#db.exec("begin immediate")
      for (const request of requests) answers.push(request.run())
      committing = true
      this.#db.exec("commit")
    } catch (cause) {
      try {
        this.#db.exec("rollback")
      } catch {
        // There was none to be rolled back, or SQLite has done it.
      }
      for (const { fail } of requests) fail(unavailable(this.#file, cause, committing))
      return
    }
    for (const answer of answers) answer()
  }
}

export const make = (
  options: SqliteFileOptions
): Effect.Effect<ActorStoreShape, StoreUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const { file } = options
    const db = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => openSqliteFile(options),
        catch: (cause) => unavailable(file, cause)
      }),
      (it) => Effect.sync(() => it.close())
    )
    const tables = new SqliteTables(db)
    const batches = new Batches(db, file)

    const clock = yield* Effect.clock
    const write = <A>(run: (now: number) => A): Effect.Effect<A, StoreUnavailable> =>
      Effect.async<A, StoreUnavailable>((resume) => {
        const request: Request = {
          run: () => {
            const answer = run(clock.unsafeCurrentTimeMillis())
            return () => resume(Effect.succeed(answer))
          },
          fail: (error) => resume(Effect.fail(error)),
          isOver: false
        }
        batches.add(request)
        return Effect.sync(() => {
          request.isOver = true
        })
      })
    const read = <A>(run: (now: number) => A): Effect.Effect<A, StoreUnavailable> =>
      Effect.try({
        try: () => run(clock.unsafeCurrentTimeMillis()),
        catch: (cause) => unavailable(file, cause)
      })

    const found = yield* write(() => {
      const version = tablesVersion(db)
      if (version === 0) createTables(db)
      return version
    })
    if (found > sqliteVersion) {
      return yield* new StoreUnavailable({
        code: "store_newer",
        message: `${file} was made by a newer release (tables ${found}, this one knows ${sqliteVersion})`,
        unknown: false
      })
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => batches.close()))

    return {
      load: (actor) => {
        const refused = refusedLoad(actor)
        return refused === undefined ? read((now) => tables.load(actor, now)) : Effect.fail(refused)
      },
      save: (save) => Effect.flatten(write((now) => tables.save(save, now))),
      acquire: (owner, shards, ttl) => write((now) => tables.acquire(owner, shards, ttl, now)),
      renew: (leases, ttl) => write((now) => tables.renew(leases, ttl, now)),
      release: (leases) => write(() => tables.release(leases)),
      leases: (type) => read((now) => tables.leases(type, now)),
      reminders: (shards, limit, after) =>
        read((now) => tables.reminders(shards, limit, after, now)),
      sweep: (limit) => write((now) => tables.sweep(limit, now))
    }
  })

export const layer = (options: SqliteFileOptions): Layer.Layer<ActorStore, StoreUnavailable> =>
  Layer.scoped(ActorStore, make(options))
