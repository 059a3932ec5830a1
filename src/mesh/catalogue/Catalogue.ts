/**
 * The records a node knows, as an immutable value. A change copies one bucket of 256 and shares
 * the rest, so a snapshot costs nothing to hand out and a digest is computed anew only where
 * something changed.
 */
import { createHash } from "node:crypto"
import type { PeerKey } from "../../model/Names.ts"
import { type Bucket, emptyBucket } from "./CatalogueBucket.ts"
import {
  type AnyChange,
  type EntryChange,
  furtherIn,
  nodeChanges,
  nodeIn,
  settingIn
} from "./CatalogueChange.ts"
import {
  type FurtherLimits,
  FurtherTally,
  furtherLimits,
  type Room,
  settingsRoom
} from "./FurtherTally.ts"
import {
  bucketCount,
  bucketOf,
  type CatalogueEntry,
  compareEntries,
  hashLength,
  isKnownKind,
  isSettingKey,
  type NodeEntry,
  nodeKey,
  type SettingEntry,
  signerIn
} from "./RecordEntry.ts"

export const catalogueLimits = {
  /** Keys. At the limit new ones are refused; those known are still replaced and removed. */
  records: 16_384,
  /** Bytes of all envelopes; what would exceed it is refused. */
  bytes: 128 * 1024 * 1024
} as const

export interface CatalogueLimits {
  readonly records: number
  readonly bytes: number
}

export type MergeOutcome =
  | "added"
  | "replaced"
  /** Exactly this one is here. */
  | "known"
  /** A newer one is here. */
  | "stale"
  /** No room. */
  | "full"

export class Catalogue {
  static readonly empty = new Catalogue(
    new Array<Bucket>(bucketCount).fill(emptyBucket),
    0,
    0,
    catalogueLimits,
    FurtherTally.none(furtherLimits),
    FurtherTally.none(settingsRoom)
  )

  /** Nodes' records. */
  readonly size: number
  /** Bytes of their envelopes. */
  readonly bytes: number
  readonly limits: CatalogueLimits
  readonly #buckets: ReadonlyArray<Bucket>
  readonly #further: FurtherTally
  readonly #settings: FurtherTally
  #root: Uint8Array | undefined

  private constructor(
    buckets: ReadonlyArray<Bucket>,
    size: number,
    bytes: number,
    limits: CatalogueLimits,
    further: FurtherTally,
    settings: FurtherTally
  ) {
    this.#buckets = buckets
    this.size = size
    this.bytes = bytes
    this.limits = limits
    this.#further = further
    this.#settings = settings
  }

  static withLimits(
    limits: CatalogueLimits,
    further: FurtherLimits = furtherLimits,
    settings: FurtherLimits = settingsRoom
  ): Catalogue {
    const tallies = [FurtherTally.none(further), FurtherTally.none(settings)] as const
    return new Catalogue(Catalogue.empty.#buckets, 0, 0, limits, ...tallies)
  }

  /** Records of kinds that this version does not know. */
  get further(): Room {
    return this.#further.all
  }

  /** What mesh-wide settings take. */
  get settingsHeld(): Room {
    return this.#settings.all
  }

  get(key: string): CatalogueEntry | undefined {
    return this.#buckets[bucketOf(key)]!.entries.get(key)
  }

  node(peer: PeerKey): NodeEntry | undefined {
    return nodeIn(this.get(nodeKey(peer)))
  }

  /** Those of nodes. */
  *entries(): IterableIterator<NodeEntry> {
    for (const entry of this.all()) if (entry.kind === "node") yield entry
  }

  /** Each signer's of each name. */
  *settings(): IterableIterator<SettingEntry> {
    for (const entry of this.all()) if (entry.kind === "setting") yield entry
  }

  /** Also those that this version cannot read. */
  *all(): IterableIterator<CatalogueEntry> {
    for (const bucket of this.#buckets) yield* bucket.entries.values()
  }

  /** Could a record of another key find room here? */
  isOpenTo(key: string): boolean {
    const signer = signerIn(key)
    if (signer === undefined) return isKnownKind(key)
    return isSettingKey(key) ? this.#settings.isOpen(signer) : this.#further.isOpen(signer)
  }

  /** Entries of one bucket of the digest. */
  bucket(index: number): Iterable<CatalogueEntry> {
    return this.#buckets[index]?.entries.values() ?? []
  }

  /** What `merge` would make of it. */
  judge(entry: CatalogueEntry): MergeOutcome {
    const held = this.#buckets[entry.bucket]!.entries.get(entry.key)
    const order = held === undefined ? 1 : compareEntries(entry, held)
    if (order === 0) return "known"
    if (order < 0) return "stale"
    if (!this.#hasRoom(held, entry)) return "full"
    return held === undefined ? "added" : "replaced"
  }

  #hasRoom(held: CatalogueEntry | undefined, entry: CatalogueEntry): boolean {
    if (entry.kind === "further") return this.#further.hasRoom(furtherIn(held), entry)
    if (entry.kind === "setting") return this.#settings.hasRoom(settingIn(held), entry)
    const before = nodeIn(held)
    const bytes = this.bytes - (before?.bytes.length ?? 0) + entry.bytes.length
    const isKey = before !== undefined || this.size < this.limits.records
    return isKey && bytes <= this.limits.bytes
  }

  /** One bucket in place of another that differs from it in one key. */
  #replaced(
    index: number,
    bucket: Bucket,
    before: CatalogueEntry | undefined,
    after: CatalogueEntry | undefined
  ): Catalogue {
    const [old, now] = [nodeIn(before), nodeIn(after)]
    return new Catalogue(
      this.#buckets.with(index, bucket),
      this.size + Number(now !== undefined) - Number(old !== undefined),
      this.bytes + (now?.bytes.length ?? 0) - (old?.bytes.length ?? 0),
      this.limits,
      this.#further.with(furtherIn(before), furtherIn(after)),
      this.#settings.with(settingIn(before), settingIn(after))
    )
  }

  /** The newer one stays. Within the limits the order in which entries arrive does not matter. */
  merge(entry: CatalogueEntry): readonly [Catalogue, MergeOutcome] {
    const outcome = this.judge(entry)
    if (outcome !== "added" && outcome !== "replaced") return [this, outcome]
    const bucket = this.#buckets[entry.bucket]!
    const held = bucket.entries.get(entry.key)
    return [this.#replaced(entry.bucket, bucket.with(entry), held, entry), outcome]
  }

  /** The same value when it is not there. */
  without(key: string): Catalogue {
    const held = this.get(key)
    if (held === undefined) return this
    const bucket = this.#buckets[held.bucket]!.filter((entry) => entry !== held)
    return this.#replaced(held.bucket, bucket, held, undefined)
  }

  /** The same value when everything stays. */
  filter(keep: (entry: CatalogueEntry) => boolean): Catalogue {
    const buckets = this.#buckets.map((bucket) => bucket.filter(keep))
    if (buckets.every((bucket, index) => bucket === this.#buckets[index])) return this
    let { size, bytes } = this
    let further = this.#further
    let settings = this.#settings
    for (const [index, bucket] of buckets.entries()) {
      if (bucket === this.#buckets[index]) continue
      for (const entry of this.#buckets[index]!.entries.values()) {
        if (bucket.entries.has(entry.key)) continue
        further = further.with(furtherIn(entry), undefined)
        settings = settings.with(settingIn(entry), undefined)
        if (entry.kind !== "node") continue
        size--
        bytes -= entry.bytes.length
      }
    }
    return new Catalogue(buckets, size, bytes, this.limits, further, settings)
  }

  /** What makes this one of `before`, of what this version can read. */
  changesSince(before: Catalogue): ReadonlyArray<EntryChange> {
    return nodeChanges(this.allChangesSince(before))
  }

  /**
   * What makes this one of `before`. What both share is known by its object, so it costs a look at
   * each bucket and at the entries of those that changed; and because it is found in two values, no
   * change can be missed, whatever happened between them.
   */
  allChangesSince(before: Catalogue): ReadonlyArray<AnyChange> {
    const changes: Array<AnyChange> = []
    if (before === this) return changes
    for (let index = 0; index < bucketCount; index++) {
      const [old, now] = [before.#buckets[index]!, this.#buckets[index]!]
      if (old === now) continue
      for (const after of now.entries.values()) {
        const held = old.entries.get(after.key)
        if (held !== after) changes.push({ before: held, after })
      }
      for (const held of old.entries.values()) {
        if (!now.entries.has(held.key)) changes.push({ before: held, after: undefined })
      }
    }
    return changes
  }

  /** Digest, second level: one hash per bucket. */
  bucketHashes(): ReadonlyArray<Uint8Array> {
    return this.#buckets.map((bucket) => bucket.hash)
  }

  /** Digest, first level: equal exactly when two catalogues hold the same envelopes. */
  root(): Uint8Array {
    if (this.#root !== undefined) return this.#root
    const hash = createHash("sha256")
    for (const bucket of this.#buckets) hash.update(bucket.hash)
    this.#root = new Uint8Array(hash.digest().subarray(0, hashLength))
    return this.#root
  }
}
