/** A store that ends with its scope: for tests, and for actors whose state nobody would miss. */
import { Clock, Effect, Layer } from "effect"
import { ActorStore, type ActorStoreShape } from "./ActorStore.ts"
import { MemoryTables } from "./MemoryTables.ts"
import { refusedLoad } from "./StoreRequest.ts"

const now = Clock.currentTimeMillis

export const make = (tables: MemoryTables = new MemoryTables()): ActorStoreShape => ({
  load: (actor) => {
    const refused = refusedLoad(actor)
    return refused === undefined
      ? Effect.map(now, (at) => tables.load(actor, at))
      : Effect.fail(refused)
  },
  save: (save) => Effect.flatMap(now, (at) => tables.save(save, at)),
  acquire: (owner, shards, ttl) => Effect.map(now, (at) => tables.acquire(owner, shards, ttl, at)),
  renew: (leases, ttl) => Effect.map(now, (at) => tables.renew(leases, ttl, at)),
  release: (leases) => Effect.sync(() => tables.release(leases)),
  leases: (type) => Effect.map(now, (at) => tables.leases(type, at)),
  reminders: (shards, limit, after) =>
    Effect.map(now, (at) => tables.reminders(shards, limit, after, at)),
  sweep: (limit) => Effect.map(now, (at) => tables.sweep(limit, at))
})

export const layer: Layer.Layer<ActorStore> = Layer.sync(ActorStore, () => make())
