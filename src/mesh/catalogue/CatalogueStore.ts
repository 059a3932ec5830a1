/**
 * Where the catalogue survives a restart. Two files in the node's data directory, each replaced
 * as a whole (written beside, flushed, renamed): `catalogue.bin` with what was known, and
 * `catalogue.epoch` with the own record's epoch. Neither is needed to start: an unreadable one is
 * set aside, reported, and learnt anew from the mesh.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { Context, Data, Effect, Either, Layer } from "effect"
import { StorageTrouble } from "../keys/StorageTrouble.ts"
import { decodeCatalogueFile, encodeCatalogueFile } from "./CatalogueFile.ts"

export class CatalogueStoreError extends Data.TaggedError("CatalogueStoreError")<{
  readonly message: string
  readonly cause: unknown
}> {}

export interface CatalogueStoreShape {
  /** The epoch of the last start; undefined when there was none or it cannot be read. */
  readonly loadEpoch: Effect.Effect<number | undefined>
  readonly saveEpoch: (epoch: number) => Effect.Effect<void, CatalogueStoreError>
  /** Never fails: what cannot be read is reported in the log and is then empty. */
  readonly load: Effect.Effect<ReadonlyArray<Uint8Array>>
  readonly save: (envelopes: Iterable<Uint8Array>) => Effect.Effect<void, CatalogueStoreError>
}

/** One writer at a time: the owner of the data directory. */
const makeDiskStore = (
  dataDir: string,
  trouble: StorageTrouble
): Effect.Effect<CatalogueStoreShape, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const recordsFile = path.join(dataDir, "catalogue.bin")
    const epochFile = path.join(dataDir, "catalogue.epoch")

    const replace = (part: "catalogue" | "epoch", file: string, bytes: Uint8Array) =>
      Effect.gen(function* () {
        const beside = `${file}.new`
        yield* Effect.scoped(
          Effect.gen(function* () {
            const handle = yield* fs.open(beside, { flag: "w", mode: 0o600 })
            yield* handle.writeAll(bytes)
            yield* handle.sync
          })
        )
        yield* fs.rename(beside, file)
        yield* trouble.done(part)
      }).pipe(
        Effect.mapError(
          (cause) =>
            new CatalogueStoreError({
              message: `${file} cannot be written (${cause.message}); is the disk full or read-only, or the directory gone?`,
              cause
            })
        ),
        // Half a file helps nobody and takes the room that would mend it.
        Effect.tapError(() => Effect.ignore(fs.remove(`${file}.new`))),
        Effect.tapError(({ message }) => trouble.failed(part, message))
      )

    const setAside = (file: string, problem: string) =>
      Effect.gen(function* () {
        const aside = `${file}.corrupt`
        yield* fs.rename(file, aside)
        yield* Effect.logWarning(
          `${file} is unusable: ${problem}; it was moved to ${aside} and its content will be learnt from the mesh`
        )
      }).pipe(
        Effect.catchAll((cause) =>
          Effect.logWarning(
            `${file} is unusable (${problem}) and cannot be moved: ${cause.message}`
          )
        )
      )

    /** Undefined when there is no such file, or it cannot be read, which is then in the log. */
    const read = (file: string) =>
      fs.readFile(file).pipe(
        Effect.catchTag("SystemError", (error) =>
          error.reason === "NotFound"
            ? Effect.succeed(undefined)
            : Effect.as(Effect.logWarning(`${file} cannot be read: ${error.message}`), undefined)
        ),
        Effect.catchAll((error) =>
          Effect.as(Effect.logWarning(`${file} cannot be read: ${error.message}`), undefined)
        )
      )

    return {
      loadEpoch: Effect.gen(function* () {
        const bytes = yield* read(epochFile)
        if (bytes === undefined) return undefined
        const text = new TextDecoder().decode(bytes).trim()
        const epoch = /^\d{1,15}$/.test(text) ? Number(text) : undefined
        if (epoch === undefined) yield* setAside(epochFile, "it is not a number")
        return epoch
      }),
      saveEpoch: (epoch) => replace("epoch", epochFile, new TextEncoder().encode(`${epoch}\n`)),
      load: Effect.gen(function* () {
        const bytes = yield* read(recordsFile)
        if (bytes === undefined) return []
        const envelopes = decodeCatalogueFile(bytes)
        if (Either.isRight(envelopes)) return envelopes.right
        yield* setAside(recordsFile, envelopes.left)
        return []
      }),
      save: (envelopes) =>
        Effect.suspend(() => replace("catalogue", recordsFile, encodeCatalogueFile(envelopes)))
    }
  })

export class CatalogueStore extends Context.Tag("skein/catalogue/CatalogueStore")<
  CatalogueStore,
  CatalogueStoreShape
>() {
  /** `trouble` hears what cannot be written, and tells it. */
  static layerDisk(
    dataDir: string,
    trouble: StorageTrouble = new StorageTrouble(dataDir)
  ): Layer.Layer<CatalogueStore, never, FileSystem.FileSystem | Path.Path> {
    return Layer.effect(CatalogueStore, makeDiskStore(dataDir, trouble))
  }

  /** Survives as long as the layer: a restart within one test is a second node on the same one. */
  static readonly layerMemory: Layer.Layer<CatalogueStore> = Layer.sync(CatalogueStore, () => {
    let epoch: number | undefined
    let file = encodeCatalogueFile([])
    return {
      loadEpoch: Effect.sync(() => epoch),
      saveEpoch: (next) =>
        Effect.sync(() => {
          epoch = next
        }),
      load: Effect.sync(() => Either.getOrElse(decodeCatalogueFile(file), () => [])),
      save: (envelopes) =>
        Effect.sync(() => {
          file = encodeCatalogueFile(envelopes)
        })
    }
  })
}
