/**
 * Which peers a node keeps connections to: those it observes, so that their end is noticed and
 * gossip has neighbours; which is everybody in a mesh of nine. Others are met when they are called. Peers that do not answer are tried forever; those that drain
 * are left alone.
 */
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { dialPatience } from "../mesh/host/FirstDial.ts"
import { observersPerNode } from "../mesh/membership/ObserverRing.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { Bootstrap } from "./Bootstrap.ts"
import { mayBeDialled } from "./TriedAddress.ts"

/** Up to so many nodes each one observes every other. */
export const smallMesh = observersPerNode + 1

export interface LinkKeeperOptions {
  readonly self: PeerKey
  readonly ticker: Pick<Ticker, "random" | "wall">
  readonly connections: Pick<ConnectionKeeper, "want" | "unwant">
  readonly bootstrap: Bootstrap
  readonly catalogue: () => Catalogue
  /** Where a peer was heard on the LAN. Default: nobody listens there. */
  readonly nearby?: (peer: PeerKey) => ReadonlyArray<string>
  /** Those this node observes. */
  readonly subjects: () => Iterable<PeerKey>
  /** It knows nobody but those that its token names: it dials one of them, and then the next. Default: no. */
  readonly isNewcomer?: boolean
}

export class LinkKeeper {
  readonly #options: LinkKeeperOptions
  #wanted = new Set<PeerKey>()
  /** Those that have not left. */
  readonly #present = new Set<PeerKey>()
  /** Those that drain or have left. */
  readonly #gone = new Set<PeerKey>()
  /** Of those that the token names, so many are dialled. */
  #knocks: number

  constructor(options: LinkKeeperOptions) {
    this.#options = options
    this.#knocks = options.isNewcomer === true ? 1 : Number.POSITIVE_INFINITY
  }

  /** Nobody has opened: one more is dialled of those that the token names. */
  knockFurther(): void {
    this.#knocks++
    this.follow()
  }

  /** Somebody has said who is there: the token matters no more than for anybody else. */
  settle(): void {
    this.#knocks = Number.POSITIVE_INFINITY
    this.follow()
  }

  /**
   * Where a peer can be dialled: where it was heard on the LAN, which is the latest that is known, as its
   * own record says, but for what means the dialling host's link alone, or as the token said.
   */
  readonly addressesOf = (peer: PeerKey): ReadonlyArray<string> => {
    const record = this.#options.catalogue().node(peer)?.record
    if (record?.state === "left") return []
    const told = this.#options.bootstrap.get(peer) ?? []
    const nearby = this.#options.nearby?.(peer) ?? []
    const announced = record?.addresses ?? []
    return [...new Set([...[...nearby, ...announced].filter(mayBeDialled), ...told])]
  }

  /** To be told whenever the catalogue changed. */
  followRecords(changes: Iterable<EntryChange>): void {
    let moved = false
    for (const { before, after } of changes) {
      const peer = (after ?? before)?.record.peer
      if (peer === undefined) continue
      const state = after?.record.state
      const here = put(this.#present, peer, state !== undefined && state !== "left")
      const away = put(this.#gone, peer, state !== undefined && state !== "serving")
      moved ||= here || away
    }
    if (moved) this.follow()
  }

  /** To be called whenever the observed peers may have changed. */
  follow(): void {
    const { self, bootstrap, catalogue, connections, subjects, ticker } = this.#options
    const isSmall = this.#present.size <= smallMesh
    const wanted = new Set<PeerKey>(isSmall ? this.#present : subjects())
    let knocks = isSmall ? this.#knocks : 0
    for (const peer of bootstrap.keys()) if (knocks-- > 0) wanted.add(peer)
    for (const peer of wanted) if (this.#gone.has(peer)) wanted.delete(peer)
    wanted.delete(self)
    for (const peer of this.#wanted) if (!wanted.has(peer)) connections.unwant(peer)
    for (const peer of wanted) {
      if (this.#wanted.has(peer)) continue
      const startedAt = catalogue().node(peer)?.record.epoch
      connections.want(peer, dialPatience(startedAt, ticker.wall(), ticker.random()))
    }
    this.#wanted = wanted
  }
}

/** Did that change the set? */
const put = (set: Set<PeerKey>, peer: PeerKey, belongs: boolean): boolean => {
  if (set.has(peer) === belongs) return false
  if (belongs) set.add(peer)
  else set.delete(peer)
  return true
}
