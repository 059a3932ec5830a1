/**
 * One ring for one set of members, whoever asks for it and in whatever order its members came: a
 * member that is accused and comes back gives the ring of before, and thousands of simulated nodes
 * in one process hold one. Rings are found by a sum over their members, and compared before they
 * are taken for the same. Nothing is kept alive by it.
 */
import type { Place } from "./RingPlace.ts"

interface Members {
  /** In the same order for the same members. */
  readonly places: ReadonlyArray<Place>
}

interface Change {
  readonly place: Place
  readonly comes: boolean
}

/** Rings that can be found; of further ones the oldest is forgotten. */
const limit = 1_024

const range = 2 ** 48

export class RingsAlike<Ring extends Members> {
  readonly #found = new Map<number, WeakRef<Ring>>()
  readonly #sums = new WeakMap<Members, number>()

  find(places: ReadonlyArray<Place>, make: () => Ring): Ring {
    const sum = places.reduce((total, { print }) => (total + print) % range, 0)
    const known = this.#found.get(sum)?.deref()
    if (known !== undefined && known.places.length === places.length) {
      const members = new Set(known.places)
      if (places.every((place) => members.has(place))) return known
    }
    return this.#keep(sum, make())
  }

  change(ring: Ring, { place, comes }: Change, make: () => Ring): Ring {
    const before = this.#sumOf(ring)
    const sum = (comes ? before + place.print : before - place.print + range) % range
    const known = this.#found.get(sum)?.deref()
    if (known !== undefined) {
      const [more, less] = comes ? [known, ring] : [ring, known]
      if (isOneMore(more.places, less.places, place)) return known
    }
    return this.#keep(sum, make())
  }

  #sumOf(ring: Ring): number {
    const known = this.#sums.get(ring)
    return known ?? ring.places.reduce((total, { print }) => (total + print) % range, 0)
  }

  #keep(sum: number, ring: Ring): Ring {
    this.#found.delete(sum)
    this.#found.set(sum, new WeakRef(ring))
    this.#sums.set(ring, sum)
    for (const oldest of this.#found.keys()) {
      if (this.#found.size <= limit) break
      this.#found.delete(oldest)
    }
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
