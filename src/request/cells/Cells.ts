/**
 * What is counted with: a number, or a histogram of them, in slots that another thread may read. Adding
 * to one is one addition in an array.
 */
import { ownSlots, type Slots } from "./CellMemory.ts"

/** What lies in slots. */
export abstract class SlotCell {
  /** Its own slots and no others: a view costs 100 bytes more than an index, and half a nanosecond less. */
  protected slots: Float64Array

  constructor({ values, at, size }: Slots) {
    this.slots = values.subarray(at, at + size)
  }

  /** Goes on elsewhere, from where it is: whoever still holds it must not write to what is another's. */
  leave(): void {
    this.slots = this.slots.slice()
  }
}

export class Counter extends SlotCell {
  constructor(slots: Slots = ownSlots(1)) {
    super(slots)
  }

  get value(): number {
    return this.slots[0]!
  }
  set value(value: number) {
    this.slots[0] = value
  }

  inc(by = 1): void {
    this.slots[0]! += by
  }
}

export class Gauge extends SlotCell {
  constructor(slots: Slots = ownSlots(1)) {
    super(slots)
  }

  get value(): number {
    return this.slots[0]!
  }
  set value(value: number) {
    this.slots[0] = value
  }

  set(value: number): void {
    this.slots[0] = value
  }
  add(by: number): void {
    this.slots[0]! += by
  }
}

/** Milliseconds in a second: what the cells of durations count, and what the text says. */
export const millisPerSecond = 1_000

/** Milliseconds, from a loopback call to a long timeout. */
export const latencyBounds: ReadonlyArray<number> = [
  0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000,
  10_000, 30_000, 60_000
]

/** Of a histogram with these bounds: a count for each, one for what is above all, and the sum. */
export const histogramSlots = (bounds: ReadonlyArray<number>): number => bounds.length + 2

/**
 * The number of recordings is not kept but added up from the buckets: a reader that comes between two
 * writes must not find one that does not fit them.
 */
export class Histogram extends SlotCell {
  readonly bounds: ReadonlyArray<number>

  constructor(bounds: ReadonlyArray<number>, slots: Slots = ownSlots(histogramSlots(bounds))) {
    super(slots)
    this.bounds = bounds
  }

  /** As they are now. One more than bounds: the last counts what is above all of them. */
  get counts(): Array<number> {
    return Array.from(this.slots.subarray(0, -1))
  }

  get sum(): number {
    return this.slots[this.bounds.length + 1]!
  }

  get count(): number {
    let count = 0
    for (let i = 0; i <= this.bounds.length; i++) count += this.slots[i]!
    return count
  }

  record(value: number): void {
    const { bounds, slots } = this
    let low = 0
    let high = bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (value <= bounds[middle]!) high = middle
      else low = middle + 1
    }
    slots[low]!++
    slots[bounds.length + 1]! += value
  }

  /** What was recorded elsewhere, by the same bounds: a count for each bucket, and the sum. */
  add(counts: ReadonlyArray<number>, sum: number): void {
    const { bounds, slots } = this
    for (let i = 0; i <= bounds.length; i++) slots[i]! += counts[i] ?? 0
    slots[bounds.length + 1]! += sum
  }

  /** The value under which a share `q` of the recordings lie, interpolated within its bucket. */
  quantile(q: number): number {
    return quantileOf(this.bounds, this.counts, q)
  }
}

/** The same of counts that came from elsewhere; the last count is of what lies above all bounds. */
export const quantileOf = (
  bounds: ReadonlyArray<number>,
  counts: ReadonlyArray<number>,
  q: number
): number => {
  const count = counts.reduce((sum, here) => sum + here, 0)
  if (count === 0) return 0
  const rank = q * count
  let seen = 0
  for (let i = 0; i < bounds.length; i++) {
    const here = counts[i]!
    if (seen + here >= rank && here > 0) {
      const from = i === 0 ? 0 : bounds[i - 1]!
      return from + (bounds[i]! - from) * ((rank - seen) / here)
    }
    seen += here
  }
  return bounds[bounds.length - 1]!
}
