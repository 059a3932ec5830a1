import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Either, Logger } from "effect"
import * as fc from "fast-check"
import { test } from "vitest"
import { decodeCatalogueFile, encodeCatalogueFile } from "./CatalogueFile.ts"
import { CatalogueStore } from "./CatalogueStore.ts"

const envelopes = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 })

test("a file gives back what was written", () => {
  fc.assert(
    fc.property(envelopes, (written) => {
      const read = decodeCatalogueFile(encodeCatalogueFile(written))
      expect(Either.getOrThrow(read).map((bytes) => [...bytes])).toEqual(
        written.map((bytes) => [...bytes])
      )
    })
  )
})

test("a file that was cut off or altered anywhere is noticed", () => {
  fc.assert(
    fc.property(envelopes, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, at, flip) => {
      const file = encodeCatalogueFile(written)
      const index = at % file.length
      expect(Either.isLeft(decodeCatalogueFile(file.subarray(0, index)))).toBe(true)
      const altered = Uint8Array.from(file)
      altered[index]! ^= flip
      expect(Either.isLeft(decodeCatalogueFile(altered))).toBe(true)
    })
  )
})

const quiet = Logger.remove(Logger.defaultLogger)

const withStore = <A, E>(
  use: (dir: string) => Effect.Effect<A, E, CatalogueStore | FileSystem.FileSystem>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const dir = yield* fs.makeTempDirectoryScoped()
    return yield* use(dir).pipe(Effect.provide(CatalogueStore.layerDisk(dir)))
  }).pipe(Effect.provide([NodeContext.layer, quiet]))

const some = [new Uint8Array([1, 2, 3]), new Uint8Array([4])]

it.scopedLive("an empty directory holds nothing, and that is no error", () =>
  withStore(() =>
    Effect.gen(function* () {
      const store = yield* CatalogueStore
      expect(yield* store.load).toEqual([])
      expect(yield* store.loadEpoch).toBeUndefined()
    })
  )
)

it.scopedLive("keeps records and epoch, readable by the owner alone, and nothing beside", () =>
  withStore((dir) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const store = yield* CatalogueStore
      yield* store.save([])
      yield* store.save(some)
      yield* store.saveEpoch(1_800_000_000_000)
      expect(yield* store.load).toEqual(some)
      expect(yield* store.loadEpoch).toBe(1_800_000_000_000)
      expect((yield* fs.readDirectory(dir)).sort()).toEqual(["catalogue.bin", "catalogue.epoch"])
      const { mode } = yield* fs.stat(`${dir}/catalogue.bin`)
      expect(mode & 0o777).toBe(0o600)
    })
  )
)

it.scopedLive("sets unusable files aside and starts without them", () =>
  withStore((dir) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const store = yield* CatalogueStore
      yield* store.save(some)
      yield* fs.truncate(`${dir}/catalogue.bin`, 60)
      yield* fs.writeFileString(`${dir}/catalogue.epoch`, "yesterday")
      expect(yield* store.load).toEqual([])
      expect(yield* store.loadEpoch).toBeUndefined()
      expect((yield* fs.readDirectory(dir)).sort()).toEqual([
        "catalogue.bin.corrupt",
        "catalogue.epoch.corrupt"
      ])
      yield* store.save(some)
      expect(yield* store.load).toEqual(some)
    })
  )
)

it.scopedLive("says which file cannot be written, and why", () =>
  withStore((dir) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const store = yield* CatalogueStore
      yield* fs.makeDirectory(`${dir}/catalogue.bin.new`)
      const error = yield* Effect.flip(store.save(some))
      expect(error.message).toContain(`${dir}/catalogue.bin cannot be written`)
    })
  )
)
