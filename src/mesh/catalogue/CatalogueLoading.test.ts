import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Either, Logger, TestClock } from "effect"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import type { NodeIdentity } from "../trust/NodeIdentity.ts"
import { Catalogue } from "./Catalogue.ts"
import { loadCatalogue, storedChanges } from "./CatalogueLoading.ts"
import { CatalogueStore, type CatalogueStoreShape } from "./CatalogueStore.ts"
import { makeRecordDoor } from "./RecordDoor.ts"

const start = 1_800_000_000_000
const members = makeMembers(3, start)
const [self, other, third] = members
const door = makeRecordDoor({ current: self! })

const entryOf = (identity: NodeIdentity, epoch = start) =>
  Either.getOrThrow(
    makeRecordDoor({ current: identity }).seal(
      {
        ...{ peer: identity.peer, name: identity.name, addresses: [], services: [] },
        ...{ epoch, version: 0, signedAt: start, state: "serving", software: "skein/test" }
      },
      start
    )
  )
const holding = (...entries: ReadonlyArray<ReturnType<typeof entryOf>>) =>
  entries.reduce((catalogue, entry) => catalogue.merge(entry)[0], Catalogue.empty)

/** From snapshot to catalogue, one step after the other, as a start reads it then. */
const stored = (...steps: ReadonlyArray<Catalogue>) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(start)
    const dir = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
    const onDisk = Effect.provide(CatalogueStore.layerDisk(dir))
    const write = (store: CatalogueStoreShape) =>
      Effect.forEach(steps, (catalogue, index) =>
        store.save(
          () => Array.from(catalogue.entries(), ({ bytes }) => bytes),
          index === 0 ? undefined : storedChanges(catalogue.changesSince(steps[index - 1]!))
        )
      )
    yield* onDisk(Effect.flatMap(CatalogueStore, write))
    return yield* onDisk(loadCatalogue(door))
  }).pipe(Effect.provide([NodeContext.layer, Logger.remove(Logger.defaultLogger)]))

it.scoped("reads what came, what was replaced and what went, from snapshot and log", () =>
  Effect.gen(function* () {
    const first = holding(entryOf(self!), entryOf(other!, start + 5))
    const last = first
      .without(entryOf(self!).key)
      // Of a clock that was ahead and is right again.
      .without(entryOf(other!).key)
      .merge(entryOf(other!))[0]
      .merge(entryOf(third!))[0]
    const read = yield* stored(first, last)
    expect(read.root()).toEqual(last.root())
    expect(read.size).toBe(2)
    expect(read.node(other!.peer)?.epoch).toBe(start)
  })
)

it.scoped("what went and came again is there", () =>
  Effect.gen(function* () {
    const all = holding(entryOf(self!), entryOf(other!))
    const without = all.without(entryOf(other!).key)
    expect((yield* stored(all, without, all)).root()).toEqual(all.root())
    expect((yield* stored(all, without)).size).toBe(1)
  })
)
