/**
 * Which peers a node keeps links to: those it observes, so that their end is noticed and gossip
 * has neighbours; in a small mesh everybody, so that no first call waits for a handshake. Others
 * are linked when they are called. Peers that do not answer are tried forever; those that drain end
 * every link at once, and are left alone.
 */
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { PeerKey } from "../model/Names.ts"
import type { LinkPool } from "../request/link/LinkPool.ts"
import type { Bootstrap } from "./Bootstrap.ts"
import { mayBeDialled } from "./TriedAddress.ts"

/** Up to so many nodes each one keeps a link to every other. */
export const smallMesh = 32

export interface LinkKeeperOptions {
  readonly self: PeerKey
  readonly links: Pick<LinkPool, "want" | "unwant">
  readonly bootstrap: Bootstrap
  readonly catalogue: () => Catalogue
  /** Those this node observes. */
  readonly subjects: () => Iterable<PeerKey>
}

export class LinkKeeper {
  readonly #options: LinkKeeperOptions
  #wanted = new Set<PeerKey>()

  constructor(options: LinkKeeperOptions) {
    this.#options = options
  }

  /**
   * Where a peer can be dialled: as its own record says, but for what means the dialling host's link
   * alone, else as the token said.
   */
  readonly addressesOf = (peer: PeerKey): ReadonlyArray<string> => {
    const record = this.#options.catalogue().node(peer)?.record
    if (record?.state === "left") return []
    const told = this.#options.bootstrap.get(peer) ?? []
    if (record === undefined) return told
    return [...new Set([...record.addresses.filter(mayBeDialled), ...told])]
  }

  /** To be called whenever the catalogue or the observed peers changed. */
  follow(): void {
    const { self, links, bootstrap, catalogue, subjects } = this.#options
    const present: Array<PeerKey> = []
    const gone = new Set<PeerKey>()
    for (const { record } of catalogue().entries()) {
      if (record.state !== "serving") gone.add(record.peer)
      if (record.state !== "left") present.push(record.peer)
    }
    const wanted = new Set<PeerKey>(present.length <= smallMesh ? present : subjects())
    for (const peer of bootstrap.keys()) {
      if (present.length <= smallMesh) wanted.add(peer)
    }
    for (const peer of gone) wanted.delete(peer)
    wanted.delete(self)
    for (const peer of this.#wanted) if (!wanted.has(peer)) links.unwant(peer)
    for (const peer of wanted) {
      if (!this.#wanted.has(peer)) links.want(peer, () => this.addressesOf(peer))
    }
    this.#wanted = wanted
  }
}
