/**
 * Keeps the view in step with the catalogue and membership. Both may say much within one turn of the
 * event loop (a comparison of catalogues, a host that comes back); whoever follows the view gets one
 * change of it, at the end of the turn.
 */
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import { type MemberLookup, MeshViewBuilder } from "../mesh/catalogue/MeshViewBuilder.ts"
import type { ProtocolConflict } from "../mesh/catalogue/ServiceOffers.ts"
import { type MeshViewCell, MeshViewReplica } from "../model/MeshView.ts"
import type { PeerKey } from "../model/Names.ts"

export interface ViewKeeperOptions {
  readonly self: PeerKey
  readonly memberOf: MemberLookup
  /** Runs it once, at the end of this turn of the event loop. */
  readonly later: (run: () => void) => void
}

export class ViewKeeper {
  readonly #builder: MeshViewBuilder
  readonly #replica = new MeshViewReplica()
  readonly #later: ViewKeeperOptions["later"]
  #due = false

  constructor({ self, memberOf, later }: ViewKeeperOptions) {
    this.#builder = new MeshViewBuilder(self, memberOf)
    this.#later = later
  }

  get view(): MeshViewCell {
    return this.#replica
  }

  /** As of the last change. */
  get conflicts(): ReadonlyArray<ProtocolConflict> {
    return this.#builder.conflicts
  }

  /** What changed in the catalogue. */
  records(changes: Iterable<EntryChange>): void {
    this.#builder.records(changes)
    this.#soon()
  }

  /** Those of whom membership says something else than before. */
  members(peers: Iterable<PeerKey>): void {
    this.#builder.members(peers)
    this.#soon()
  }

  /** Shows at once what was said up to now. */
  show(): void {
    const change = this.#builder.change(this.#replica.current.version)
    if (change !== undefined) this.#replica.apply(change)
  }

  #soon(): void {
    if (this.#due) return
    this.#due = true
    this.#later(() => {
      this.#due = false
      this.show()
    })
  }
}
