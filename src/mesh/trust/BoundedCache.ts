/**
 * A memory of at most `limit` entries; at the limit the one unused for longest goes. A Map keeps
 * insertion order, so taking an entry out and putting it back makes it the youngest.
 */
export class BoundedCache<Value> {
  readonly limit: number
  readonly #entries = new Map<string, Value>()

  constructor(limit: number) {
    this.limit = limit
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** Without making it younger: for what is asked for all the time, and of which there are fewer than fit. */
  peek(key: string): Value | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.limit) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }
}
