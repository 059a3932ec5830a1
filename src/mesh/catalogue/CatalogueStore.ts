/**
 * Where the catalogue survives a restart: a snapshot in the node's data directory
 * (`catalogue.bin`), a log of what changed since (`catalogue.log`), and the own record's epoch
 * (`catalogue.epoch`). Snapshot and epoch are replaced as wholes (written beside, flushed, renamed);
 * the log is appended to and flushed, and folded into a new snapshot when it outgrows it. A log names
 * its snapshot, so that one which a crash left behind is not taken for the next one's. None of them is
 * needed to start: what is unreadable is set aside or cut off, reported, and learnt anew from the mesh.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { Context, Data, Effect, Either, Layer } from "effect"
import { StorageTrouble } from "../keys/StorageTrouble.ts"
import { decodeCatalogueFile, encodeCatalogueFile, snapshotId } from "./CatalogueFile.ts"
import {
  decodeCatalogueLog,
  encodeLogEntries,
  type LogEnd,
  logHead,
  type StoredChange
} from "./CatalogueLog.ts"

export class CatalogueStoreError extends Data.TaggedError("CatalogueStoreError")<{
  readonly message: string
  readonly cause: unknown
}> {}

export interface CatalogueStoreShape {
  /** The epoch of the last start; undefined when there was none or it cannot be read. */
  readonly loadEpoch: Effect.Effect<number | undefined>
  readonly saveEpoch: (epoch: number) => Effect.Effect<void, CatalogueStoreError>
  /** In the order to be applied. Never fails: what cannot be read is in the log, and left out. */
  readonly load: Effect.Effect<ReadonlyArray<StoredChange>>
  /**
   * `changes`: since the last time that this was done, or since the load; undefined: unknown. `all` is
   * asked when they are not enough. Answers how many bytes were written.
   */
  readonly save: (
    all: () => Iterable<Uint8Array>,
    changes: ReadonlyArray<StoredChange> | undefined
  ) => Effect.Effect<number, CatalogueStoreError>
}

/** A log of so many bytes is no reason for a new snapshot, however small that would be. */
const smallLog = 64 * 1024

/** What is on disk, as far as it is known to be whole. */
interface OnDisk {
  readonly snapshot: Uint8Array
  readonly snapshotBytes: number
  /** Undefined: there is no log of this snapshot yet. */
  readonly log: LogEnd | undefined
}

const keptAll = (envelopes: ReadonlyArray<Uint8Array>): ReadonlyArray<StoredChange> =>
  envelopes.map((bytes) => ({ _tag: "Kept", bytes }))

/** One writer at a time: the owner of the data directory. */
const makeDiskStore = (
  dataDir: string,
  trouble: StorageTrouble
): Effect.Effect<CatalogueStoreShape, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const recordsFile = path.join(dataDir, "catalogue.bin")
    const logFile = path.join(dataDir, "catalogue.log")
    const epochFile = path.join(dataDir, "catalogue.epoch")
    let onDisk: OnDisk | undefined

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

    const loadSnapshot = Effect.gen(function* () {
      const bytes = yield* read(recordsFile)
      if (bytes === undefined) return []
      const envelopes = decodeCatalogueFile(bytes)
      if (Either.isLeft(envelopes)) {
        yield* setAside(recordsFile, envelopes.left)
        return []
      }
      const snapshot = snapshotId(bytes)
      onDisk = { snapshot, snapshotBytes: bytes.length, log: undefined }
      return envelopes.right
    })

    /** Also without its snapshot: each record in it is one by itself. */
    const loadLog = Effect.gen(function* () {
      const bytes = yield* read(logFile)
      if (bytes === undefined) return []
      const log = decodeCatalogueLog(bytes)
      if (Either.isLeft(log)) {
        yield* setAside(logFile, log.left)
        return []
      }
      const { changes, end, problem, snapshot } = log.right
      if (onDisk !== undefined && Buffer.compare(snapshot, onDisk.snapshot) !== 0) {
        // The snapshot that followed it holds all that it says; unless it is the name that is rotten.
        if (problem !== undefined && changes.length === 0) yield* setAside(logFile, problem)
        return []
      }
      if (problem !== undefined) {
        // What was being written when the host went down; cut off, it is told of this once.
        yield* Effect.ignore(fs.truncate(logFile, end.length))
        yield* Effect.logWarning(
          `${logFile} is read up to byte ${end.length} of ${bytes.length}: ${problem}. The rest is left out and will be learnt from the mesh`
        )
      }
      if (onDisk !== undefined) onDisk = { ...onDisk, log: end }
      return changes
    })

    const saveAll = (envelopes: Iterable<Uint8Array>) =>
      Effect.suspend(() => {
        const bytes = encodeCatalogueFile(envelopes)
        onDisk = undefined
        return Effect.gen(function* () {
          yield* replace("catalogue", recordsFile, bytes)
          yield* Effect.ignore(fs.remove(logFile))
          onDisk = { snapshot: snapshotId(bytes), snapshotBytes: bytes.length, log: undefined }
          return bytes.length
        })
      })

    /** Undefined when that is no longer the way: it would be too long, or cannot be done. */
    const append = (held: OnDisk, changes: ReadonlyArray<StoredChange>) =>
      Effect.gen(function* () {
        if (changes.length === 0) return 0
        const head = held.log === undefined ? logHead(held.snapshot) : undefined
        const before = held.log ?? logHead(held.snapshot)
        const entries = encodeLogEntries(before, changes)
        if (entries.length > Math.max(smallLog, held.snapshotBytes)) return undefined
        // Somebody may have deleted it.
        const { size } = yield* fs.stat(recordsFile)
        if (Number(size) !== held.snapshotBytes) return undefined
        const bytes =
          head === undefined ? entries.bytes : Buffer.concat([head.bytes, entries.bytes])
        yield* Effect.scoped(
          Effect.gen(function* () {
            const flag = head === undefined ? "r+" : "w"
            const handle = yield* fs.open(logFile, { flag, mode: 0o600 })
            if (head === undefined) {
              // What an earlier attempt wrote of it.
              yield* handle.truncate(before.length)
              yield* handle.seek(before.length, "start")
            }
            yield* handle.writeAll(bytes)
            yield* handle.sync
          })
        )
        onDisk = { ...held, log: { length: entries.length, checksum: entries.checksum } }
        yield* trouble.done("catalogue")
        return bytes.length
      }).pipe(
        Effect.catchAll((error) =>
          Effect.as(
            Effect.logDebug(`${logFile} cannot be appended to: ${error.message}`),
            undefined
          )
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
        onDisk = undefined
        const snapshot = yield* loadSnapshot
        return [...keptAll(snapshot), ...(yield* loadLog)]
      }),
      save: (all, changes) =>
        Effect.gen(function* () {
          const appended =
            onDisk === undefined || changes === undefined
              ? undefined
              : yield* append(onDisk, changes)
          return appended ?? (yield* saveAll(all()))
        })
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
      load: Effect.sync(() => keptAll(Either.getOrElse(decodeCatalogueFile(file), () => []))),
      save: (all) =>
        Effect.sync(() => {
          file = encodeCatalogueFile(all())
          return file.length
        })
    }
  })
}
