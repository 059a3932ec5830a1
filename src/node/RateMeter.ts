/**
 * Rates out of counters: totals are noted every two seconds, and a rate is what came since the oldest
 * note, over the time since then. Where nothing is counted for ten seconds, they are noted as seldom. Notes
 * of things that are gone are dropped.
 */

/** Milliseconds between two notes. To ask the request threads for them wakes all of them up. */
export const noteEvery = 2_000

/** Where nothing comes, and what a rate is taken over, ms. */
const restEvery = 10_000

/** A note that comes a little late, or early, is in time, ms. */
export const noteSlack = 500

interface Note {
  readonly at: number
  readonly totals: ReadonlyMap<string, number>
}

export class RateMeter {
  #notes: ReadonlyArray<Note> = []
  #rests = false

  /** Is it time for another note? */
  isDue(now: number): boolean {
    const last = this.#notes.at(-1)
    if (last === undefined) return true
    return now - last.at >= (this.#rests ? restEvery : noteEvery) - noteSlack
  }

  /** `now` in monotonic milliseconds. */
  note(now: number, totals: ReadonlyMap<string, number>): void {
    const [oldest] = this.#notes
    this.#rests =
      oldest !== undefined &&
      now - oldest.at >= restEvery - noteSlack &&
      isSame(oldest.totals, totals)
    const kept = this.#notes.filter(({ at }) => now - at <= restEvery + noteSlack)
    this.#notes = [...kept, { at: now, totals }]
  }

  /** Per second; 0 before anything was noted. */
  perSecond(now: number, key: string, total: number): number {
    const oldest = this.#notes.find(({ totals }) => totals.has(key))
    if (oldest === undefined || now <= oldest.at) return 0
    return Math.max(0, ((total - (oldest.totals.get(key) ?? total)) / (now - oldest.at)) * 1_000)
  }
}

const isSame = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean =>
  a.size === b.size && Array.from(a).every(([key, total]) => b.get(key) === total)
