/**
 * A store in tables of SQLite: plain calls, each of which needs a transaction around it that others cannot
 * write in (SqliteStore.ts). The file may be used by several processes of one host, and of one host only.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { Either, Schema } from "effect"
import type {
  ActorAddress,
  DueReminders,
  HeldLease,
  Lease,
  LoadedActor,
  OwnerId,
  ReminderPlace,
  Save,
  Shard
} from "./ActorStore.ts"
import { conflictOf, dueAt, fencedBy, placeOf } from "./StoreAnswer.ts"
import type { SaveError } from "./StoreError.ts"
import { changesOf, refusedSave } from "./StoreRequest.ts"

/** What `create` makes; a file with a larger number is of a later release. */
export const sqliteVersion = 1

const create = `
  create table lease (
    type text not null, shard integer not null, owner text, epoch integer not null, ends integer not null,
    primary key (type, shard)
  ) without rowid;
  create table actor (
    type text not null, id text not null, version integer not null, schema integer, state blob,
    primary key (type, id)
  );
  create table kept_key (
    type text not null, id text not null, key text not null, result blob not null, ends integer not null,
    primary key (type, id, key)
  );
  create index kept_key_ends on kept_key (ends);
  create table reminder (
    type text not null, id text not null, name text not null, shard integer not null, due integer not null,
    payload blob not null,
    primary key (type, id, name)
  );
  create index reminder_due on reminder (type, shard, due);
  pragma user_version = ${sqliteVersion};
`

const Bytes = Schema.Uint8ArrayFromSelf
const rows = <A>(item: Schema.Schema<A>) => Schema.decodeUnknownSync(Schema.Array(item))

const versionRows = rows(Schema.Struct({ user_version: Schema.Int }))
const actorRows = rows(
  Schema.Struct({
    version: Schema.Int,
    schema: Schema.NullOr(Schema.Int),
    state: Schema.NullOr(Bytes)
  })
)
const keyRows = rows(Schema.Struct({ key: Schema.String, result: Bytes, ends: Schema.Int }))
const leaseRow = Schema.Struct({ type: Schema.String, shard: Schema.Int, epoch: Schema.Int })
const leaseRows = rows(leaseRow)
const heldRows = rows(Schema.Struct({ ...leaseRow.fields, owner: Schema.String, ends: Schema.Int }))
const latestRows = rows(Schema.Struct({ owner: Schema.NullOr(Schema.String), epoch: Schema.Int }))
const reminderRows = rows(
  Schema.Struct({
    ...{ type: Schema.String, id: Schema.String, name: Schema.String, shard: Schema.Int },
    ...{ due: Schema.Int, payload: Bytes }
  })
)
const nextRows = rows(Schema.Struct({ due: Schema.NullOr(Schema.Int) }))

/** The version of the tables that are there; 0 for none. */
export const tablesVersion = (db: DatabaseSync): number =>
  versionRows([db.prepare("pragma user_version").get()])[0]!.user_version

export const createTables = (db: DatabaseSync): void => db.exec(create)

const pairs = (shards: ReadonlyArray<Shard>): string =>
  JSON.stringify(shards.map(({ index, type }) => [type, index]))

const held = (leases: ReadonlyArray<Lease>): string =>
  JSON.stringify(leases.map(({ epoch, owner, shard }) => [shard.type, shard.index, owner, epoch]))

const ofPairs = "(select value ->> 0, value ->> 1 from json_each(?))"
const ofHeld = "(select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?))"

/** Whole milliseconds, which is what the tables hold. */
const after = (now: number, millis: number): number => Math.round(now + millis)

/** All times in milliseconds since 1970. */
export class SqliteTables {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  load({ id, shard }: ActorAddress, now: number): LoadedActor {
    const [row] = actorRows(
      this.#all(
        "select version, schema, state from actor where type = ? and id = ?",
        shard.type,
        id
      )
    )
    if (row === undefined) return { version: 0, state: undefined, keys: [] }
    const { schema, state: bytes, version } = row
    const keys = keyRows(
      this.#all(
        "select key, result, ends from kept_key where type = ? and id = ? and ends > ? order by ends",
        ...[shard.type, id, now]
      )
    )
    return {
      version,
      state: bytes === null || schema === null ? undefined : { bytes, schema },
      keys: keys.map(({ ends, key, result }) => ({ key, result, left: ends - now }))
    }
  }

  save(save: Save, now: number): Either.Either<number, SaveError> {
    const refused = refusedSave(save)
    if (refused !== undefined) return Either.left(refused)
    const { actor, lease, state } = save
    const name = [actor.shard.type, actor.id] as const
    if (lease !== undefined) {
      const [latest] = latestRows(
        this.#all(
          "select owner, epoch from lease where type = ? and shard = ?",
          ...[lease.shard.type, lease.shard.index]
        )
      )
      const isLatest = latest?.owner === lease.owner && latest.epoch === lease.epoch
      if (!isLatest) return Either.left(fencedBy(lease, latest?.epoch ?? 0))
    }
    const { version: before = 0 } =
      actorRows(
        this.#all(
          "select version, null as schema, null as state from actor where type = ? and id = ?",
          ...name
        )
      )[0] ?? {}
    if (before !== save.version) return Either.left(conflictOf(save, before))
    this.#run(
      `insert into actor (type, id, version, schema, state) values (?, ?, 1, ?, ?)
       on conflict (type, id) do update set version = version + 1,
         schema = coalesce(excluded.schema, schema), state = coalesce(excluded.state, state)`,
      ...[...name, state?.schema ?? null, state?.bytes ?? null]
    )
    this.#change(save, now)
    return Either.right(before + 1)
  }

  #change(save: Save, now: number): void {
    const { shard, id } = save.actor
    const name = [shard.type, id] as const
    const { done, drop, put, remind } = changesOf(save)
    for (const key of drop) {
      this.#run("delete from kept_key where type = ? and id = ? and key = ?", ...name, key)
    }
    for (const { key, left, result } of put) {
      this.#run(
        `insert into kept_key (type, id, key, result, ends) values (?, ?, ?, ?, ?)
         on conflict (type, id, key) do update set result = excluded.result, ends = excluded.ends`,
        ...[...name, key, result, after(now, left)]
      )
    }
    for (const { due, name: reminder } of done) {
      this.#run(
        "delete from reminder where type = ? and id = ? and name = ? and due = coalesce(?, due)",
        ...[...name, reminder, due ?? null]
      )
    }
    for (const { name: reminder, payload, when } of remind) {
      this.#run(
        `insert into reminder (type, id, name, shard, due, payload) values (?, ?, ?, ?, ?, ?)
         on conflict (type, id, name) do update set shard = excluded.shard, due = excluded.due,
           payload = excluded.payload`,
        ...[...name, reminder, shard.index, dueAt(when, now), payload]
      )
    }
  }

  acquire(
    owner: OwnerId,
    shards: ReadonlyArray<Shard>,
    ttl: number,
    now: number
  ): ReadonlyArray<Lease> {
    const got = this.#all(
      `insert into lease (type, shard, owner, epoch, ends)
         select value ->> 0, value ->> 1, ?, 1, ? from json_each(?) where true
       on conflict (type, shard) do update set
         epoch = epoch + case when owner = excluded.owner and ends > ? then 0 else 1 end,
         owner = excluded.owner, ends = excluded.ends
         where owner is null or owner = excluded.owner or ends <= ?
       returning type, shard, epoch`,
      ...[owner, after(now, ttl), pairs(shards), now, now]
    )
    return leaseRows(got).map(({ epoch, shard, type }) => ({
      ...{ shard: { type, index: shard }, owner, epoch }
    }))
  }

  renew(leases: ReadonlyArray<Lease>, ttl: number, now: number): ReadonlyArray<Lease> {
    const kept = leaseRows(
      this.#all(
        `update lease set ends = ? where ends > ? and (type, shard, owner, epoch) in ${ofHeld}
         returning type, shard, epoch`,
        ...[after(now, ttl), now, held(leases)]
      )
    )
    return leases.filter(({ shard }) =>
      kept.some((it) => it.type === shard.type && it.shard === shard.index)
    )
  }

  release(leases: ReadonlyArray<Lease>): void {
    this.#run(
      `update lease set owner = null where (type, shard, owner, epoch) in ${ofHeld}`,
      held(leases)
    )
  }

  leases(type: string, now: number): ReadonlyArray<HeldLease> {
    const found = this.#all(
      `select type, shard, owner, epoch, ends from lease
       where type = ? and owner is not null and ends > ? order by shard`,
      ...[type, now]
    )
    return heldRows(found).map(({ ends, epoch, owner, shard }) => ({
      ...{ shard: { type, index: shard }, owner, epoch, left: ends - now }
    }))
  }

  reminders(
    shards: ReadonlyArray<Shard>,
    limit: number,
    after: ReminderPlace | undefined,
    now: number
  ): DueReminders {
    const asked = pairs(shards)
    const behind = after === undefined ? "" : "and (due, type, id, name) > (?, ?, ?, ?)"
    const found = this.#all(
      `select type, id, name, shard, due, payload from reminder
       where (type, shard) in ${ofPairs} and due <= ? ${behind} order by due, type, id, name limit ?`,
      ...[asked, now, ...(after === undefined ? [] : placeOf(after)), limit]
    )
    const due = reminderRows(found).map(({ due, id, name, payload, shard, type }) => ({
      ...{ actor: { shard: { type, index: shard }, id }, name, due, payload }
    }))
    if (due.length === limit) return { due, next: 0 }
    const [next] = nextRows(
      this.#all(
        `select min(due) as due from reminder where (type, shard) in ${ofPairs} and due > ?`,
        ...[asked, now]
      )
    )
    return { due, next: typeof next?.due === "number" ? next.due - now : undefined }
  }

  sweep(limit: number, now: number): number {
    return this.#run(
      "delete from kept_key where rowid in (select rowid from kept_key where ends <= ? limit ?)",
      ...[now, limit]
    )
  }

  #all(sql: string, ...values: ReadonlyArray<Value>): ReadonlyArray<unknown> {
    return this.#statement(sql).all(...values)
  }

  /** Rows that were changed. */
  #run(sql: string, ...values: ReadonlyArray<Value>): number {
    return Number(this.#statement(sql).run(...values).changes)
  }

  #statement(sql: string): StatementSync {
    const known = this.#prepared.get(sql)
    if (known !== undefined) return known
    const made = this.#db.prepare(sql)
    this.#prepared.set(sql, made)
    return made
  }
}

type Value = string | number | null | Uint8Array
