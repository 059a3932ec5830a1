/**
 * What people call a peer. Asked with every request that comes in, so the answer is kept: finding a
 * record in the catalogue hashes its key.
 */
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
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
  /** Of the records of `#catalogue`, which is a value: another one means that something changed. */
  readonly #names = new Map<PeerKey, string>()
  #catalogue: Catalogue | undefined = undefined

  constructor(options: PeerNamesOptions) {
    this.#options = options
  }

  of(peer: PeerKey): string {
    const { admitted, ownName, self } = this.#options
    if (peer === self) return ownName()
    const catalogue = this.#options.catalogue()
    if (catalogue !== this.#catalogue) {
      this.#catalogue = catalogue
      this.#names.clear()
    }
    const known = this.#names.get(peer)
    if (known !== undefined) return known
    const name = catalogue.node(peer)?.record.name
    if (name === undefined) return admitted(peer) ?? peer
    this.#names.set(peer, name)
    return name
  }
}
