/** One part of 256 of a catalogue, an immutable value: its hash is computed once, and only when somebody asks. */
import { createHash } from "node:crypto"
import { type CatalogueEntry, hashLength } from "./RecordEntry.ts"

export class Bucket {
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

export const emptyBucket = new Bucket(new Map())
