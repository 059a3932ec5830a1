/**
 * Rates out of counters: totals are noted every two seconds, and a rate is what came since the oldest
 * note, over the time since then. Notes of things that are gone are dropped.
 */

/** Milliseconds between two notes. To ask the request threads for them wakes all of them up. */
export const noteEvery = 2_000

/** Notes kept: a rate is taken over ten seconds. */
const span = 5

interface Note {
  readonly at: number
  readonly totals: ReadonlyMap<string, number>
}

export class RateMeter {
  #notes: ReadonlyArray<Note> = []

  /** `now` in monotonic milliseconds. */
  note(now: number, totals: ReadonlyMap<string, number>): void {
    this.#notes = [...this.#notes.slice(1 - span), { at: now, totals }]
  }

  /** Per second; 0 before anything was noted. */
  perSecond(now: number, key: string, total: number): number {
    const oldest = this.#notes.find(({ totals }) => totals.has(key))
    if (oldest === undefined || now <= oldest.at) return 0
    return Math.max(0, ((total - (oldest.totals.get(key) ?? total)) / (now - oldest.at)) * 1_000)
  }
}
