/**
 * Which of a host's shards leave it next. They do so a few at a time, for each has its actors finish and save,
 * and begins them elsewhere: all at once that is a blow to the store, and a delay for everybody who calls.
 * Until its turn has come a shard goes on as ever. Those that somebody waits for come first.
 */

export interface DeparturesOptions {
  /** Its turn: it leaves now, and `ended` is called when it has; maybe at once. */
  readonly begin: (shard: number) => void
  /** Returns how to call it off. */
  readonly after: (millis: number, then: () => void) => () => void
}

/** Shards that leave at a time: a sixteenth of them all. */
export const wave = 16
/** Milliseconds after which one that is not done holds up the others no longer. */
export const wavePatience = 250

export class Departures {
  readonly #options: DeparturesOptions
  /** Somebody waits for them, in that order; with what to call at their turn. */
  readonly #asked = new Map<number, Set<() => void>>()
  readonly #others = new Set<number>()
  /** Under way, with how to call off their time. */
  readonly #leaving = new Map<number, () => void>()
  #isLooking = false

  constructor(options: DeparturesOptions) {
    this.#options = options
  }

  /** Is it one that waits for its turn? */
  waits(shard: number): boolean {
    return this.#others.has(shard) || this.#asked.has(shard)
  }

  add(shards: ReadonlyArray<number>): void {
    for (const shard of shards) if (!this.#asked.has(shard)) this.#others.add(shard)
    this.#next()
  }

  /** Somebody waits for it: it goes before those that nobody has asked for. */
  urge(shard: number): void {
    this.#others.delete(shard)
    if (!this.#asked.has(shard)) this.#asked.set(shard, new Set())
    this.#next()
  }

  /** Calls back when one that was asked for does not wait (any more). Returns how to stop waiting for that. */
  whenTurn(shard: number, then: () => void): () => void {
    const asked = this.#asked.get(shard)
    if (asked === undefined) then()
    else asked.add(then)
    return () => {
      asked?.delete(then)
    }
  }

  /** It stays after all. */
  drop(shard: number): void {
    const asked = this.#asked.get(shard) ?? new Set()
    this.#asked.delete(shard)
    this.#others.delete(shard)
    for (const then of asked) then()
  }

  /** Nothing of it is here any more. */
  ended(shard: number): void {
    this.#leaving.get(shard)?.()
    this.#leaving.delete(shard)
    this.#next()
  }

  #next(): void {
    // What leaves at once comes back here from within the loop.
    if (this.#isLooking) return
    this.#isLooking = true
    while (this.#leaving.size < wave) {
      const [shard] = this.#asked.size > 0 ? this.#asked.keys() : this.#others
      if (shard === undefined) break
      const asked = this.#asked.get(shard) ?? new Set()
      this.#asked.delete(shard)
      this.#others.delete(shard)
      this.#leaving.set(
        shard,
        this.#options.after(wavePatience, () => this.ended(shard))
      )
      this.#options.begin(shard)
      for (const then of asked) then()
    }
    this.#isLooking = false
  }
}
