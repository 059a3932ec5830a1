/**
 * Values by a number, up to a weight in all: those that were not asked for longest go first. Not by weak
 * references: what one was asked for, or made of, lives until the program waits, and a run never does.
 */
export class Remembered<A> {
  readonly most: number
  readonly #values = new Map<number, readonly [value: A, weight: number]>()
  #weight = 0

  constructor(most: number) {
    this.most = most
  }

  get size(): number {
    return this.#values.size
  }

  get(key: number): A | undefined {
    const held = this.#values.get(key)
    if (held === undefined) return undefined
    this.#values.delete(key)
    this.#values.set(key, held)
    return held[0]
  }

  set(key: number, value: A, weight = 1): void {
    this.#forget(key)
    this.#values.set(key, [value, weight])
    this.#weight += weight
    for (const oldest of this.#values.keys()) {
      if (this.#weight <= this.most) break
      this.#forget(oldest)
    }
  }

  #forget(key: number): void {
    this.#weight -= this.#values.get(key)?.[1] ?? 0
    this.#values.delete(key)
  }
}
