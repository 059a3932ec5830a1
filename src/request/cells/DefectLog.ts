/**
 * Where contained defects go: each is counted by its place, and of each place the log has one line a
 * minute at most, with the stack. Something that throws at every request must be found, and must not
 * fill a disk.
 */
import type { OnDefect } from "../../model/Defect.ts"
import type { Log } from "../../model/Log.ts"
import type { Counter } from "./Cells.ts"
import type { Family } from "./Family.ts"
import type { MetricRegistry } from "./Metrics.ts"

/** Of one place, ms between lines. */
const quietFor = 60_000
/** Places told apart; what throws anywhere else is `elsewhere`. */
const mostPlaces = 64
/** Characters of a stack. */
const mostStack = 4_096

export interface DefectLogOptions {
  readonly registry: MetricRegistry
  readonly log: Log
  /** Monotonic, ms. */
  readonly now: () => number
}

interface Place {
  readonly counter: Counter
  toldAt: number
  /** Since then, and not told. */
  untold: number
}

export class DefectLog {
  readonly #options: DefectLogOptions
  readonly #family: Family<Counter, "counter", "where">
  readonly #places = new Map<string, Place>()

  constructor(options: DefectLogOptions) {
    this.#options = options
    this.#family = options.registry.counter(
      "skein_defects_total",
      "Bugs that threw and were contained: what they happened in was given up, the rest went on. where: the place; the log has a line with the stack, at most one a minute for each.",
      ["where"]
    )
  }

  /** A property, so that it can be handed on by itself. Does not throw. */
  readonly report: OnDefect = (error, where) => {
    const place = this.#place(where)
    place.counter.inc()
    const now = this.#options.now()
    if (now - place.toldAt < quietFor) {
      place.untold++
      return
    }
    const { untold } = place
    place.toldAt = now
    place.untold = 0
    const before = untold === 0 ? "" : ` (and ${untold} times since the last line of this)`
    this.#options.log(
      "error",
      `a bug in Skein threw in ${where}${before}; what it happened in was given up, the rest goes on. Please report it, with this: ${stackOf(error)}`
    )
  }

  #place(where: string): Place {
    const name = this.#places.has(where) || this.#places.size < mostPlaces ? where : "elsewhere"
    const known = this.#places.get(name)
    if (known !== undefined) return known
    const counter = this.#family.cell({ where: name })
    const place: Place = { counter, toldAt: Number.NEGATIVE_INFINITY, untold: 0 }
    this.#places.set(name, place)
    return place
  }
}

const stackOf = (error: unknown): string =>
  (error instanceof Error ? (error.stack ?? error.message) : String(error)).slice(0, mostStack)
