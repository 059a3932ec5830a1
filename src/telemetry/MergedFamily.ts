/**
 * The cells of one metric name in all threads, by their labels: what they say together, read from their
 * memory when it is asked for. Counters and histograms of threads that ended, and of cells that one
 * thread freed and another still has, stay in a base, so that no counter ever goes down.
 */
import type { FamilyFacts, Labels, MetricKind } from "../request/cells/FamilyFacts.ts"

/** A cell in the memory of a thread: a view of its slots, and who takes it back. */
export interface SourceCell {
  readonly values: Float64Array
  readonly row: MergedRow
}

/** How long counts are shown that only threads had that ended, ms: as long as of what is idle. */
export const orphanKept = 60 * 60_000

export class MergedRow {
  readonly labels: Labels
  readonly #facts: FamilyFacts
  readonly #sources = new Set<Float64Array>()
  /** What is left of those that are no more; undefined: nothing, as always of gauges. */
  #base: Float64Array | undefined
  /** Since when it is only the base, ms; undefined while it has sources. */
  orphanedAt: number | undefined = undefined

  constructor(labels: Labels, facts: FamilyFacts) {
    this.labels = labels
    this.#facts = facts
  }

  get sources(): number {
    return this.#sources.size
  }

  add(values: Float64Array): void {
    this.#sources.add(values)
    this.orphanedAt = undefined
  }

  remove(values: Float64Array): void {
    if (!this.#sources.delete(values) || this.#facts.kind === "gauge") return
    this.#base ??= new Float64Array(values.length)
    for (let i = 0; i < values.length; i++) this.#base[i]! += values[i]!
  }

  /** What slot `i` says in all threads. */
  read(i: number): number {
    if (this.#facts.merge === "max") {
      let greatest = Number.NEGATIVE_INFINITY
      for (const values of this.#sources) greatest = Math.max(greatest, values[i]!)
      return greatest
    }
    let sum = this.#base?.[i] ?? 0
    for (const values of this.#sources) sum += values[i]!
    return sum
  }
}

/** As the text wants to read it: of a number. */
export class MergedNumber extends MergedRow {
  get value(): number {
    return this.read(0)
  }
}

export class MergedHistogram extends MergedRow {
  readonly bounds: ReadonlyArray<number>

  constructor(labels: Labels, facts: FamilyFacts) {
    super(labels, facts)
    this.bounds = facts.bounds
  }

  get counts(): Array<number> {
    return Array.from({ length: this.bounds.length + 1 }, (_, i) => this.read(i))
  }

  get sum(): number {
    return this.read(this.bounds.length + 1)
  }
}

export class MergedFamily<Row extends MergedRow, Kind extends MetricKind> {
  readonly facts: FamilyFacts
  readonly kind: Kind
  readonly cells = new Map<string, { readonly labels: Labels; readonly cell: Row }>()
  readonly #make: (labels: Labels, facts: FamilyFacts) => Row
  readonly #limit: number
  #orphans = 0

  constructor(
    facts: FamilyFacts & { readonly kind: Kind },
    make: (labels: Labels, facts: FamilyFacts) => Row,
    limit: number
  ) {
    this.facts = facts
    this.kind = facts.kind
    this.#make = make
    this.#limit = limit
  }

  get name(): string {
    return this.facts.name
  }
  get help(): string {
    return this.facts.help
  }
  get divisor(): number {
    return this.facts.divisor
  }

  /** A thread has a cell of these labels. */
  attach(labels: Labels, values: Float64Array): SourceCell {
    const row = this.#row(labels)
    if (row.orphanedAt !== undefined) this.#orphans--
    row.add(values)
    return { values, row }
  }

  /** The thread has freed it: what it counted stays while another thread has one of the same labels. */
  freed({ values, row }: SourceCell): void {
    row.remove(values)
    if (row.sources === 0) this.#delete(row)
  }

  /** The thread has ended, which does not undo what it has done. */
  ended({ values, row }: SourceCell, now: number): void {
    row.remove(values)
    if (row.sources > 0) return
    if (this.kind === "gauge") {
      this.#delete(row)
      return
    }
    row.orphanedAt = now
    this.#orphans++
  }

  /** Frees what nobody has had for so long that nobody will. */
  sweep(now: number): void {
    if (this.#orphans === 0) return
    for (const { cell } of this.cells.values()) {
      if (cell.orphanedAt !== undefined && now - cell.orphanedAt >= orphanKept) this.#forget(cell)
    }
  }

  #row(labels: Labels): Row {
    const known = this.cells.get(JSON.stringify(labels))?.cell
    if (known !== undefined) return known
    if (this.cells.size >= this.#limit && this.#orphans > 0) this.#forgetOne()
    if (this.cells.size < this.#limit) return this.#add(labels)
    const others = Object.fromEntries(Object.keys(labels).map((name) => [name, "other"]))
    return this.cells.get(JSON.stringify(others))?.cell ?? this.#add(others)
  }

  #add(labels: Labels): Row {
    const cell = this.#make(labels, this.facts)
    this.cells.set(JSON.stringify(labels), { labels, cell })
    return cell
  }

  /** Makes room for what is alive. */
  #forgetOne(): void {
    for (const { cell } of this.cells.values()) {
      if (cell.orphanedAt === undefined) continue
      this.#forget(cell)
      return
    }
  }

  #forget(row: MergedRow): void {
    this.#orphans--
    this.#delete(row)
  }

  #delete(row: MergedRow): void {
    this.cells.delete(JSON.stringify(row.labels))
  }
}

export type MergedCounters = MergedFamily<MergedNumber, "counter">
export type MergedGauges = MergedFamily<MergedNumber, "gauge">
export type MergedHistograms = MergedFamily<MergedHistogram, "histogram">
export type AnyMergedFamily = MergedCounters | MergedGauges | MergedHistograms
