/**
 * The real clock and the real dice, for the request plane. The clock is read once per turn of the
 * event loop: a request asks for the time a dozen times, and within a turn nobody could tell the
 * answers apart. The wheel is advanced when its next timer is due and not before: an idle node
 * sleeps.
 */
import type { OnDefect } from "../model/Defect.ts"
import type { Ticker } from "../model/Time.ts"
import { type Timer, TimerWheel } from "../model/TimerWheel.ts"

export class LoopTicker implements Ticker {
  readonly #wheel = new TimerWheel(performance.now())
  #alarm: NodeJS.Timeout | undefined
  #stopped = false
  /** Of this turn of the event loop; not a number: not asked yet. */
  #turn = Number.NaN

  constructor() {
    this.#wheel.onWake = (at) => this.#wakeAt(at)
  }

  /** Hears of timers whose callback throws. Unset: that is thrown on, when all that is due has fired. */
  set onDefect(onDefect: OnDefect) {
    this.#wheel.onDefect = (error) => onDefect(error, "a timer")
  }

  readonly now = (): number => {
    if (Number.isNaN(this.#turn)) {
      this.#turn = performance.now()
      setImmediate(this.#forget)
    }
    return this.#turn
  }

  readonly wall = (): number => Date.now()

  readonly random = (): number => Math.random()

  readonly after = (delay: number, callback: () => void): Timer =>
    this.#wheel.schedule(this.now(), delay, callback)

  /** No timer fires any more. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#alarm)
  }

  readonly #forget = (): void => {
    this.#turn = Number.NaN
  }

  readonly #wake = (): void => {
    try {
      this.#wheel.advance(performance.now())
    } finally {
      this.#wakeAt(this.#wheel.next())
    }
  }

  #wakeAt(at: number | undefined): void {
    clearTimeout(this.#alarm)
    if (this.#stopped || at === undefined) return
    this.#alarm = setTimeout(this.#wake, Math.max(1, Math.ceil(at - performance.now())))
  }
}
