/** When this program's event loop has last stood still for long: who finds it silent then is right. */
import { type Ticker, untilTick } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"

/** Looks that often, ms: when the program wakes for other ticks of a second, and seldom enough to let it sleep. */
const every = 1_000
/** So late is worth a word, ms. */
const worth = 1_000

export class LoopStall {
  readonly #ticker: Ticker
  #due = 0
  #timer: Timer
  #last: { readonly at: number; readonly lasted: number } | undefined

  constructor(ticker: Ticker) {
    this.#ticker = ticker
    this.#timer = this.#next(ticker.now())
  }

  stop(): void {
    this.#timer.cancel()
  }

  /**
   * Milliseconds that it stood still for at least, where that ended within so many; undefined: it did not. By up to a
   * second and a quarter it was more: what was before the next look was due is not known.
   */
  within(millis: number): number | undefined {
    const last = this.#last
    return last !== undefined && this.#ticker.now() - last.at <= millis ? last.lasted : undefined
  }

  readonly #look = (): void => {
    const now = this.#ticker.now()
    const late = now - this.#due
    if (late >= worth) this.#last = { at: now, lasted: late }
    this.#timer = this.#next(now)
  }

  #next(now: number): Timer {
    const wait = untilTick(every, now)
    this.#due = now + wait
    return this.#ticker.after(wait, this.#look)
  }
}
