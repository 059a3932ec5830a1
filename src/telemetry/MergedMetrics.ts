/**
 * The metrics of a whole node: those of its own registry and those of all request threads, as one. The
 * own registry is read like a thread's, by its journal.
 */
import { defaultCellLimit } from "../request/cells/Family.ts"
import type { FamilyFacts } from "../request/cells/FamilyFacts.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import {
  type AnyMergedFamily,
  MergedFamily,
  MergedHistogram,
  MergedNumber
} from "./MergedFamily.ts"
import { ThreadCells } from "./ThreadCells.ts"

export interface MergedMetricsOptions {
  /** Of this thread. */
  readonly own: MetricRegistry
  /** Monotonic ms. */
  readonly now: () => number
  /** Label combinations per family, over all threads. Default 4,096. */
  readonly limit?: number
}

export class MergedMetrics {
  readonly families = new Map<string, AnyMergedFamily>()
  readonly #options: MergedMetricsOptions
  readonly #own: ThreadCells

  constructor(options: MergedMetricsOptions) {
    this.#options = options
    this.#own = this.thread()
  }

  /** For the cells of a thread that begins. */
  thread(): ThreadCells {
    return new ThreadCells(this.#familyOf, this.#options.now)
  }

  /** Runs the collectors of the own registry; those of the threads run there, when they are asked. */
  collect(): void {
    const { now, own } = this.#options
    own.collect()
    const batch = own.takeJournal()
    if (batch !== undefined) {
      this.#own.apply(batch)
      own.journalApplied(batch.serial)
    }
    for (const family of this.families.values()) family.sweep(now())
  }

  readonly #familyOf = (facts: FamilyFacts): AnyMergedFamily => {
    const known = this.families.get(facts.name)
    if (known === undefined) {
      const made = familyOf(facts, this.#options.limit ?? defaultCellLimit)
      this.families.set(facts.name, made)
      return made
    }
    if (known.kind !== facts.kind || known.facts.bounds.length !== facts.bounds.length) {
      throw new Error(
        `metric ${facts.name} is a ${known.kind} with ${known.facts.bounds.length} bounds, not a ${facts.kind} with ${facts.bounds.length}`
      )
    }
    return known
  }
}

const familyOf = (facts: FamilyFacts, limit: number): AnyMergedFamily => {
  const number = (...of: ConstructorParameters<typeof MergedNumber>) => new MergedNumber(...of)
  const histogram = (...of: ConstructorParameters<typeof MergedHistogram>) =>
    new MergedHistogram(...of)
  switch (facts.kind) {
    case "counter":
      return new MergedFamily({ ...facts, kind: facts.kind }, number, limit)
    case "gauge":
      return new MergedFamily({ ...facts, kind: facts.kind }, number, limit)
    case "histogram":
      return new MergedFamily({ ...facts, kind: facts.kind }, histogram, limit)
  }
}
