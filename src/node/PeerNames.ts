/**
 * What people call a peer. Asked with every request that comes in, so the answer is kept until the
 * peer's record changes: finding a record in the catalogue hashes its key.
 */
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import type { PeerKey } from "../model/Names.ts"

export interface PeerNamesOptions {
  readonly self: PeerKey
  readonly ownName: () => string
  readonly catalogue: () => Catalogue
  /** The name in the certificate of a connected peer: it may call before its record is here. */
  readonly admitted: (peer: PeerKey) => string | undefined
}

export class PeerNames {
  readonly #options: PeerNamesOptions
  /** Of records as they are in the catalogue. */
  readonly #names = new Map<PeerKey, string>()

  constructor(options: PeerNamesOptions) {
    this.#options = options
  }

  /** To be told whenever the catalogue changed. */
  follow(changes: Iterable<EntryChange>): void {
    for (const { before } of changes)
      if (before !== undefined) this.#names.delete(before.record.peer)
  }

  of(peer: PeerKey): string {
    const { admitted, ownName, self } = this.#options
    if (peer === self) return ownName()
    const known = this.#names.get(peer)
    if (known !== undefined) return known
    const name = this.#options.catalogue().node(peer)?.record.name
    if (name === undefined) return admitted(peer) ?? peer
    this.#names.set(peer, name)
    return name
  }
}
