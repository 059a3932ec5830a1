/**
 * Has all threads set their gauges before a scrape is rendered, and waits for them, but not for long: a
 * thread that is stalled costs the scrape its patience, and nothing the other way round. A thread that
 * has not answered the last time is not asked again, so that nothing piles up before it; it is still
 * waited for, since it may be back.
 */
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"

export interface CollectRoundOptions {
  readonly ticker: Pick<Ticker, "after">
  /** Ms that a scrape waits for threads. Default 100. */
  readonly patience?: number
}

/** `Thread`: whatever tells one from another. */
export class CollectRound<Thread> {
  readonly #options: CollectRoundOptions
  /** Were asked and have not answered. */
  readonly #asked = new Set<Thread>()
  /** Scrapes that wait. */
  #waiting: Array<() => void> = []
  #timer: Timer | undefined

  constructor(options: CollectRoundOptions) {
    this.#options = options
  }

  /**
   * `done` is called once: when all have answered, or at the end of the patience. A scrape that comes
   * while another waits goes along with that.
   */
  begin(threads: Iterable<Thread>, ask: (thread: Thread) => void, done: () => void): void {
    for (const thread of threads) {
      if (this.#asked.has(thread)) continue
      this.#asked.add(thread)
      ask(thread)
    }
    this.#waiting.push(done)
    if (this.#asked.size === 0) this.#finish()
    else {
      this.#timer ??= this.#options.ticker.after(this.#options.patience ?? 100, () =>
        this.#finish()
      )
    }
  }

  answered(thread: Thread): void {
    if (this.#asked.delete(thread) && this.#asked.size === 0) this.#finish()
  }

  /** It is no more, and nobody waits for it. */
  ended(thread: Thread): void {
    this.answered(thread)
  }

  /** Threads that owe an answer. */
  get owing(): number {
    return this.#asked.size
  }

  #finish(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const waiting = this.#waiting
    this.#waiting = []
    for (const done of waiting) done()
  }
}
