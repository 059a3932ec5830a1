/**
 * Who watches whom. Each member stands on four rings, each ordered by another hash of its peer
 * id, and on each it watches, and is watched by, the one before and the one after it: K = 8.
 *
 * - Everybody computes the same from the same set of members; nothing is negotiated.
 * - Watching is mutual, so eight long-lived connections serve both directions.
 * - The rings together are a random graph of degree 8: no group of members is loosely attached, so
 *   gossip over these connections reaches everybody within a few hops, and the observers of one
 *   member do not stand close to each other (one host, one rack) except by chance.
 * - A member that comes or goes changes the observers of at most eight others.
 *
 * With up to nine members everybody watches everybody.
 */
import { createHash } from "node:crypto"
import type { PeerKey } from "../../model/Names.ts"

const ringCount = 4

/** Observers of one member, at most. */
export const observersPerNode = 2 * ringCount

interface Place {
  readonly peer: PeerKey
  /** Six bytes of a hash per ring: exact as a number. */
  readonly at: ReadonlyArray<number>
}

const placeOf = (peer: PeerKey): Place => {
  const hash = createHash("sha256").update(peer).digest()
  return {
    peer,
    at: Array.from({ length: ringCount }, (_, ring) => hash.readUIntBE(ring * 6, 6))
  }
}

const compare = (ring: number, a: Place, b: Place): number =>
  a.at[ring]! - b.at[ring]! || (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0)

/**
 * Places apart on some ring within which one is near another: its observer, or the next to become
 * one. Rings differ for a moment when somebody comes or goes.
 */
const nearness = 2

/** Index of the first place not before this one. */
const search = (places: ReadonlyArray<Place>, ring: number, place: Place): number => {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(ring, places[middle]!, place) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Immutable; a change copies the four rings. */
export class ObserverRing {
  static readonly empty = new ObserverRing(
    Array.from({ length: ringCount }, () => []),
    new Map()
  )

  readonly #rings: ReadonlyArray<ReadonlyArray<Place>>
  readonly #places: ReadonlyMap<PeerKey, Place>

  private constructor(
    rings: ReadonlyArray<ReadonlyArray<Place>>,
    places: ReadonlyMap<PeerKey, Place>
  ) {
    this.#rings = rings
    this.#places = places
  }

  static of(peers: Iterable<PeerKey>): ObserverRing {
    const places = new Map(Array.from(peers, (peer) => [peer, placeOf(peer)]))
    const rings = Array.from({ length: ringCount }, (_, ring) =>
      Array.from(places.values()).sort((a, b) => compare(ring, a, b))
    )
    return new ObserverRing(rings, places)
  }

  get size(): number {
    return this.#places.size
  }

  has(peer: PeerKey): boolean {
    return this.#places.has(peer)
  }

  with(peer: PeerKey): ObserverRing {
    if (this.#places.has(peer)) return this
    const place = placeOf(peer)
    const rings = this.#rings.map((places, ring) =>
      places.toSpliced(search(places, ring, place), 0, place)
    )
    return new ObserverRing(rings, new Map(this.#places).set(peer, place))
  }

  without(peer: PeerKey): ObserverRing {
    const place = this.#places.get(peer)
    if (place === undefined) return this
    const rings = this.#rings.map((places, ring) =>
      places.toSpliced(search(places, ring, place), 1)
    )
    const places = new Map(this.#places)
    places.delete(peer)
    return new ObserverRing(rings, places)
  }

  /** Who watches this member. Also of one that is not on the ring: who would. */
  observersOf(peer: PeerKey): ReadonlyArray<PeerKey> {
    const others = this.#places.size - (this.#places.has(peer) ? 1 : 0)
    if (others <= observersPerNode) {
      return Array.from(this.#places.keys()).filter((other) => other !== peer)
    }
    const place = this.#places.get(peer) ?? placeOf(peer)
    const observers = new Set<PeerKey>()
    for (const [ring, places] of this.#rings.entries()) {
      const at = search(places, ring, place)
      const after = places[at]?.peer === peer ? at + 1 : at
      observers.add(places[(at - 1 + places.length) % places.length]!.peer)
      observers.add(places[after % places.length]!.peer)
    }
    return Array.from(observers)
  }

  /** Does this member watch that one, or would it if somebody between them were gone? */
  isNear(one: PeerKey, other: PeerKey): boolean {
    const place = this.#places.get(one)
    if (place === undefined || one === other) return false
    const size = this.#places.size
    const to = this.#places.get(other) ?? placeOf(other)
    const others = size - (this.#places.has(other) ? 1 : 0)
    if (others <= observersPerNode) return true
    return this.#rings.some((places, ring) => {
      const apart = Math.abs(search(places, ring, place) - search(places, ring, to))
      return Math.min(apart, size - apart) <= nearness
    })
  }

  /** Whom this member watches: the same, since watching is mutual. */
  subjectsOf(peer: PeerKey): ReadonlyArray<PeerKey> {
    return this.observersOf(peer)
  }
}
