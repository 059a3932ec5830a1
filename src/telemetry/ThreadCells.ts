/**
 * Mirrors which families and cells one thread has, by its journal, and where in its memory they lie.
 * Reading them afterwards asks the thread nothing.
 */
import type { CellBatch, CellEntry } from "../request/cells/CellJournal.ts"
import { histogramSlots } from "../request/cells/Cells.ts"
import type { FamilyFacts } from "../request/cells/FamilyFacts.ts"
import type { AnyMergedFamily, SourceCell } from "./MergedFamily.ts"

/** The family of all threads with these facts; made when it is the first that anybody has. */
export type FamilyOf = (facts: FamilyFacts) => AnyMergedFamily

interface MirroredCell {
  readonly family: AnyMergedFamily
  readonly source: SourceCell
}

export class ThreadCells {
  readonly #familyOf: FamilyOf
  readonly #now: () => number
  readonly #chunks: Array<Float64Array> = []
  readonly #families: Array<AnyMergedFamily> = []
  readonly #cells = new Map<number, MirroredCell>()

  /** `now`: monotonic ms. */
  constructor(familyOf: FamilyOf, now: () => number) {
    this.#familyOf = familyOf
    this.#now = now
  }

  /** In the order they were taken. Afterwards the thread may be told that this one is applied. */
  apply({ whole, entries }: CellBatch): void {
    if (whole) this.#freeOthers(entries)
    for (const entry of entries) this.#applyOne(entry)
  }

  /** The thread is no more: what it counted stays, what it measured does not. */
  end(): void {
    for (const { family, source } of this.#cells.values()) family.ended(source, this.#now())
    this.#cells.clear()
  }

  #applyOne(entry: CellEntry): void {
    switch (entry.kind) {
      case "chunk":
        this.#chunks[entry.chunk] ??= new Float64Array(entry.memory)
        break
      case "family":
        this.#families[entry.family] ??= this.#familyOf(entry.facts)
        break
      case "cell": {
        if (this.#cells.has(entry.cell)) break // known from before the whole was told
        const [family, chunk] = [this.#families[entry.family], this.#chunks[entry.chunk]]
        if (family === undefined || chunk === undefined) {
          throw new Error(`cell ${entry.cell} came before its family or its memory`)
        }
        const { kind, bounds } = family.facts
        const size = kind === "histogram" ? histogramSlots(bounds) : 1
        const source = family.attach(entry.labels, chunk.subarray(entry.at, entry.at + size))
        this.#cells.set(entry.cell, { family, source })
        break
      }
      case "removed":
        this.#free(entry.cell)
        break
    }
  }

  /** Some of what was removed was not told: what is not there any more. */
  #freeOthers(entries: ReadonlyArray<CellEntry>): void {
    const there = new Set<number>()
    for (const entry of entries) if (entry.kind === "cell") there.add(entry.cell)
    for (const cell of this.#cells.keys()) if (!there.has(cell)) this.#free(cell)
  }

  #free(cell: number): void {
    const mirrored = this.#cells.get(cell)
    if (mirrored === undefined) return
    this.#cells.delete(cell)
    mirrored.family.freed(mirrored.source)
  }
}
