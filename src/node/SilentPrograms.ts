/**
 * Tells the log when a program that serves does not answer this node any more, though its connection is there, and when
 * it does again. One that ends has closed its links first, and its connection is gone a moment later: it is not told.
 */
import type { Log } from "../model/Log.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { Attached } from "./AttachedPrograms.ts"

/** A program that ends may take so long from its links to its connection, ms: more than it gives what runs. */
const patience = 1_500

export interface SilentProgramsOptions {
  readonly ticker: Ticker
  readonly log: Log
}

export class SilentPrograms {
  readonly #options: SilentProgramsOptions
  readonly #silent = new Map<string, { readonly since: number; readonly timer: Timer }>()

  constructor(options: SilentProgramsOptions) {
    this.#options = options
  }

  /** Those that are silent now. */
  get count(): number {
    return this.#silent.size
  }

  /** It has ended, or its node has given it up. */
  gone(id: string): void {
    this.#silent.get(id)?.timer.cancel()
    this.#silent.delete(id)
  }

  changed({ id, name, offers, pid }: Attached, silent: boolean): void {
    const { log, ticker } = this.#options
    const before = this.#silent.get(id)
    this.gone(id)
    if (silent) {
      const what = offers.map(({ service }) => service).join(", ")
      const timer = ticker.after(patience, () => {
        log(
          "warning",
          `the program ${name} does not answer this node: its event loop stands still, or it was stopped; what it serves (${what}) is not called here until it does`,
          { pid }
        )
      })
      this.#silent.set(id, { since: ticker.now(), timer })
    } else if (before !== undefined) {
      const lasted = Math.round(ticker.now() - before.since)
      log(
        "info",
        `the program ${name} answers again, after ${lasted} ms in which it was not called`,
        {
          pid
        }
      )
    }
  }
}
