/**
 * Virtual time for simulations: events in the order of their time, and in the order in which they
 * were put in when that is equal, so that a seed gives the same run on every machine.
 */
interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

const isBefore = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order)

export class EventQueue {
  /** Milliseconds. */
  now = 0
  readonly #heap: Array<Event> = []
  #order = 0

  after(delay: number, run: () => void): void {
    const heap = this.#heap
    heap.push({ at: this.now + Math.max(0, delay), order: this.#order++, run })
    let child = heap.length - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!isBefore(heap[child]!, heap[parent]!)) break
      this.#swap(child, parent)
      child = parent
    }
  }

  /** Runs everything that is due within the next `duration` milliseconds. */
  advance(duration: number): void {
    const end = this.now + duration
    for (let first = this.#heap[0]; first !== undefined && first.at <= end; first = this.#heap[0]) {
      this.#removeFirst()
      this.now = first.at
      first.run()
    }
    this.now = end
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    let parent = 0
    while (true) {
      let least = parent
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child
      }
      if (least === parent) return
      this.#swap(parent, least)
      parent = least
    }
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a]!
    this.#heap[a] = this.#heap[b]!
    this.#heap[b] = held
  }
}

/** A small seeded generator (mulberry32): uniform in [0, 1). */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
