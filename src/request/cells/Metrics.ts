/**
 * Cells that the request plane adds to and the scrape reads. A cell is found once, when a plan is
 * compiled or a connection opened; after that counting is one addition, in memory that the thread
 * which renders the metrics reads whenever it likes. Families and their label values are bounded.
 */
import { type CellBatch, type CellEntry, CellJournal } from "./CellJournal.ts"
import type { CellMemoryLimits } from "./CellMemory.ts"
import { Counter, Gauge, Histogram, latencyBounds, millisPerSecond } from "./Cells.ts"
import {
  type AnyFamily,
  BoundedFamily,
  type CellOwner,
  defaultCellLimit,
  type Family
} from "./Family.ts"
import type { Merge } from "./FamilyFacts.ts"

export interface MetricRegistryLimits extends CellMemoryLimits {
  /** Label combinations per family. Default 4,096. */
  readonly cells?: number
}

/**
 * All metrics of one thread. Names: `skein_…`, base unit (seconds, bytes) as suffix, `_total` for
 * counters and `_info` for what is told in labels alone.
 */
export class MetricRegistry {
  readonly families = new Map<string, AnyFamily>()
  readonly #collectors: Array<() => void> = []
  readonly #owner: CellOwner
  /** The families again, by number. */
  readonly #told: Array<TellingFamily> = []

  constructor(limits: MetricRegistryLimits = {}) {
    let ids = 0
    this.#owner = {
      journal: new CellJournal(limits),
      limit: limits.cells ?? defaultCellLimit,
      nextId: () => ++ids
    }
  }

  counter<Label extends string = string>(
    name: string,
    help: string,
    labels?: ReadonlyArray<Label>
  ): Family<Counter, "counter", Label> {
    const known = this.families.get(name)
    if (known?.kind === "counter") return known
    const facts = { ...plain, kind: "counter", name, help, labels } as const
    return this.#add(new BoundedFamily(facts, (slots) => new Counter(slots), this.#owner))
  }

  /** `merge`: what it is over all threads, see `Merge`. Default: the sum. */
  gauge<Label extends string = string>(
    name: string,
    help: string,
    labels?: ReadonlyArray<Label>,
    merge: Merge = "sum"
  ): Family<Gauge, "gauge", Label> {
    const known = this.families.get(name)
    if (known?.kind === "gauge") return known
    const facts = { ...plain, kind: "gauge", name, help, labels, merge } as const
    return this.#add(new BoundedFamily(facts, (slots) => new Gauge(slots), this.#owner))
  }

  /** Of durations: cells and bounds are in milliseconds, the text, as `name` says, in seconds. */
  histogram<Label extends string = string>(
    name: string,
    help: string,
    labels?: ReadonlyArray<Label>,
    bounds = latencyBounds
  ): Family<Histogram, "histogram", Label> {
    const known = this.families.get(name)
    if (known?.kind === "histogram") return known
    const divisor = millisPerSecond
    const facts = { ...plain, kind: "histogram", name, help, labels, bounds, divisor } as const
    return this.#add(new BoundedFamily(facts, (slots) => new Histogram(bounds, slots), this.#owner))
  }

  /** Runs before each scrape: sets gauges that are cheaper to compute than to keep. */
  onCollect(collector: () => void): void {
    this.#collectors.push(collector)
  }

  collect(): void {
    for (const collector of this.#collectors) collector()
  }

  /**
   * What has become of families and cells since the last time, for whoever reads their memory; all
   * there are the first time, and when more happened than is kept. Undefined: nothing.
   */
  takeJournal(): CellBatch | undefined {
    return this.#owner.journal.batch(() => this.#told.flatMap((family) => [...family.entries()]))
  }

  /** `takeJournal` would have something to say. */
  get hasJournal(): boolean {
    return this.#owner.journal.isWaiting
  }

  /** Called when there is something for the journal's reader, and was nothing before. */
  set onJournal(onWaiting: (() => void) | undefined) {
    this.#owner.journal.onWaiting = onWaiting
  }

  /** The journal has another reader, who knows nothing: the next time tells all there are. */
  tellAnew(): void {
    this.#owner.journal.anew()
  }

  /** The reader has applied this batch: what it says was removed makes room. */
  journalApplied(serial: number): void {
    this.#owner.journal.applied(serial)
  }

  #add<Added extends AnyFamily & TellingFamily>(family: Added): Added {
    const known = this.families.get(family.name)
    if (known !== undefined) {
      throw new Error(`metric ${family.name} is a ${known.kind}, not a ${family.kind}`)
    }
    this.families.set(family.name, family)
    family.declare(this.#told.length)
    this.#told.push(family)
    return family
  }
}

interface TellingFamily {
  declare(number: number): void
  entries(): Iterable<CellEntry>
}

const plain = { labels: undefined, divisor: 1, merge: "sum", bounds: [] } as const
