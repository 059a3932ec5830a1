/**
 * Services of a context over those of another, which it looks into instead of having a copy of them: a handler asks
 * for a few of what its program has, and a copy for each message takes 50 ns and 40 bytes of garbage for each of them.
 */
import type { Context } from "effect"

const nothing: ReadonlyMap<string, unknown> = new Map()

/** To whoever uses it a `Map` of all of them. `base` must not change any more. */
class ServicesOver extends Map<string, unknown> {
  #base: ReadonlyMap<string, unknown>

  constructor(base: ReadonlyMap<string, unknown>) {
    super()
    this.#base = base
  }

  override get(key: string): unknown {
    const own = super.get(key)
    return own !== undefined || super.has(key) ? own : this.#base.get(key)
  }

  override has(key: string): boolean {
    return super.has(key) || this.#base.has(key)
  }

  // Whoever asks for more than single ones has the copy made after all.

  override get size(): number {
    this.#copy()
    return super.size
  }

  override delete(key: string): boolean {
    this.#copy()
    return super.delete(key)
  }

  override clear(): void {
    this.#base = nothing
    super.clear()
  }

  override forEach(then: (value: unknown, key: string, map: Map<string, unknown>) => void): void {
    this.#copy()
    super.forEach(then)
  }

  override entries(): MapIterator<[string, unknown]> {
    this.#copy()
    return super.entries()
  }

  override keys(): MapIterator<string> {
    this.#copy()
    return super.keys()
  }

  override values(): MapIterator<unknown> {
    this.#copy()
    return super.values()
  }

  override [Symbol.iterator](): MapIterator<[string, unknown]> {
    return this.entries()
  }

  #copy(): void {
    const base = this.#base
    if (base === nothing) return
    this.#base = nothing
    for (const [key, service] of base) if (!super.has(key)) super.set(key, service)
  }
}

/** As `Context.add` would make it of the context, one after the other; what is set later is seen. */
export const servicesOver = (base: Context.Context<never>): Map<string, unknown> =>
  new ServicesOver(base.unsafeMap)
