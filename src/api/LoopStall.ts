/** When this program's event loop has last stood still for long: who finds it silent then is right. */
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"

/** Looks that often, ms. */
const every = 250
/** So late is worth a word, ms. */
const worth = 1_000

export class LoopStall {
  readonly #ticker: Ticker
  #due: number
  #timer: Timer
  #last: { readonly at: number; readonly lasted: number } | undefined

  constructor(ticker: Ticker) {
    this.#ticker = ticker
    this.#due = ticker.now() + every
    this.#timer = ticker.after(every, this.#look)
  }

  stop(): void {
    this.#timer.cancel()
  }

  /** Milliseconds that it stood still for, where that ended within so many; undefined: it did not. */
  within(millis: number): number | undefined {
    const last = this.#last
    return last !== undefined && this.#ticker.now() - last.at <= millis ? last.lasted : undefined
  }

  readonly #look = (): void => {
    const now = this.#ticker.now()
    const late = now - this.#due
    if (late >= worth) this.#last = { at: now, lasted: late }
    this.#due = now + every
    this.#timer = this.#ticker.after(every, this.#look)
  }
}
