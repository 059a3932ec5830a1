/**
 * Peers in the order in which they came, as an immutable set. Half of a mesh comes and goes one by one when a
 * network is cut: a change costs the same however many there are, and their order is looked up where it is
 * asked for.
 */
import type { PeerKey } from "../../model/Names.ts"
import { PeerMap } from "./PeerMap.ts"

interface Place {
  readonly peer: PeerKey
  /** Grows with each that comes. */
  readonly at: number
}

export class OrderedPeers implements Iterable<PeerKey> {
  static readonly none = new OrderedPeers(PeerMap.of(), 0)

  readonly #places: PeerMap<Place>
  readonly #next: number
  /** Both are asked for again and again of a set that stays: at every tick. */
  #order: ReadonlyArray<PeerKey> | undefined
  #first: Place | undefined

  /** `first`: undefined where it is to be looked for. */
  private constructor(places: PeerMap<Place>, next: number, first?: Place) {
    this.#places = places
    this.#next = next
    this.#first = first
  }

  get size(): number {
    return this.#places.size
  }

  has(peer: PeerKey): boolean {
    return this.#places.has(peer)
  }

  /** The same set when it is there; it keeps its place. */
  with(peer: PeerKey): OrderedPeers {
    if (this.has(peer)) return this
    const place = { peer, at: this.#next }
    const first = this.size === 0 ? place : this.#first
    return new OrderedPeers(this.#places.with(place), this.#next + 1, first)
  }

  without(peer: PeerKey): OrderedPeers {
    const places = this.#places.without(peer)
    if (places === this.#places) return this
    const first = this.#first?.peer === peer ? undefined : this.#first
    return new OrderedPeers(places, this.#next, first)
  }

  /** That came before all others that are there. */
  get first(): PeerKey | undefined {
    if (this.#first === undefined) {
      this.#places.each((place) => {
        if (this.#first === undefined || place.at < this.#first.at) this.#first = place
      })
    }
    return this.#first?.peer
  }

  [Symbol.iterator](): Iterator<PeerKey> {
    this.#order ??= this.#places
      .values()
      .sort((one, other) => one.at - other.at)
      .map(({ peer }) => peer)
    return this.#order[Symbol.iterator]()
  }
}
