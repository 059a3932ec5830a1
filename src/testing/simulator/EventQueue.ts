/**
 * Virtual time: events in the order of their time, and in the order in which they were put in when that
 * is equal, so that a seed gives the same run on every machine. A heap on typed arrays, four children to
 * a parent: a mesh of a thousand puts in twenty thousand events a second.
 */
export class EventQueue {
  /** Milliseconds since the beginning of the run. */
  now = 0
  /** Events that were run. */
  ran = 0
  #size = 0
  #order = 0
  #times = new Float64Array(1_024)
  #orders = new Float64Array(1_024)
  #slots = new Int32Array(1_024)
  readonly #tasks: Array<(() => void) | undefined> = []
  readonly #free: Array<number> = []

  get size(): number {
    return this.#size
  }

  /** When the next event is due, ms; undefined: there is none. */
  get next(): number | undefined {
    return this.#size === 0 ? undefined : this.#times[0]
  }

  /** `delay` in milliseconds; what is overdue runs next. */
  after(delay: number, run: () => void): void {
    this.at(this.now + delay, run)
  }

  at(time: number, run: () => void): void {
    if (this.#size === this.#times.length) this.#grow()
    const slot = this.#free.pop() ?? this.#tasks.length
    this.#tasks[slot] = run
    this.#rise(this.#size++, Math.max(time, this.now), this.#order++, slot)
  }

  /** Runs everything that is due within the next `duration` milliseconds. */
  advance(duration: number): void {
    const end = this.now + duration
    while (this.#size > 0 && this.#times[0]! <= end) {
      this.now = this.#times[0]!
      const slot = this.#slots[0]!
      const run = this.#tasks[slot]
      this.#tasks[slot] = undefined
      this.#free.push(slot)
      const last = --this.#size
      if (last > 0) this.#sink(this.#times[last]!, this.#orders[last]!, this.#slots[last]!)
      this.ran++
      run?.()
    }
    this.now = end
  }

  #rise(from: number, time: number, order: number, slot: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 2
      // Of two at one time the later one was put in later: it stays below.
      if (this.#times[parent]! <= time) break
      this.#move(parent, at)
      at = parent
    }
    this.#put(at, time, order, slot)
  }

  #sink(time: number, order: number, slot: number): void {
    const size = this.#size
    let at = 0
    while (true) {
      const first = 4 * at + 1
      if (first >= size) break
      let least = first
      const end = Math.min(first + 4, size)
      for (let child = first + 1; child < end; child++) {
        if (this.#isBefore(this.#times[child]!, this.#orders[child]!, least)) least = child
      }
      if (this.#isBefore(time, order, least)) break
      this.#move(least, at)
      at = least
    }
    this.#put(at, time, order, slot)
  }

  #isBefore(time: number, order: number, other: number): boolean {
    const its = this.#times[other]!
    return time < its || (time === its && order < this.#orders[other]!)
  }

  #put(at: number, time: number, order: number, slot: number): void {
    this.#times[at] = time
    this.#orders[at] = order
    this.#slots[at] = slot
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from]!, this.#orders[from]!, this.#slots[from]!)
  }

  #grow(): void {
    const grown = <A extends Float64Array | Int32Array>(next: A, old: A): A => {
      next.set(old)
      return next
    }
    const size = 2 * this.#times.length
    this.#times = grown(new Float64Array(size), this.#times)
    this.#orders = grown(new Float64Array(size), this.#orders)
    this.#slots = grown(new Int32Array(size), this.#slots)
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
