/**
 * All cells of one metric name, bounded: past the bound, and when the memory is full, new label values
 * share one cell labelled `other`. What it makes and frees it writes into the journal.
 */
import type { CellEntry, CellJournal } from "./CellJournal.ts"
import { isShared, ownSlots, type Slots } from "./CellMemory.ts"
import { type Counter, type Gauge, type Histogram, histogramSlots, type SlotCell } from "./Cells.ts"
import type { FamilyFacts, Labels, Merge, MetricKind } from "./FamilyFacts.ts"

/** All cells of one metric name, told apart by their labels, whose names are `Label`. */
export interface Family<Cell, Kind extends MetricKind = MetricKind, Label extends string = string>
  extends FamilyFacts {
  readonly kind: Kind
  readonly cells: ReadonlyMap<string, { readonly labels: Labels; readonly cell: Cell }>
  /** The cell of these labels; made on first use. Hold on to it. Label order matters. */
  cell(labels: Readonly<Record<Label, string>>): Cell
  /** Frees a cell, e.g. when its endpoint is gone from the mesh. Who holds it may still write to it. */
  remove(labels: Readonly<Record<Label, string>>): void
  /** Frees all cells: for what is found out anew at every scrape. */
  clear(): void
  /** Frees those that nobody asked for since the last sweep: the same, when most stay. */
  sweep(): void
}

/** A family of any kind; `kind` tells which. */
export type AnyFamily =
  | Family<Counter, "counter">
  | Family<Gauge, "gauge">
  | Family<Histogram, "histogram">

/** Label combinations per family; what a mesh with hundreds of services needs, and no more. */
export const defaultCellLimit = 4_096

interface HeldCell<Cell> {
  readonly labels: Labels
  readonly cell: Cell
  readonly id: number
  readonly slots: Slots
  /** The sweep since which somebody asked for it. */
  asked: number
}

type NewCell<Cell> = (slots: Slots) => Cell

export class BoundedFamily<Cell extends SlotCell, Kind extends MetricKind, Label extends string>
  implements Family<Cell, Kind, Label>
{
  readonly name: string
  readonly help: string
  readonly kind: Kind
  readonly labels: ReadonlyArray<string> | undefined
  readonly divisor: number
  readonly merge: Merge
  readonly bounds: ReadonlyArray<number>
  readonly cells = new Map<string, HeldCell<Cell>>()
  readonly #make: NewCell<Cell>
  readonly #size: number
  readonly #owner: CellOwner
  #number = 0
  #sweeps = 0

  constructor(facts: FamilyFacts & { readonly kind: Kind }, make: NewCell<Cell>, owner: CellOwner) {
    this.name = facts.name
    this.help = facts.help
    this.kind = facts.kind
    this.labels = facts.labels
    this.divisor = facts.divisor
    this.merge = facts.merge
    this.bounds = facts.bounds
    this.#make = make
    this.#size = facts.kind === "histogram" ? histogramSlots(facts.bounds) : 1
    this.#owner = owner
  }

  /** From now on it is told of, under this number. */
  declare(number: number): void {
    this.#number = number
    this.#owner.journal.add(this.#entry())
  }

  cell(labels: Labels): Cell {
    const known = this.cells.get(JSON.stringify(labels))
    if (known !== undefined) return this.#asked(known)
    if (this.cells.size < this.#owner.limit) {
      const slots = this.#owner.journal.take(this.#size)
      if (slots !== undefined) return this.#add(labels, slots)
    }
    const others = Object.fromEntries(Object.keys(labels).map((name) => [name, "other"]))
    const other = this.cells.get(JSON.stringify(others))
    if (other !== undefined) return this.#asked(other)
    // In a full memory it counts where only this thread sees it, which is better than to fail.
    return this.#add(others, this.#owner.journal.take(this.#size) ?? ownSlots(this.#size))
  }

  remove(labels: Labels): void {
    const key = JSON.stringify(labels)
    const held = this.cells.get(key)
    if (held !== undefined) this.#free(key, held)
  }

  clear(): void {
    for (const [key, held] of this.cells) this.#free(key, held)
  }

  sweep(): void {
    for (const [key, held] of this.cells) {
      if (held.asked < this.#sweeps) this.#free(key, held)
    }
    this.#sweeps++
  }

  /** All there is to tell of it. */
  *entries(): Iterable<CellEntry> {
    yield this.#entry()
    for (const held of this.cells.values()) if (isShared(held.slots)) yield this.#cellEntry(held)
  }

  #entry(): CellEntry {
    const { name, help, kind, labels, divisor, merge, bounds } = this
    const facts: FamilyFacts = { name, help, kind, labels, divisor, merge, bounds }
    return { kind: "family", family: this.#number, facts }
  }

  #cellEntry({ id, labels, slots: { chunk, at } }: HeldCell<Cell>): CellEntry {
    return { kind: "cell", cell: id, family: this.#number, labels, chunk, at }
  }

  #asked(held: HeldCell<Cell>): Cell {
    held.asked = this.#sweeps
    return held.cell
  }

  #add(labels: Labels, slots: Slots): Cell {
    const id = this.#owner.nextId()
    const held = { labels, cell: this.#make(slots), id, slots, asked: this.#sweeps }
    this.cells.set(JSON.stringify(labels), held)
    if (isShared(slots)) this.#owner.journal.add(this.#cellEntry(held))
    return held.cell
  }

  #free(key: string, { cell, id, slots }: HeldCell<Cell>): void {
    this.cells.delete(key)
    if (!isShared(slots)) return
    cell.leave()
    this.#owner.journal.removed(id, slots)
  }
}

/** What all families of a registry share. */
export interface CellOwner {
  readonly journal: CellJournal
  readonly limit: number
  readonly nextId: () => number
}
