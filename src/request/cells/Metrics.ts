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

/** All cells of one metric name, told apart by their labels, whose names are `Label`. */
export interface Family<Cell, Kind extends MetricKind = MetricKind, Label extends string = string> {
  readonly name: string
  readonly help: string
  readonly kind: Kind
  /** Names of the labels; undefined: not declared. */
  readonly labels: ReadonlyArray<string> | undefined
  /** The text says what the cells count, divided by this. 1 but for durations. */
  readonly divisor: number
  readonly cells: ReadonlyMap<string, { readonly labels: Labels; readonly cell: Cell }>
  /** The cell of these labels; made on first use. Hold on to it. Label order matters. */
  cell(labels: Readonly<Record<Label, string>>): Cell
  /** Frees a cell, e.g. when its endpoint is gone from the mesh. */
  remove(labels: Readonly<Record<Label, string>>): void
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

type Declared<Kind, Label extends string> = Pick<
  Family<unknown, MetricKind, Label>,
  "name" | "help" | "labels"
> & { readonly kind: Kind }

class BoundedFamily<Cell, Kind extends MetricKind, Label extends string>
  implements Family<Cell, Kind, Label>
{
  readonly name: string
  readonly help: string
  readonly kind: Kind
  readonly labels: ReadonlyArray<string> | undefined
  readonly divisor: number
  readonly cells = new Map<string, { readonly labels: Labels; readonly cell: Cell }>()
  readonly #make: () => Cell
  readonly #limit: number

  constructor(
    of: Declared<Kind, Label>,
    make: () => Cell,
    { limit, divisor = 1 }: { readonly limit: number; readonly divisor?: number }
  ) {
    this.kind = of.kind
    this.name = of.name
    this.help = of.help
    this.labels = of.labels
    this.divisor = divisor
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

  counter<Label extends string = string>(
    name: string,
    help: string,
    labels?: ReadonlyArray<Label>
  ): Family<Counter, "counter", Label> {
    const known = this.families.get(name)
    if (known?.kind === "counter") return known
    const of = { kind: "counter", name, help, labels } as const
    return this.#add(new BoundedFamily(of, () => new Counter(), { limit: this.#limit }))
  }

  gauge<Label extends string = string>(
    name: string,
    help: string,
    labels?: ReadonlyArray<Label>
  ): Family<Gauge, "gauge", Label> {
    const known = this.families.get(name)
    if (known?.kind === "gauge") return known
    const of = { kind: "gauge", name, help, labels } as const
    return this.#add(new BoundedFamily(of, () => new Gauge(), { limit: this.#limit }))
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
    const of = { kind: "histogram", name, help, labels } as const
    const options = { limit: this.#limit, divisor: millisPerSecond }
    return this.#add(new BoundedFamily(of, () => new Histogram(bounds), options))
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
