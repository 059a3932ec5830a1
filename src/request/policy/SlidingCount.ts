/**
 * How many of something there were lately: a window that slides in steps. What came at any time
 * within a step counts for between `steps - 1` and `steps` of them.
 */
export class SlidingCount {
  readonly #step: number
  readonly #counts: Array<number>
  #total = 0
  /** Number of the step written to, counted from the clock's zero, and when it ends. */
  #current = 0
  #end: number

  /** `step` in milliseconds. */
  constructor(step: number, steps: number) {
    this.#step = step
    this.#end = step
    this.#counts = new Array<number>(steps).fill(0)
  }

  add(count: number, now: number): void {
    this.#slide(now)
    this.#counts[this.#current % this.#counts.length]! += count
    this.#total += count
  }

  total(now: number): number {
    this.#slide(now)
    return this.#total
  }

  #slide(now: number): void {
    if (now < this.#end) return
    const step = Math.floor(now / this.#step)
    if (step <= this.#current) return
    const steps = this.#counts.length
    const first = Math.max(this.#current + 1, step - steps + 1)
    for (let passed = first; passed <= step; passed++) {
      const slot = passed % steps
      this.#total -= this.#counts[slot]!
      this.#counts[slot] = 0
    }
    this.#current = step
    this.#end = (step + 1) * this.#step
  }
}
