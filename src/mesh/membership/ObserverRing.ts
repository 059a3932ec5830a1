/**
 * Who watches whom. Each member stands on four rings, each ordered by another hash of its peer
 * id, and watches, and is watched by, those beside it.
 *
 * - Everybody computes the same from the same set of members and their zones; nothing is negotiated.
 * - Watching is mutual, so the same long-lived connections serve both directions.
 * - On the first ring members of a zone stand together: each is watched by the one before and the
 *   one after it, so from near, whenever its zone has another member. All members are on one circle.
 * - On the other three zones are mixed, and who watches is sought across zones: the member beside
 *   it, or the one behind that when the first is of the same zone. Of two neighbours of one zone
 *   that both see across, neither watches the other there. So a zone that is cut off is seen from
 *   outside by nearly everybody, and hangs on the others by more connections than it has members,
 *   as long as there are as many outside.
 * - The rings together are a random graph of degree 8: no group of members is loosely attached, so
 *   gossip over these connections reaches everybody within a few hops, and the observers of one
 *   member do not stand close to each other except by chance.
 * - A member that comes, goes or changes its zone changes the observers of about nine others, whatever
 *   the size of the mesh.
 *
 * Without zones all four rings are alike. With up to nine members everybody watches everybody.
 */
import type { PeerKey } from "../../model/Names.ts"
import { comparePlaces, type Place, placeOf, ringCount } from "./RingPlace.ts"

/** Observers of one member on average; so many others are all watched. */
export const observersPerNode = 2 * ringCount

/** Observers of one member at most: two on the first ring, four on each of the others. */
export const mostObservers = 2 + 4 * (ringCount - 1)

/**
 * Places apart on a ring within which one is near another: its observer, or the next to become
 * one. Rings differ for a moment when somebody comes or goes. Only the first depends on zones: whoever
 * has not heard yet that a member is in another one still knows most of its observers.
 */
const nearness = (ring: number): number => (ring === 0 ? 2 : 3)

type Ring = ReadonlyArray<Place>

/** Index of the first place not before this one. */
const search = (places: Ring, ring: number, place: Place): number => {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (comparePlaces(ring, places[middle]!, place) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** On the ring where zones stand together. */
const beside = (places: Ring, at: number): ReadonlyArray<Place> => {
  const size = places.length
  return [places[(at - 1 + size) % size]!, places[(at + 1) % size]!]
}

/** On one where they are mixed. Looks at three places to each side. */
const across = (places: Ring, at: number): ReadonlyArray<Place> => {
  const size = places.length
  const place = (offset: number) => places[(at + offset + size) % size]!
  const differ = (one: number, other: number) => place(one).zone !== place(other).zone
  /** From here to the next but one: when that is the first of another zone, for either of them. */
  const leaps = (from: number) =>
    differ(from, from + 2) && !(differ(from, from + 1) && differ(from + 1, from + 2))
  const seesAcross = (offset: number) =>
    differ(offset, offset + 1) || differ(offset - 1, offset) || leaps(offset) || leaps(offset - 2)
  const here = seesAcross(0)
  const watched: Array<Place> = []
  if (leaps(-2)) watched.push(place(-2))
  if (differ(-1, 0) || !(here && seesAcross(-1))) watched.push(place(-1))
  if (differ(0, 1) || !(here && seesAcross(1))) watched.push(place(1))
  if (leaps(0)) watched.push(place(2))
  return watched
}

/** A memory of rings that many tables in one process share, so that equal ones are one: see the simulator. */
export interface KnownRings {
  /** The ring of these places that there is, or the one made now. */
  readonly find: (places: ReadonlyArray<Place>, make: () => ObserverRing) => ObserverRing
  /** The ring that differs from this one by a place that comes or goes. */
  readonly change: (
    ring: ObserverRing,
    change: { readonly place: Place; readonly comes: boolean },
    make: () => ObserverRing
  ) => ObserverRing
}

const noneKnown: KnownRings = { find: (_, make) => make(), change: (_, __, make) => make() }

const noPlaces: ReadonlyArray<Ring> = Array.from({ length: ringCount }, () => [])

/** Immutable; a change copies four arrays. */
export class ObserverRing {
  static readonly empty = new ObserverRing(noPlaces, noneKnown)

  readonly #rings: ReadonlyArray<Ring>
  readonly #known: KnownRings
  /** Of those who were asked for: a node asks for its own at every tick. */
  readonly #observers = new Map<PeerKey, ReadonlyArray<PeerKey>>()
  /** Index on each ring of those who were asked for: with every accusation, and rings stay for long. */
  readonly #indexes = new Map<PeerKey, ReadonlyArray<number>>()

  private constructor(rings: ReadonlyArray<Ring>, known: KnownRings) {
    this.#rings = rings
    this.#known = known
  }

  /** Nobody's; all that comes of it is shared by `known`. */
  static sharedBy(known: KnownRings): ObserverRing {
    return new ObserverRing(noPlaces, known)
  }

  /** Zones that are unknown count as one. */
  static of(
    peers: Iterable<PeerKey>,
    zoneOf: (peer: PeerKey) => string | undefined = () => undefined
  ): ObserverRing {
    return ObserverRing.empty.filled(peers, zoneOf)
  }

  /** One of these instead, in the same memory. */
  filled(
    peers: Iterable<PeerKey>,
    zoneOf: (peer: PeerKey) => string | undefined = () => undefined
  ): ObserverRing {
    const places = Array.from(new Set(peers), (peer) => placeOf(peer, zoneOf(peer)))
    return this.#known.find(places, () => {
      const rings = Array.from({ length: ringCount }, (_, ring) =>
        places.toSorted((a, b) => comparePlaces(ring, a, b))
      )
      return new ObserverRing(rings, this.#known)
    })
  }

  get size(): number {
    return this.#rings[0]!.length
  }

  /** All members, in an order of its own. */
  get places(): ReadonlyArray<Place> {
    return this.#rings[1]!
  }

  has(peer: PeerKey): boolean {
    return this.#held(peer) !== undefined
  }

  /** Empty when unknown; undefined for who is not on the ring. */
  zoneOf(peer: PeerKey): string | undefined {
    return this.#held(peer)?.zone
  }

  /** The same ring when it stands there already. */
  with(peer: PeerKey, zone?: string): ObserverRing {
    const held = this.#held(peer)
    const place = placeOf(peer, zone)
    if (held?.zone === place.zone) return this
    const base = held === undefined ? this : this.without(peer)
    return this.#known.change(base, { place, comes: true }, () => {
      const rings = base.#rings.map((places, ring) =>
        places.toSpliced(search(places, ring, place), 0, place)
      )
      return new ObserverRing(rings, this.#known)
    })
  }

  without(peer: PeerKey): ObserverRing {
    const place = this.#held(peer)
    if (place === undefined) return this
    return this.#known.change(this, { place, comes: false }, () => {
      const rings = this.#rings.map((places, ring) =>
        places.toSpliced(search(places, ring, place), 1)
      )
      return new ObserverRing(rings, this.#known)
    })
  }

  /** All who are among these go at once: as many arrays are copied as for one. */
  withoutAll(peers: Pick<ReadonlySet<PeerKey>, "has">): ObserverRing {
    const stays = ({ peer }: Place): boolean => !peers.has(peer)
    const places = this.places.filter(stays)
    if (places.length === this.size) return this
    return this.#known.find(places, () => {
      const rings = this.#rings.map((ring) => ring.filter(stays))
      return new ObserverRing(rings, this.#known)
    })
  }

  /** Who watches this member. Also of one that is not on the ring: who would, in that zone. */
  observersOf(peer: PeerKey, zone?: string): ReadonlyArray<PeerKey> {
    const known = this.#observers.get(peer)
    if (known !== undefined) return known
    const place = this.#held(peer)
    if (this.size - (place === undefined ? 0 : 1) <= observersPerNode) {
      return this.places.flatMap((other) => (other.peer === peer ? [] : [other.peer]))
    }
    if (place === undefined) return this.with(peer, zone).observersOf(peer)
    const observers = new Set<PeerKey>()
    for (const [ring, places] of this.#rings.entries()) {
      const at = search(places, ring, place)
      const found = ring === 0 ? beside(places, at) : across(places, at)
      for (const other of found) observers.add(other.peer)
    }
    const found = Array.from(observers)
    this.#observers.set(peer, found)
    return found
  }

  /** Does this member watch that one, or would it if somebody between them were gone? */
  isNear(one: PeerKey, other: PeerKey): boolean {
    const from = this.#indexesOf(one)
    if (from === undefined || one === other) return false
    const held = this.#indexesOf(other)
    const size = this.size
    if (size - (held === undefined ? 0 : 1) <= observersPerNode) return true
    const to = held ?? this.#search(placeOf(other))
    for (let ring = 0; ring < ringCount; ring++) {
      const apart = Math.abs(from[ring]! - to[ring]!)
      if (Math.min(apart, size - apart) <= nearness(ring)) return true
    }
    return false
  }

  /** Undefined for who is not on the ring. */
  #indexesOf(peer: PeerKey): ReadonlyArray<number> | undefined {
    const known = this.#indexes.get(peer)
    if (known !== undefined) return known
    const place = this.#held(peer)
    if (place === undefined) return undefined
    const found = this.#search(place)
    this.#indexes.set(peer, found)
    return found
  }

  /** Where it stands on each ring, or would. */
  #search(place: Place): ReadonlyArray<number> {
    return this.#rings.map((places, ring) => search(places, ring, place))
  }

  /** Whom this member watches: the same, since watching is mutual. */
  subjectsOf(peer: PeerKey): ReadonlyArray<PeerKey> {
    return this.observersOf(peer)
  }

  /** Where a member stands; the second ring is ordered by peers alone. */
  #held(peer: PeerKey): Place | undefined {
    const found = this.places[search(this.places, 1, placeOf(peer))]
    return found?.peer === peer ? found : undefined
  }
}
