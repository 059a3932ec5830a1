/**
 * Things under numbers of their own, that come and go all the time: exchanges of a link. A Map is no place for
 * them. When V8 makes the table of a Map anew, which it does after as many deletions as the table has places, the
 * old table goes on pointing to the new one. Once one of them has been moved to the old generation, it holds its
 * successor there, that one the next, and each what was in it: then no request is garbage before a collection of
 * the whole heap, however short it was. Here nothing that was taken out points to anything.
 */
class Place<T> {
  readonly id: number
  value: T | undefined
  next: Place<T> | undefined

  constructor(id: number, value: T, next: Place<T> | undefined) {
    this.id = id
    this.value = value
    this.next = next
  }
}

const fewest = 16
/** More are given back when nothing is left in them. */
const mostKept = 1_024

const places = <T>(count: number): Array<Place<T> | undefined> =>
  new Array<Place<T> | undefined>(count).fill(undefined)

export class IdTable<T> {
  /** As many as a power of two; each the first of those whose numbers end alike. */
  #firsts = places<T>(fewest)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: number): T | undefined {
    let place = this.#firsts[id & (this.#firsts.length - 1)]
    while (place !== undefined && place.id !== id) place = place.next
    return place?.value
  }

  /** Whole numbers below 2^32. To be asked only for one under which there is nothing. */
  add(id: number, value: T): void {
    if (this.#size === this.#firsts.length) this.#grow()
    const at = id & (this.#firsts.length - 1)
    this.#firsts[at] = new Place(id, value, this.#firsts[at])
    this.#size++
  }

  /** False: there is nothing under it. */
  delete(id: number): boolean {
    const at = id & (this.#firsts.length - 1)
    let before: Place<T> | undefined
    let place = this.#firsts[at]
    while (place !== undefined && place.id !== id) {
      before = place
      place = place.next
    }
    if (place === undefined) return false
    if (before === undefined) this.#firsts[at] = place.next
    else before.next = place.next
    place.next = undefined
    place.value = undefined
    this.#size--
    if (this.#size === 0 && this.#firsts.length > mostKept) this.#firsts = places(fewest)
    return true
  }

  /** All there are now, by their numbers: whoever is told of one may take others out. */
  values(): ReadonlyArray<T> {
    const all: Array<Place<T>> = []
    for (const first of this.#firsts) {
      for (let place = first; place !== undefined; place = place.next) all.push(place)
    }
    return all
      .sort((a, b) => a.id - b.id)
      .flatMap(({ value }) => (value === undefined ? [] : [value]))
  }

  #grow(): void {
    const before = this.#firsts
    const firsts = places<T>(2 * before.length)
    for (const first of before) {
      for (let place = first; place !== undefined; ) {
        const { next } = place
        const at = place.id & (firsts.length - 1)
        place.next = firsts[at]
        firsts[at] = place
        place = next
      }
    }
    this.#firsts = firsts
  }
}
