/**
 * The SQL of a store in PostgreSQL. Each request is one statement, so it is one transaction that needs
 * nothing more of who asked: a host that stands still in the middle of a save holds no lock.
 *
 * All times are whole milliseconds since 1970 by the clock of the server.
 */
import type { Save } from "./ActorStore.ts"
import { changesOf } from "./StoreRequest.ts"

/** What `createTables` makes; a database with a larger number is of a later release. */
export const postgresVersion = 1

/** Names of the tables, which share a database with others. */
const [lease, actor, key, reminder, tables] = [
  "skein_actor_lease",
  "skein_actor",
  "skein_actor_key",
  "skein_actor_reminder",
  "skein_actor_tables"
] as const

const now = "floor(extract(epoch from clock_timestamp()) * 1000)::int8"

/** Several programs may begin at a time: the lock lets one of them make the tables. Any number will do. */
const createLock = 7_530_216

/** As one transaction, since all of it is one request without parameters. */
export const createTables = `
  select pg_advisory_xact_lock(${createLock});
  create table if not exists ${tables} (version int not null);
  insert into ${tables} select ${postgresVersion} where not exists (select from ${tables});
  create table if not exists ${lease} (
    type text not null, shard int not null, owner text, epoch int8 not null, ends int8 not null,
    primary key (type, shard)
  ) with (fillfactor = 50);
  create table if not exists ${actor} (
    type text not null, id text not null, version int8 not null, schema int, state bytea,
    primary key (type, id)
  );
  create table if not exists ${key} (
    type text not null, id text not null, key text not null, result bytea not null, ends int8 not null,
    primary key (type, id, key)
  );
  create index if not exists ${key}_ends on ${key} (ends);
  create table if not exists ${reminder} (
    type text not null, id text not null, name text not null, shard int not null, due int8 not null,
    payload bytea not null,
    primary key (type, id, name)
  );
  create index if not exists ${reminder}_due on ${reminder} (type, shard, due);
`

/** Not by making them: a role that may use the tables need not have the right to make any. */
export const tablesThere = `select to_regclass('${tables}') is not null as there`

export const tablesVersion = `select version from ${tables}`

/** $1 type, $2 id. Every key that holds is a row; an actor without any is one row. */
export const load = `
  select a.version::float8, a.schema, a.state, k.key, k.result, (k.ends - ${now})::float8 as rest
  from ${actor} a
    left join ${key} k on k.type = a.type and k.id = a.id and k.ends > ${now}
  where a.type = $1 and a.id = $2
  order by k.ends`

/** Why a save did nothing. $1 type, $2 id, $3 shard. */
export const standing = `
  select
    (select epoch from ${lease} where type = $1 and shard = $3)::float8 as epoch,
    (select version from ${actor} where type = $1 and id = $2)::float8 as version`

const first = `
  insert into ${actor} (type, id, version, schema, state)
  select $1::text, $2::text, 1, $4::int, $5::bytea from allowed
  on conflict (type, id) do nothing
  returning version`

/** What a save does not mention stays as it is. */
const later = `
  update ${actor} set version = version + 1,
    schema = coalesce($4::int, schema), state = coalesce($5::bytea, state)
  where type = $1::text and id = $2::text and version = $6::int8 and exists (select from allowed)
  returning version`

/** The lock on the lease's row makes a new owner wait until this save is there to be loaded. */
const fence = (owner: string, epoch: string) => `
  allowed as materialized (
    select 1 from ${lease}
    where type = $1::text and shard = $3::int and owner = ${owner}::text and epoch = ${epoch}::int8
    for share
  )`

export interface Statement {
  readonly sql: string
  readonly values: ReadonlyArray<unknown>
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** One row: the new version, null when nothing was done; and whether the lease allowed it. */
export const save = (asked: Save): Statement => {
  const { actor: who, lease: held, state, version } = asked
  const values: Array<unknown> = [
    ...[who.shard.type, who.id, who.shard.index, state?.schema ?? null],
    state === undefined ? null : Buffer.from(state.bytes)
  ]
  const value = (it: unknown): string => `$${values.push(it)}`
  if (version > 0) values.push(version)
  const parts = [
    held === undefined
      ? "allowed as (select 1 where $3::int is not null)"
      : fence(value(held.owner), value(held.epoch)),
    `saved as (${version === 0 ? first : later})`
  ]
  const { done, drop, put, remind } = changesOf(asked)
  const mine = "type = $1 and id = $2 and exists (select from saved)"
  if (drop.length > 0) {
    const names = value(JSON.stringify(drop))
    parts.push(
      `dropped as (delete from ${key} where ${mine} and key in (select jsonb_array_elements_text(${names}::jsonb)))`
    )
  }
  if (put.length > 0) {
    const rows = value(
      JSON.stringify(
        put.map((it) => ({
          ...{ key: it.key, result: base64(it.result), rest: Math.round(it.left) }
        }))
      )
    )
    parts.push(`
      kept as (
        insert into ${key} (type, id, key, result, ends)
        select $1, $2, k.key, decode(k.result, 'base64'), ${now} + k.rest
        from saved, jsonb_to_recordset(${rows}::jsonb) as k(key text, result text, rest int8)
        on conflict (type, id, key) do update set result = excluded.result, ends = excluded.ends
      )`)
  }
  if (done.length > 0) {
    const rows = value(JSON.stringify(done.map((it) => ({ name: it.name, due: it.due ?? null }))))
    parts.push(`
      done as (
        delete from ${reminder} r using jsonb_to_recordset(${rows}::jsonb) as d(name text, due int8)
        where r.${mine} and r.name = d.name and r.due = coalesce(d.due, r.due)
      )`)
  }
  if (remind.length > 0) {
    const rows = value(
      JSON.stringify(
        remind.map(({ name, payload, when }) => ({
          ...{ name, payload: base64(payload) },
          ...("at" in when ? { at: Math.round(when.at) } : { after: Math.round(when.after) })
        }))
      )
    )
    parts.push(`
      reminded as (
        insert into ${reminder} (type, id, name, shard, due, payload)
        select $1, $2, r.name, $3, coalesce(r.at, ${now} + r.after), decode(r.payload, 'base64')
        from saved, jsonb_to_recordset(${rows}::jsonb)
          as r(name text, payload text, at int8, after int8)
        on conflict (type, id, name) do update set
          shard = excluded.shard, due = excluded.due, payload = excluded.payload
      )`)
  }
  const sql = `with ${parts.join(",\n")}
    select (select version from saved)::float8 as version, exists (select from allowed) as allowed`
  return { sql, values }
}

const pairs = (parameter: string) => `
  select p.type, p.shard from jsonb_to_recordset(${parameter}::jsonb) as p(type text, shard int)`

/**
 * $1 owner, $2 ttl, $3 shards. Those of others are left alone, so that who waits for a lease takes no
 * lock; in one order, so that two who ask at a time do not wait for each other.
 */
export const acquire = `
  insert into ${lease} as l (type, shard, owner, epoch, ends)
  select p.type, p.shard, $1::text, 1, ${now} + $2::int8 from (${pairs("$3")}) p
  where not exists (
    select from ${lease} o where o.type = p.type and o.shard = p.shard and o.owner <> $1 and o.ends > ${now}
  )
  order by p.type, p.shard
  on conflict (type, shard) do update set
    epoch = l.epoch + case when l.owner = excluded.owner and l.ends > ${now} then 0 else 1 end,
    owner = excluded.owner, ends = excluded.ends
  where l.owner is null or l.owner = excluded.owner or l.ends <= ${now}
  returning l.type, l.shard, l.epoch::float8`

/** $1 leases. Locks their rows in the order in which all others do. */
const latest = `
  latest as materialized (
    select l.type, l.shard from ${lease} l
      join jsonb_to_recordset($1::jsonb) as h(type text, shard int, owner text, epoch int8)
      on l.type = h.type and l.shard = h.shard and l.owner = h.owner and l.epoch = h.epoch
    order by l.type, l.shard
    for no key update of l
  )`

/** $1 leases, $2 ttl. */
export const renew = `with ${latest}
  update ${lease} l set ends = ${now} + $2::int8 from latest
  where l.type = latest.type and l.shard = latest.shard and l.ends > ${now}
  returning l.type, l.shard, l.epoch::float8`

/** $1 leases. */
export const release = `with ${latest}
  update ${lease} l set owner = null from latest
  where l.type = latest.type and l.shard = latest.shard`

/** $1 type. */
export const leases = `
  select type, shard, owner, epoch::float8, (ends - ${now})::float8 as rest from ${lease}
  where type = $1 and owner is not null and ends > ${now} order by shard`

/** $1 shards, $2 limit; behind the one that $3 due, $4 type, $5 id and $6 name say. */
export const due = `
  select r.type, r.id, r.name, r.shard, r.due::float8, r.payload from ${reminder} r
  where (r.type, r.shard) in (${pairs("$1")}) and r.due <= ${now}
    and (r.due, r.type, r.id, r.name) > ($3::int8, $4::text, $5::text, $6::text)
  order by r.due, r.type, r.id, r.name limit $2`

/** $1 shards, $2 when the last of those fell due that are known. One may have done so since: not less than 0. */
export const next = `
  select min(greatest(0, r.due - ${now}))::float8 as next from ${reminder} r
  where (r.type, r.shard) in (${pairs("$1")}) and r.due > $2::int8`

/** $1 limit. */
export const sweep = `
  delete from ${key} where ctid in (
    select ctid from ${key} where ends <= ${now} limit $1 for update skip locked
  ) returning 1 as swept`
