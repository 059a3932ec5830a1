/**
 * Cells that the request plane adds to and the scrape reads. A cell is found once, when a plan is
 * compiled or a connection opened; after that counting is one addition. Families and their label
 * values are bounded: past the bound, new label values share one cell labelled `other`.
 */

export type Labels = Readonly<Record<string, string>>

export class Counter {
  value = 0
  inc(by = 1): void {
    this.value += by
  }
}

export class Gauge {
  value = 0
  set(value: number): void {
    this.value = value
  }
  add(by: number): void {
    this.value += by
  }
}

/** Milliseconds in a second: what the cells of durations count, and what the text says. */
export const millisPerSecond = 1_000

/** Milliseconds, from a loopback call to a long timeout. */
export const latencyBounds: ReadonlyArray<number> = [
  0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000,
  10_000, 30_000, 60_000
]

export class Histogram {
  readonly bounds: ReadonlyArray<number>
  /** One more than bounds: the last counts what is above all of them. */
  readonly counts: Array<number>
  sum = 0
  count = 0

  constructor(bounds: ReadonlyArray<number>) {
    this.bounds = bounds
    this.counts = new Array<number>(bounds.length + 1).fill(0)
  }

  record(value: number): void {
    let low = 0
    let high = this.bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (value <= this.bounds[middle]!) high = middle
      else low = middle + 1
    }
    this.counts[low]!++
    this.sum += value
    this.count++
  }

  /** The value under which a share `q` of the recordings lie, interpolated within its bucket. */
  quantile(q: number): number {
    if (this.count === 0) return 0
    const rank = q * this.count
    let seen = 0
    for (let i = 0; i < this.bounds.length; i++) {
      const here = this.counts[i]!
      if (seen + here >= rank && here > 0) {
        const from = i === 0 ? 0 : this.bounds[i - 1]!
        return from + (this.bounds[i]! - from) * ((rank - seen) / here)
      }
      seen += here
    }
    return this.bounds[this.bounds.length - 1]!
  }
}

export type MetricKind = "counter" | "gauge" | "histogram"

/** All cells of one metric name, told apart by their labels. */
export interface Family<Cell, Kind extends MetricKind = MetricKind> {
  readonly name: string
  readonly help: string
  readonly kind: Kind
  /** The text says what the cells count, divided by this. 1 but for durations. */
  readonly divisor: number
  readonly cells: ReadonlyMap<string, { readonly labels: Labels; readonly cell: Cell }>
  /** The cell of these labels; made on first use. Hold on to it. Label order matters. */
  cell(labels: Labels): Cell
  /** Frees a cell, e.g. when its endpoint is gone from the mesh. */
  remove(labels: Labels): void
  /** Frees all cells: for what is found out anew at every scrape. */
  clear(): void
}

/** A family of any kind; `kind` tells which. */
export type AnyFamily =
  | Family<Counter, "counter">
  | Family<Gauge, "gauge">
  | Family<Histogram, "histogram">

/** Label combinations per family; what a mesh with hundreds of services needs, and no more. */
export const defaultCellLimit = 4_096

class BoundedFamily<Cell, Kind extends MetricKind> implements Family<Cell, Kind> {
  readonly name: string
  readonly help: string
  readonly kind: Kind
  readonly divisor: number
  readonly cells = new Map<string, { readonly labels: Labels; readonly cell: Cell }>()
  readonly #make: () => Cell
  readonly #limit: number

  constructor(
    kind: Kind,
    name: string,
    help: string,
    make: () => Cell,
    limit: number,
    divisor = 1
  ) {
    this.kind = kind
    this.divisor = divisor
    this.name = name
    this.help = help
    this.#make = make
    this.#limit = limit
  }

  cell(labels: Labels): Cell {
    const known = this.cells.get(JSON.stringify(labels))
    if (known !== undefined) return known.cell
    if (this.cells.size < this.#limit) return this.#add(labels)
    const others = Object.fromEntries(Object.keys(labels).map((name) => [name, "other"]))
    return this.cells.get(JSON.stringify(others))?.cell ?? this.#add(others)
  }

  remove(labels: Labels): void {
    this.cells.delete(JSON.stringify(labels))
  }

  clear(): void {
    this.cells.clear()
  }

  #add(labels: Labels): Cell {
    const cell = this.#make()
    this.cells.set(JSON.stringify(labels), { labels, cell })
    return cell
  }
}

/**
 * All metrics of one node. Names: `skein_…`, base unit (seconds, bytes) as suffix, `_total` for
 * counters and `_info` for what is told in labels alone.
 */
export class MetricRegistry {
  readonly families = new Map<string, AnyFamily>()
  readonly #collectors: Array<() => void> = []
  readonly #limit: number

  constructor(limit = defaultCellLimit) {
    this.#limit = limit
  }

  counter(name: string, help: string): Family<Counter> {
    const known = this.families.get(name)
    if (known?.kind === "counter") return known
    return this.#add(new BoundedFamily("counter", name, help, () => new Counter(), this.#limit))
  }

  gauge(name: string, help: string): Family<Gauge> {
    const known = this.families.get(name)
    if (known?.kind === "gauge") return known
    return this.#add(new BoundedFamily("gauge", name, help, () => new Gauge(), this.#limit))
  }

  /** Of durations: cells and bounds are in milliseconds, the text, as `name` says, in seconds. */
  histogram(name: string, help: string, bounds = latencyBounds): Family<Histogram> {
    const known = this.families.get(name)
    if (known?.kind === "histogram") return known
    const make = () => new Histogram(bounds)
    return this.#add(new BoundedFamily("histogram", name, help, make, this.#limit, millisPerSecond))
  }

  /** Runs before each scrape: sets gauges that are cheaper to compute than to keep. */
  onCollect(collector: () => void): void {
    this.#collectors.push(collector)
  }

  collect(): void {
    for (const collector of this.#collectors) collector()
  }

  #add<Added extends AnyFamily>(family: Added): Added {
    const known = this.families.get(family.name)
    if (known !== undefined) {
      throw new Error(`metric ${family.name} is a ${known.kind}, not a ${family.kind}`)
    }
    this.families.set(family.name, family)
    return family
  }
}
