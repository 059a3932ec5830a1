/**
 * One ring for one set of members, whoever asks for it and in whatever order its members came: thousands
 * of simulated nodes in one process hold one. Rings are found by a sum over their members, and compared
 * before they are taken for the same.
 */
import { type KnownRings, ObserverRing } from "../../mesh/membership/ObserverRing.ts"
import type { Place } from "../../mesh/membership/RingPlace.ts"
import { Remembered } from "./Remembered.ts"

/** Places on all rings that can be found: 64 MB, a ring for each of two thousand that differ. */
const mostPlaces = 2 ** 21

/** What a ring costs besides its places, in places. */
const overhead = 16

const range = 2 ** 48

export class SharedRings implements KnownRings {
  /** Of which all rings come that are shared here. */
  readonly empty = ObserverRing.sharedBy(this)
  readonly #found = new Remembered<ObserverRing>(mostPlaces)
  readonly #sums = new WeakMap<ObserverRing, number>()

  find(places: ReadonlyArray<Place>, make: () => ObserverRing): ObserverRing {
    const sum = places.reduce((total, { print }) => (total + print) % range, 0)
    const known = this.#found.get(sum)
    if (known !== undefined && known.places.length === places.length) {
      if (places.every((place, index) => known.places[index] === place)) return known
      const members = new Set(known.places)
      if (places.every((place) => members.has(place))) return known
    }
    return this.#keep(sum, make())
  }

  change(
    ring: ObserverRing,
    { comes, place }: Parameters<KnownRings["change"]>[1],
    make: () => ObserverRing
  ): ObserverRing {
    const before = this.#sumOf(ring)
    const sum = (comes ? before + place.print : before - place.print + range) % range
    const known = this.#found.get(sum)
    if (known !== undefined) {
      const [more, less] = comes ? [known, ring] : [ring, known]
      if (isOneMore(more.places, less.places, place)) return known
    }
    return this.#keep(sum, make())
  }

  #sumOf(ring: ObserverRing): number {
    const known = this.#sums.get(ring)
    return known ?? ring.places.reduce((total, { print }) => (total + print) % range, 0)
  }

  #keep(sum: number, ring: ObserverRing): ObserverRing {
    this.#found.set(sum, ring, ring.size + overhead)
    this.#sums.set(ring, sum)
    return ring
  }
}

const isOneMore = (
  more: ReadonlyArray<Place>,
  less: ReadonlyArray<Place>,
  place: Place
): boolean => {
  if (more.length !== less.length + 1) return false
  let apart = 0
  for (let index = 0; index < more.length; index++) {
    if (more[index] === less[index - apart]) continue
    if (apart > 0 || more[index] !== place) return false
    apart = 1
  }
  return apart === 1
}
