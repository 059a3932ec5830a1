/**
 * The records a node knows, as an immutable value. A change copies one bucket of 256 and shares
 * the rest, so a snapshot costs nothing to hand out and a digest is computed anew only where
 * something changed.
 */
import { createHash } from "node:crypto"
import type { PeerKey } from "../../model/Names.ts"
import {
  bucketCount,
  bucketOf,
  type CatalogueEntry,
  compareEntries,
  hashLength,
  type NodeEntry,
  nodeKey
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

/** One key in two catalogues; undefined: not in that one. */
export interface EntryChange {
  readonly before: CatalogueEntry | undefined
  readonly after: CatalogueEntry | undefined
}

class Bucket {
  readonly entries: ReadonlyMap<string, CatalogueEntry>
  #hash: Uint8Array | undefined

  constructor(entries: ReadonlyMap<string, CatalogueEntry>) {
    this.entries = entries
  }

  /** Over the hashes of its entries in order of their keys; zeros when empty. */
  get hash(): Uint8Array {
    if (this.#hash !== undefined) return this.#hash
    if (this.entries.size === 0) {
      this.#hash = new Uint8Array(hashLength)
      return this.#hash
    }
    const hash = createHash("sha256")
    // Code-unit order: the same on every node, whatever its locale.
    for (const key of Array.from(this.entries.keys()).sort()) {
      hash.update(this.entries.get(key)!.hash)
    }
    this.#hash = new Uint8Array(hash.digest().subarray(0, hashLength))
    return this.#hash
  }

  with(entry: CatalogueEntry): Bucket {
    return new Bucket(new Map(this.entries).set(entry.key, entry))
  }

  filter(keep: (entry: CatalogueEntry) => boolean): Bucket {
    const kept = new Map<string, CatalogueEntry>()
    for (const [key, entry] of this.entries) if (keep(entry)) kept.set(key, entry)
    return kept.size === this.entries.size ? this : new Bucket(kept)
  }
}

const emptyBucket = new Bucket(new Map())

export class Catalogue {
  static readonly empty = new Catalogue(
    new Array<Bucket>(bucketCount).fill(emptyBucket),
    0,
    0,
    catalogueLimits
  )

  readonly size: number
  /** Bytes of all envelopes. */
  readonly bytes: number
  readonly limits: CatalogueLimits
  readonly #buckets: ReadonlyArray<Bucket>
  #root: Uint8Array | undefined

  private constructor(
    buckets: ReadonlyArray<Bucket>,
    size: number,
    bytes: number,
    limits: CatalogueLimits
  ) {
    this.#buckets = buckets
    this.size = size
    this.bytes = bytes
    this.limits = limits
  }

  static withLimits(limits: CatalogueLimits): Catalogue {
    return new Catalogue(Catalogue.empty.#buckets, 0, 0, limits)
  }

  get(key: string): CatalogueEntry | undefined {
    return this.#buckets[bucketOf(key)]!.entries.get(key)
  }

  node(peer: PeerKey): NodeEntry | undefined {
    return this.get(nodeKey(peer))
  }

  *entries(): IterableIterator<CatalogueEntry> {
    for (const bucket of this.#buckets) yield* bucket.entries.values()
  }

  /** Entries of one bucket of the digest. */
  bucket(index: number): Iterable<CatalogueEntry> {
    return this.#buckets[index]?.entries.values() ?? []
  }

  /** What `merge` would make of it. */
  judge(entry: CatalogueEntry): MergeOutcome {
    const held = this.#buckets[entry.bucket]!.entries.get(entry.key)
    const room = this.bytes - (held?.bytes.length ?? 0) + entry.bytes.length <= this.limits.bytes
    if (held === undefined) return room && this.size < this.limits.records ? "added" : "full"
    const order = compareEntries(entry, held)
    if (order === 0) return "known"
    if (order < 0) return "stale"
    return room ? "replaced" : "full"
  }

  /** The newer one stays. Within the limits the order in which entries arrive does not matter. */
  merge(entry: CatalogueEntry): readonly [Catalogue, MergeOutcome] {
    const outcome = this.judge(entry)
    if (outcome !== "added" && outcome !== "replaced") return [this, outcome]
    const bucket = this.#buckets[entry.bucket]!
    const held = bucket.entries.get(entry.key)
    const next = new Catalogue(
      this.#buckets.with(entry.bucket, bucket.with(entry)),
      held === undefined ? this.size + 1 : this.size,
      this.bytes - (held?.bytes.length ?? 0) + entry.bytes.length,
      this.limits
    )
    return [next, outcome]
  }

  /** The same value when it is not there. */
  without(key: string): Catalogue {
    const held = this.get(key)
    if (held === undefined) return this
    const bucket = this.#buckets[held.bucket]!.filter((entry) => entry !== held)
    return new Catalogue(
      this.#buckets.with(held.bucket, bucket),
      this.size - 1,
      this.bytes - held.bytes.length,
      this.limits
    )
  }

  /** The same value when everything stays. */
  filter(keep: (entry: CatalogueEntry) => boolean): Catalogue {
    const buckets = this.#buckets.map((bucket) => bucket.filter(keep))
    if (buckets.every((bucket, index) => bucket === this.#buckets[index])) return this
    let size = 0
    let bytes = 0
    for (const bucket of buckets) {
      for (const entry of bucket.entries.values()) {
        size++
        bytes += entry.bytes.length
      }
    }
    return new Catalogue(buckets, size, bytes, this.limits)
  }

  /**
   * What makes this one of `before`. What both share is known by its object, so it costs a look at
   * each bucket and at the entries of those that changed; and because it is found in two values, no
   * change can be missed, whatever happened between them.
   */
  changesSince(before: Catalogue): ReadonlyArray<EntryChange> {
    const changes: Array<EntryChange> = []
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
