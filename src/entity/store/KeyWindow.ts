/**
 * The idempotency keys that an actor remembers, and what it answered to each: the same as the store keeps,
 * so that a message is looked up without asking anybody. Bounded: a caller that tries again later than
 * `keys` other messages, or than the key holds, may be served twice.
 */
import { type KeptKey, storeLimits } from "./ActorStore.ts"

export interface KeyWindowOptions {
  /** The most it remembers. Default 256, which is what one save may carry. */
  readonly keys?: number
  /** How long, ms. Default one hour. */
  readonly holds?: number
}

interface Answer {
  readonly result: Uint8Array
  readonly ends: number
}

/** All times in milliseconds by a clock that never jumps. */
export class KeyWindow {
  readonly #keys: number
  readonly #holds: number
  /** The oldest is the first. */
  readonly #answers = new Map<string, Answer>()

  constructor(loaded: ReadonlyArray<KeptKey>, now: number, options: KeyWindowOptions = {}) {
    this.#keys = Math.min(options.keys ?? storeLimits.perSave, storeLimits.perSave)
    this.#holds = options.holds ?? 3_600_000
    for (const { key, left, result } of loaded) this.#answers.set(key, { result, ends: now + left })
  }

  get size(): number {
    return this.#answers.size
  }

  /** What was answered to it; undefined: it is new. */
  find(key: string, now: number): Uint8Array | undefined {
    const answer = this.#answers.get(key)
    return answer === undefined || answer.ends <= now ? undefined : answer.result
  }

  /** Remembers it, and says what goes into the save with it. A save that is refused calls for a window anew. */
  add(
    key: string,
    result: Uint8Array,
    now: number
  ): { readonly put: KeptKey; readonly drop: ReadonlyArray<string> } {
    this.#answers.delete(key)
    const drop: Array<string> = []
    for (const [old, { ends }] of this.#answers) {
      // As many as one save may drop beside what it puts; the rest has its turn with the next one.
      if (drop.length === storeLimits.perSave - 1) break
      if (ends > now && this.#answers.size - drop.length < this.#keys) break
      drop.push(old)
    }
    for (const old of drop) this.#answers.delete(old)
    this.#answers.set(key, { result, ends: now + this.#holds })
    return { put: { key, result, left: this.#holds }, drop }
  }
}
