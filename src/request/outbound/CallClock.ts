/**
 * When something of a call last moved, and who was waited for: what its limits are judged by. The
 * idle limit is its own, no step's, since it watches all of them: one timer that looks, when it
 * fires, how long ago the last byte was, so that a byte costs one assignment.
 */
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"

/** The call, as its clock sees it. */
export interface IdleCall {
  /** Nothing has moved for so many milliseconds. */
  idle(millis: number): void
}

export class CallClock {
  readonly #ticker: Ticker
  readonly #call: IdleCall
  #limit: number
  #lastActivity: number
  /** Milliseconds of the attempt under way that went by in waiting for the caller. */
  callersTime = 0
  /** When the caller wrote last, or could write again; undefined: when the attempt was begun. */
  #callerSince: number | undefined = undefined
  #timer: Timer

  /** `limit`: milliseconds in which something has to move. */
  constructor(ticker: Ticker, call: IdleCall, limit: number, now: number) {
    this.#ticker = ticker
    this.#call = call
    this.#limit = limit
    this.#lastActivity = now
    this.#timer = this.#watch(limit)
  }

  /** The time; something moves right now. */
  active(): number {
    const now = this.#ticker.now()
    this.#lastActivity = now
    return now
  }

  /** An attempt begins. */
  begun(): void {
    this.callersTime = 0
    this.#callerSince = undefined
  }

  /**
   * Some of the request's body has come, and `awaited`: there was nothing else to wait for since
   * `begunAt`, or since the caller could write last.
   */
  written(now: number, awaited: boolean, begunAt: number): void {
    if (awaited) this.callersTime += now - (this.#callerSince ?? begunAt)
    this.#callerSince = now
  }

  /** The endpoint takes more. */
  drained(now: number): void {
    this.#callerSince = now
  }

  /** Another limit from now on. */
  relimit(limit: number): void {
    this.#limit = limit
    this.#timer.cancel()
    this.#timer = this.#watch(limit)
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #watch(delay: number): Timer {
    return this.#ticker.after(delay, () => {
      const left = this.#lastActivity + this.#limit - this.#ticker.now()
      if (left > 0) this.#timer = this.#watch(left)
      else this.#call.idle(this.#limit)
    })
  }
}
