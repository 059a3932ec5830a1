/**
 * The lines of one thread for the access log, which wait to be handed over to the thread that writes
 * it. Bounded: past the bound, lines are dropped and counted.
 */
import { type AccessLogEntry, type AccessLogSink, lineOf } from "./AccessLogEntry.ts"

export interface LinesTaken {
  /** Whole lines, each with its line feed. */
  readonly text: string
  readonly lines: number
  /** Lost since the last time, for want of room. */
  readonly dropped: number
}

export class AccessLines implements AccessLogSink {
  readonly #limit: number
  #waiting: Array<string> = []
  /** Characters in `#waiting`. */
  #size = 0
  #dropped = 0
  /** Something waits, and nothing did before. */
  onWaiting: (() => void) | undefined

  /** `limit`: characters that may wait. Default 1 Mi, about 3,000 lines. */
  constructor(limit = 1024 * 1024) {
    this.#limit = limit
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0 || this.#dropped > 0
  }

  log(entry: AccessLogEntry): void {
    const line = lineOf(entry)
    if (this.#size + line.length > this.#limit) {
      this.#dropped++
      if (this.#dropped === 1) this.onWaiting?.()
      return
    }
    this.#waiting.push(line)
    this.#size += line.length
    if (this.#waiting.length === 1) this.onWaiting?.()
  }

  takeLines(): LinesTaken {
    const taken = {
      text: this.#waiting.join(""),
      lines: this.#waiting.length,
      dropped: this.#dropped
    }
    this.#waiting = []
    this.#size = 0
    this.#dropped = 0
    return taken
  }
}
