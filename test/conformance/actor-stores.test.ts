/** The stores that need no server, held to what every store does; PostgreSQL is in test/integration. */
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Clock, Effect, Layer } from "effect"
import * as fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { ActorStore, type ActorStoreShape } from "../../src/entity/store/ActorStore.ts"
import * as MemoryStore from "../../src/entity/store/MemoryStore.ts"
import * as SqliteStore from "../../src/entity/store/SqliteStore.ts"
import { storeConformance } from "../fixtures/StoreConformance.ts"
import { faults, Owners, turns } from "../fixtures/StoreHistory.ts"

const scratch = mkdtempSync(join(tmpdir(), "skein-actors-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Of the stores that know of no other clock than their host's. It stands still until it is set on. */
let now = 1_800_000_000_000
const hosts = Clock.make()
const clock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => now,
  unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
  currentTimeMillis: Effect.sync(() => now),
  currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
  sleep: (duration) => hosts.sleep(duration)
}
const pass = (millis: number) =>
  Effect.sync(() => {
    now += millis
  })
const onItsClock = <E>(layer: Layer.Layer<ActorStore, E>) =>
  Layer.provideMerge(layer, Layer.setClock(clock))

storeConformance("memory", () => ({ layer: onItsClock(MemoryStore.layer), pass, runs: 300 }))

storeConformance("a file of SQLite", () => ({
  ...{ layer: onItsClock(SqliteStore.layer({ file: join(scratch, "suite.db") })), pass, runs: 30 }
}))

/** Stores that do not do what they should, each in one thing. */
const broken: Readonly<Record<string, (store: ActorStoreShape) => Partial<ActorStoreShape>>> = {
  "fences nobody": (store) => ({ save: (save) => store.save({ ...save, lease: undefined }) }),
  "gives one shard to two": (store) => ({
    acquire: (owner, shards, ttl) =>
      Effect.map(store.acquire("all", shards, ttl), (leases) =>
        leases.map((lease) => ({ ...lease, owner }))
      ),
    save: (save) =>
      store.save(
        save.lease === undefined ? save : { ...save, lease: { ...save.lease, owner: "all" } }
      )
  }),
  "forgets keys": (store) => ({ save: ({ keys: _, ...save }) => store.save(save) }),
  "keeps reminders of what it refuses": (store) => ({
    save: (save) =>
      Effect.tapError(store.save(save), () => {
        const { actor, reminders } = save
        if (reminders === undefined) return Effect.void
        return Effect.flatMap(store.load(actor), ({ version }) =>
          Effect.ignore(store.save({ actor, lease: undefined, version, reminders }))
        )
      })
  }),
  "acknowledges what it does not do": (store) => ({
    save: (save) => (save.version % 3 === 2 ? Effect.succeed(save.version + 1) : store.save(save))
  })
}

describe("what is judged of a history", () => {
  it.each(Object.keys(broken))("finds a store that %s", async (name) => {
    const found: Array<string> = []
    const property = fc.asyncProperty(turns, (commands) => {
      const store = MemoryStore.make()
      const owners = new Owners({ ...store, ...broken[name]!(store) }, pass, {
        ...{ shard: { type: "Type", index: 0 }, id: "one" }
      })
      const each = ["a", "b", "c"].map((owner) => owners.owner(owner))
      return Effect.forEach(commands, ({ command, owner }) => each[owner]!(command)).pipe(
        Effect.zipRight(owners.history),
        Effect.flatMap((history) => Effect.sync(() => void found.push(...faults(history)))),
        Effect.withClock(clock),
        Effect.runPromise
      )
    })
    await fc.assert(property, { numRuns: 200 })
    expect(found).not.toEqual([])
  })
})

describe("a file of SQLite", () => {
  const inFile = <A, E>(
    file: string,
    work: (store: ActorStoreShape) => Effect.Effect<A, E>
  ): Promise<A> =>
    Effect.runPromise(Effect.provide(Effect.flatMap(ActorStore, work), SqliteStore.layer({ file })))
  const actor = { shard: { type: "Cart", index: 0 }, id: "one" }
  const save = {
    actor,
    lease: undefined,
    version: 0,
    state: { bytes: new Uint8Array(4), schema: 7 }
  }

  it("keeps what was acknowledged, for its owner alone to read", async () => {
    const file = join(scratch, "kept.db")
    await inFile(file, (store) => store.save(save))
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const loaded = await inFile(file, (store) => store.load(actor))
    expect(loaded).toEqual({ version: 1, state: save.state, keys: [] })
  })

  it("is one store for all who open it", async () => {
    const file = join(scratch, "shared.db")
    await inFile(file, (store) =>
      Effect.gen(function* () {
        yield* store.acquire("a", [actor.shard], 60_000)
        const there = yield* Effect.promise(() =>
          inFile(file, (other) => other.acquire("b", [actor.shard], 60_000))
        )
        expect(there).toEqual([])
      })
    )
  })

  it("is left alone when a newer release made it", async () => {
    const file = join(scratch, "newer.db")
    await inFile(file, (store) => store.load(actor))
    const db = new DatabaseSync(file)
    db.exec("pragma user_version = 99")
    db.close()
    const error = await Effect.runPromise(Effect.flip(Effect.scoped(SqliteStore.make({ file }))))
    expect(error).toMatchObject({ code: "store_newer", unknown: false })
  })

  it("says why when it is none, or is locked, and that nothing was done", async () => {
    const none = await Effect.runPromise(
      Effect.flip(Effect.scoped(SqliteStore.make({ file: scratch })))
    )
    expect(none).toMatchObject({ code: "store_unavailable", unknown: false })
    expect(none.message).toContain(scratch)
    const file = join(scratch, "locked.db")
    const locked = Effect.gen(function* () {
      const store = yield* SqliteStore.make({ file, busy: 1 })
      const db = new DatabaseSync(file)
      db.exec("begin immediate")
      const error = yield* Effect.flip(store.save(save))
      db.exec("rollback")
      db.close()
      expect(error).toMatchObject({ code: "store_unavailable", unknown: false })
      // It comes back by itself.
      expect(yield* store.save(save)).toBe(1)
    })
    await Effect.runPromise(Effect.scoped(locked))
  })

  it("takes what is asked in one turn as one transaction, of which each is judged by itself", async () => {
    const file = join(scratch, "turn.db")
    const ids = Array.from({ length: 600 }, (_, index) => `id-${index % 300}`)
    const outcomes = await inFile(file, (store) =>
      Effect.forEach(ids, (id) => Effect.either(store.save({ ...save, actor: { ...actor, id } })), {
        concurrency: "unbounded"
      })
    )
    expect(outcomes.filter((it) => it._tag === "Right").length).toBe(300)
    expect(
      outcomes.slice(300).every((it) => it._tag === "Left" && it.left._tag === "StateConflict")
    ).toBe(true)
  })
})
