import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Either, type Layer, Logger } from "effect"
import * as fc from "fast-check"
import { afterEach, beforeEach, test } from "vitest"
import { decodeCatalogueFile, encodeCatalogueFile } from "./CatalogueFile.ts"
import { decodeCatalogueLog, type StoredChange } from "./CatalogueLog.ts"
import { CatalogueStore, type CatalogueStoreShape } from "./CatalogueStore.ts"

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

/** Without what was said of it in the log. */
const quiet = Logger.remove(Logger.defaultLogger)

const keep = (...bytes: ReadonlyArray<number>): StoredChange => ({
  _tag: "Kept",
  bytes: Uint8Array.from(bytes)
})
const some = [keep(1, 2, 3), keep(4)]
const envelopesOf = (changes: ReadonlyArray<StoredChange>) => () =>
  changes.flatMap((change) => (change._tag === "Kept" ? [change.bytes] : []))

/** As after a start. */
const opened = <A, E>(
  dir: string,
  use: (store: CatalogueStoreShape) => Effect.Effect<A, E>,
  logger: Layer.Layer<never> = quiet
) =>
  Effect.flatMap(CatalogueStore, use).pipe(
    Effect.provide(CatalogueStore.layerDisk(dir)),
    Effect.provide([NodeContext.layer, logger])
  )
const loaded = (dir: string, logger?: Layer.Layer<never>) => opened(dir, ({ load }) => load, logger)
const saved = (
  dir: string,
  all: ReadonlyArray<StoredChange>,
  changes?: ReadonlyArray<StoredChange>
) => opened(dir, (store) => Effect.zipRight(store.load, store.save(envelopesOf(all), changes)))

let dir = ""
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "skein-store-"))
})
afterEach(() => rmSync(dir, { recursive: true }))
const file = (name: string) => join(dir, name)

it.effect("an empty directory holds nothing, and that is no error", () =>
  opened(dir, (store) =>
    Effect.gen(function* () {
      expect(yield* store.load).toEqual([])
      expect(yield* store.loadEpoch).toBeUndefined()
    })
  )
)

it.effect("keeps records and epoch, readable by the owner alone, and nothing beside", () =>
  opened(dir, (store) =>
    Effect.gen(function* () {
      yield* store.save(() => [], undefined)
      yield* store.save(envelopesOf(some), undefined)
      yield* store.saveEpoch(1_800_000_000_000)
      expect(yield* store.load).toEqual(some)
      expect(yield* store.loadEpoch).toBe(1_800_000_000_000)
      expect(readdirSync(dir).sort()).toEqual(["catalogue.bin", "catalogue.epoch"])
      yield* store.save(envelopesOf(some), [keep(5)])
      expect(readdirSync(dir).sort()).toEqual(["catalogue.bin", "catalogue.epoch", "catalogue.log"])
      for (const name of readdirSync(dir)) expect(statSync(file(name)).mode & 0o777).toBe(0o600)
    })
  )
)

it.effect("reads what was written before there was a log", () =>
  Effect.gen(function* () {
    // A file of the version before, byte by byte.
    const body = Buffer.from([0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 1, 4])
    const sum = createHash("sha256").update(body).digest()
    writeFileSync(
      file("catalogue.bin"),
      Buffer.concat([Buffer.from("skein catalogue 1\n"), sum, body])
    )
    expect(yield* loaded(dir)).toEqual(some)
    yield* saved(dir, [], [keep(5)])
    expect(yield* loaded(dir)).toEqual([...some, keep(5)])
  })
)

it.effect("writes what changed, and not the rest again", () =>
  Effect.gen(function* () {
    const large = Array.from({ length: 100 }, (_, n) => keep(...new Uint8Array(1_000).fill(n)))
    expect(yield* saved(dir, large)).toBeGreaterThan(100_000)
    const changes: ReadonlyArray<StoredChange> = [keep(1), { _tag: "Gone", key: "node/a" }]
    const bytes = yield* opened(dir, (store) =>
      Effect.gen(function* () {
        yield* store.load
        yield* store.save(() => expect.unreachable(), [keep(0)])
        return yield* store.save(() => expect.unreachable(), changes)
      })
    )
    expect(bytes).toBeLessThan(100)
    expect(yield* loaded(dir)).toEqual([...large, keep(0), ...changes])
  })
)

it.effect("folds the log into a snapshot when it outgrows it, or 64 KiB", () =>
  opened(dir, (store) =>
    Effect.gen(function* () {
      const record = keep(...new Uint8Array(1_000))
      yield* store.save(envelopesOf(some), undefined)
      let longest = 0
      let folds = 0
      for (let n = 0; n < 200; n++) {
        yield* store.save(() => {
          folds++
          return envelopesOf([...some, record])()
        }, [record])
        const log = existsSync(file("catalogue.log")) ? statSync(file("catalogue.log")).size : 0
        longest = Math.max(longest, log)
      }
      expect(folds).toBe(3)
      expect(longest).toBeGreaterThan(60_000)
      expect(longest).toBeLessThanOrEqual(64 * 1024)
      expect((yield* store.load).slice(0, 3)).toEqual([...some, record])
    })
  )
)

it.effect("a log that a crash left beside a newer snapshot is not read", () =>
  Effect.gen(function* () {
    yield* saved(dir, some)
    yield* saved(dir, [], [keep(5), { _tag: "Gone", key: "node/a" }])
    const old = readFileSync(file("catalogue.log"))
    yield* saved(dir, [keep(6)])
    writeFileSync(file("catalogue.log"), old)
    expect(yield* loaded(dir)).toEqual([keep(6)])
    yield* saved(dir, [], [keep(7)])
    expect(yield* loaded(dir)).toEqual([keep(6), keep(7)])
  })
)

it.effect("what is deleted while it runs is written again as a whole", () =>
  opened(dir, (store) =>
    Effect.gen(function* () {
      for (const name of ["catalogue.bin", "catalogue.log"]) {
        yield* store.save(envelopesOf(some), undefined)
        yield* store.save(envelopesOf(some), [keep(5)])
        rmSync(file(name))
        yield* store.save(envelopesOf([...some, keep(5), keep(6)]), [keep(6)])
        expect(yield* store.load).toEqual([...some, keep(5), keep(6)])
      }
    })
  )
)

it.effect("sets unusable files aside and starts without them", () =>
  Effect.gen(function* () {
    yield* saved(dir, some)
    yield* saved(dir, [], [keep(5)])
    truncateSync(file("catalogue.bin"), 60)
    writeFileSync(file("catalogue.epoch"), "yesterday")
    // Each of its records is one by itself.
    expect(yield* loaded(dir)).toEqual([keep(5)])
    writeFileSync(file("catalogue.log"), "what is this")
    expect(yield* loaded(dir)).toEqual([])
    expect(yield* opened(dir, ({ loadEpoch }) => loadEpoch)).toBeUndefined()
    expect(readdirSync(dir).sort()).toEqual([
      "catalogue.bin.corrupt",
      "catalogue.epoch.corrupt",
      "catalogue.log.corrupt"
    ])
    yield* saved(dir, some)
    expect(yield* loaded(dir)).toEqual(some)
  })
)

it.effect("says once where a log was torn, and goes on from there", () =>
  Effect.gen(function* () {
    yield* saved(dir, some)
    yield* saved(dir, [], [keep(5), keep(6, 6)])
    const whole = statSync(file("catalogue.log")).size
    truncateSync(file("catalogue.log"), whole - 1)
    const said: Array<string> = []
    const log = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void said.push(String(message)))
    )
    expect(yield* loaded(dir, log)).toEqual([...some, keep(5)])
    expect(yield* loaded(dir, log)).toEqual([...some, keep(5)])
    expect(said).toEqual([
      expect.stringMatching(
        new RegExp(`catalogue.log is read up to byte \\d+ of ${whole - 1}: it ends within an entry`)
      )
    ])
    yield* saved(dir, [], [keep(7)])
    expect(yield* loaded(dir)).toEqual([...some, keep(5), keep(7)])
  })
)

const anyChange: fc.Arbitrary<StoredChange> = fc.oneof(
  fc.record({ _tag: fc.constant("Kept" as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({ _tag: fc.constant("Gone" as const), key: fc.string({ maxLength: 20 }) })
)
const changes = fc.array(anyChange, { maxLength: 4 })

const damage = fc.record({
  /** Of the log's length. */
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  /** Zero: it is cut off there. */
  flip: fc.nat({ max: 255 }),
  /** Some file systems leave zeros where nothing was written yet. */
  zeros: fc.nat({ max: 50 })
})

test("whatever was cut off, altered, or not written yet: a start finds what came first", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }),
      fc.array(changes, { maxLength: 5 }),
      fc.array(anyChange, { minLength: 1, maxLength: 4 }),
      damage,
      (snapshot, batches, later, { at, flip, zeros }) =>
        Effect.gen(function* () {
          for (const name of readdirSync(dir)) rmSync(file(name))
          yield* opened(dir, (store) =>
            Effect.gen(function* () {
              yield* store.save(() => snapshot, undefined)
              yield* store.save(() => expect.unreachable(), [keep(0)])
              for (const batch of batches) yield* store.save(() => expect.unreachable(), batch)
            })
          )
          const log = readFileSync(file("catalogue.log"))
          const index = Math.floor(at * log.length)
          const damaged =
            flip === 0
              ? Buffer.concat([log.subarray(0, index), Buffer.alloc(zeros)])
              : Buffer.from(log.map((byte, n) => (n === index ? byte ^ flip : byte)))
          // Zeros in place of zeros are no damage.
          if (damaged.subarray(0, log.length).equals(log)) return
          writeFileSync(file("catalogue.log"), damaged)
          const first = snapshot.map((bytes): StoredChange => ({ _tag: "Kept", bytes }))
          const all = [...first, keep(0), ...batches.flat()]
          const found = yield* loaded(dir)
          expect(found).toEqual(all.slice(0, found.length))
          // What was whole before the damage is there.
          const before = decodeCatalogueLog(log.subarray(0, index))
          const whole = Either.isRight(before) ? before.right.changes.length : 0
          expect(found.length).toBeGreaterThanOrEqual(first.length + whole)
          expect(found.length).toBeLessThan(all.length)
          yield* saved(dir, [...found, ...later], later)
          expect(yield* loaded(dir)).toEqual([...found, ...later])
        }).pipe(Effect.runPromise)
    ),
    { numRuns: 150 }
  ))

it.effect("says which file cannot be written, and why", () =>
  Effect.gen(function* () {
    mkdirSync(file("catalogue.bin.new"))
    const error = yield* Effect.flip(saved(dir, some))
    expect(error.message).toContain(`${dir}/catalogue.bin cannot be written`)
  })
)
