/**
 * Repairs what gossip missed: two catalogues compare root hashes, then the hashes of 256 buckets,
 * then the versions in the buckets that differ, and exchange only what one of them lacks. Equal
 * catalogues cost one question of 16 bytes.
 */
import { Effect } from "effect"
import type { MeshRpcError, RecordVersion } from "../host/MeshRpc.ts"
import type { Catalogue } from "./Catalogue.ts"
import {
  bucketCount,
  bucketOf,
  type CatalogueEntry,
  compareEntries,
  hashLength,
  isUpTo
} from "./RecordEntry.ts"

/** Bounds of one question and of its answer. */
export const syncLimits = {
  /** Buckets per question. */
  buckets: 16,
  /** Records per batch, each way. */
  records: 64,
  /** Bytes of envelopes per batch, each way; one record always fits. */
  bytes: 512 * 1024,
  /** Who holds no more nodes than this is new here… */
  newcomer: 8,
  /** …and asks so many questions at a time: nobody can call through it before it has heard of all. */
  newcomersQuestions: 4
} as const

/** The other side, as the exchange needs it. */
export interface SyncPort {
  readonly digest: (
    root: Uint8Array
  ) => Effect.Effect<
    { readonly same: boolean; readonly buckets: ReadonlyArray<Uint8Array> },
    MeshRpcError
  >
  readonly versions: (
    buckets: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyArray<RecordVersion>, MeshRpcError>
  readonly exchange: (
    wanted: ReadonlyArray<string>,
    offered: ReadonlyArray<Uint8Array>
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, MeshRpcError>
}

/** This side. */
export interface SyncSelf {
  readonly current: () => Catalogue
  /** Verifies and merges; answers how many changed the catalogue. */
  readonly receive: (envelopes: ReadonlyArray<Uint8Array>) => Effect.Effect<number>
  /** Hears which of the records that are held here the other side has given up, up to these versions. */
  readonly onGone?: ((versions: ReadonlyArray<GoneVersion>) => void) | undefined
}

/** A record of which nothing up to this version is held. */
export type GoneVersion = Pick<RecordVersion, "key" | "epoch" | "version">

export interface SyncReport {
  readonly same: boolean
  /** Records that were new here. */
  readonly received: number
  /** Records that the other side lacked. */
  readonly offered: number
}

export const answerDigest = (catalogue: Catalogue, root: Uint8Array) => {
  const same = Buffer.compare(catalogue.root(), root) === 0
  return { same, buckets: same ? [] : catalogue.bucketHashes() }
}

export const answerVersions = (
  catalogue: Catalogue,
  buckets: ReadonlyArray<number>,
  gone: ReadonlyArray<GoneVersion> = []
): ReadonlyArray<RecordVersion> => {
  const asked = new Set(buckets)
  const held = Array.from(asked).flatMap((bucket) =>
    Array.from(catalogue.bucket(bucket), ({ key, epoch, version, hash }) => ({
      key,
      epoch,
      version,
      hash
    }))
  )
  const given = gone
    .filter(({ key }) => asked.has(bucketOf(key)) && catalogue.get(key) === undefined)
    .map(({ epoch, key, version }) => ({ key, epoch, version, hash: noHash, gone: true }))
  return [...held, ...given]
}

/** Below every other of the same version. */
const noHash = new Uint8Array(hashLength)

/** As many of the wanted envelopes as fit into one answer. */
export const answerWanted = (
  catalogue: Catalogue,
  wanted: ReadonlyArray<string>
): ReadonlyArray<Uint8Array> => {
  const entries = wanted.flatMap((key) => catalogue.get(key) ?? [])
  return batchOf(entries).map(({ bytes }) => bytes)
}

/** The longest beginning of the list that fits into one batch. */
const batchOf = (entries: ReadonlyArray<CatalogueEntry>): ReadonlyArray<CatalogueEntry> => {
  let bytes = 0
  const end = entries.findIndex((entry, index) => {
    bytes += entry.bytes.length
    return index === syncLimits.records || (index > 0 && bytes > syncLimits.bytes)
  })
  return end === -1 ? entries : entries.slice(0, end)
}

export const differingBuckets = (
  mine: ReadonlyArray<Uint8Array>,
  theirs: ReadonlyArray<Uint8Array>
): ReadonlyArray<number> =>
  theirs.length !== bucketCount
    ? []
    : mine.flatMap((hash, index) => (Buffer.compare(hash, theirs[index]!) === 0 ? [] : [index]))

/** Who lacks what, within these buckets. */
export const compareVersions = (
  mine: Catalogue,
  buckets: ReadonlyArray<number>,
  theirs: ReadonlyArray<RecordVersion>
): {
  readonly wanted: ReadonlyArray<string>
  readonly offered: ReadonlyArray<CatalogueEntry>
  /** Held here, and given up there. */
  readonly gone: ReadonlyArray<GoneVersion>
} => {
  const wanted: Array<string> = []
  const gone: Array<GoneVersion> = []
  const settled = new Set<string>()
  for (const version of theirs) {
    const held = mine.get(version.key)
    if (version.gone === true) {
      if (held === undefined || !isUpTo(held, version)) continue
      gone.push(version)
      // It would be refused.
      settled.add(version.key)
      continue
    }
    if (held === undefined) {
      if (mine.isOpenTo(version.key)) wanted.push(version.key)
      continue
    }
    const order = compareEntries(version, held)
    if (order > 0) wanted.push(version.key)
    if (order >= 0) settled.add(version.key)
  }
  const offered = buckets.flatMap((bucket) =>
    Array.from(mine.bucket(bucket)).filter(({ key }) => !settled.has(key))
  )
  return { wanted, offered, gone }
}

const chunksOf = (items: ReadonlyArray<number>, size: number) =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size)
  )

/** Moves everything one side lacks, batch by batch. Stops asking when an answer brings nothing. */
const exchangeAll = (
  self: SyncSelf,
  port: SyncPort,
  plan: ReturnType<typeof compareVersions>
): Effect.Effect<{ readonly received: number; readonly offered: number }, MeshRpcError> =>
  Effect.gen(function* () {
    let wanted = plan.wanted
    let offered = plan.offered
    let received = 0
    while (wanted.length > 0 || offered.length > 0) {
      const asking = wanted.slice(0, syncLimits.records)
      const giving = batchOf(offered)
      const answer = yield* port.exchange(
        asking,
        giving.map(({ bytes }) => bytes)
      )
      received += yield* self.receive(answer.slice(0, syncLimits.records))
      offered = offered.slice(giving.length)
      // Answers hold a beginning of what was asked for; the rest is asked for again.
      const moved = answer.length === 0 ? asking.length : Math.min(answer.length, asking.length)
      wanted = wanted.slice(moved)
    }
    return { received, offered: plan.offered.length }
  })

/**
 * One whole comparison with one other node. After a partition many make them at once, each one question at a
 * time; a newcomer waits for its first one, which is most of what there is, part by part.
 */
export const synchronise = (
  self: SyncSelf,
  port: SyncPort
): Effect.Effect<SyncReport, MeshRpcError> =>
  Effect.gen(function* () {
    const digest = yield* port.digest(self.current().root())
    if (digest.same) return { same: true, received: 0, offered: 0 }
    const differing = differingBuckets(self.current().bucketHashes(), digest.buckets)
    const part = (buckets: ReadonlyArray<number>) =>
      Effect.gen(function* () {
        const theirs = yield* port.versions(buckets)
        const plan = compareVersions(self.current(), buckets, theirs)
        if (plan.gone.length > 0) self.onGone?.(plan.gone)
        return yield* exchangeAll(self, port, plan)
      })
    const parts = chunksOf(differing, syncLimits.buckets)
    const isNewcomer = self.current().size <= syncLimits.newcomer
    const moved = yield* Effect.forEach(parts, part, {
      concurrency: isNewcomer ? Math.min(parts.length, syncLimits.newcomersQuestions) : 1
    })
    return {
      same: false,
      received: moved.reduce((sum, { received }) => sum + received, 0),
      offered: moved.reduce((sum, { offered }) => sum + offered, 0)
    }
  })
