/**
 * Who was heard on the LAN, and from where. Anybody there can say anything, so this is bounded, and no
 * more than a place to knock: who answers has to prove who it is.
 */
import type { PeerKey } from "../../model/Names.ts"

/** Peers, and addresses of each. */
export const neighbourLimits = { peers: 256, addresses: 4 } as const

export class LanNeighbours {
  /** Until when each address of a peer holds, monotonic ms. */
  readonly #known = new Map<PeerKey, Map<string, number>>()

  get size(): number {
    return this.#known.size
  }

  /** False: there is no room for another peer. */
  heard(peer: PeerKey, address: string, until: number, now: number): boolean {
    let addresses = this.#known.get(peer)
    if (addresses === undefined) {
      if (this.#known.size >= neighbourLimits.peers) this.#forgetOld(now)
      if (this.#known.size >= neighbourLimits.peers) return false
      addresses = new Map()
      this.#known.set(peer, addresses)
    }
    // The last heard comes last, and the first goes when there are too many: hosts move.
    addresses.delete(address)
    addresses.set(address, until)
    for (const oldest of addresses.keys()) {
      if (addresses.size <= neighbourLimits.addresses) break
      addresses.delete(oldest)
    }
    return true
  }

  /** It has said good-bye from there. */
  gone(peer: PeerKey, address: string): void {
    const addresses = this.#known.get(peer)
    if (addresses?.delete(address) === true && addresses.size === 0) this.#known.delete(peer)
  }

  /** The last heard first. */
  addressesOf(peer: PeerKey, now: number): ReadonlyArray<string> {
    const addresses = this.#known.get(peer)
    if (addresses === undefined) return []
    return [...addresses].flatMap(([address, until]) => (until > now ? [address] : [])).reverse()
  }

  #forgetOld(now: number): void {
    for (const [peer, addresses] of this.#known) {
      for (const [address, until] of addresses) if (until <= now) addresses.delete(address)
      if (addresses.size === 0) this.#known.delete(peer)
    }
  }
}
