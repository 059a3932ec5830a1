/**
 * What has become of the families and cells of one thread, as plain data for whoever reads their
 * memory: usually another thread, which gets it by message, in batches and in order. The numbers
 * themselves never travel.
 */
import { CellMemory, type CellMemoryLimits, type Slots } from "./CellMemory.ts"
import type { FamilyFacts, Labels } from "./FamilyFacts.ts"

export type CellEntry =
  | { readonly kind: "chunk"; readonly chunk: number; readonly memory: SharedArrayBuffer }
  | { readonly kind: "family"; readonly family: number; readonly facts: FamilyFacts }
  | {
      readonly kind: "cell"
      readonly cell: number
      /** Number of its family. */
      readonly family: number
      readonly labels: Labels
      readonly chunk: number
      readonly at: number
    }
  /** Its slots keep what it said last until the batch is known to be read. */
  | { readonly kind: "removed"; readonly cell: number }

export interface CellBatch {
  readonly serial: number
  /** These are all families and cells there are; what is not named here was removed. */
  readonly whole: boolean
  readonly entries: ReadonlyArray<CellEntry>
}

/** Entries that wait for a reader, at most; past that, the next batch tells the whole instead. */
export const maxEntries = 16_384

/**
 * The slots of a cell that was removed are not given to another before the reader has said that it
 * knows: until then it reads them as that cell's, and would take another's count for it.
 */
export class CellJournal {
  readonly memory: CellMemory
  readonly #limit: number
  /** Undefined: the next batch tells the whole, as does the first. */
  #waiting: Array<CellEntry> | undefined = undefined
  /** Something waits, and nothing did before. */
  onWaiting: (() => void) | undefined
  /** Of the batch that was taken last; 0: there is no reader. */
  #serial = 0
  /** Of cells that were removed, each with the batch that says so, in order. */
  #retired: Array<{ readonly serial: number; readonly slots: Slots }> = []

  constructor(limits: CellMemoryLimits, limit = maxEntries) {
    this.memory = new CellMemory(limits)
    this.#limit = limit
  }

  /** Something to tell. */
  get isWaiting(): boolean {
    return this.#waiting === undefined || this.#waiting.length > 0
  }

  /** Slots of a new cell, and word of the chunk when it is new. Undefined: the memory is full. */
  take(size: number): Slots | undefined {
    const { chunks } = this.memory
    const known = chunks.length
    const slots = this.memory.take(size)
    const memory = chunks[known]
    if (memory !== undefined) this.add({ kind: "chunk", chunk: known, memory })
    return slots
  }

  add(entry: CellEntry): void {
    if (this.#waiting === undefined) return
    if (this.#waiting.length < this.#limit) this.#waiting.push(entry)
    else this.#waiting = undefined
    if (this.#waiting?.length === 1) this.onWaiting?.()
  }

  /** There is another reader, who knows nothing: the next batch tells the whole. */
  anew(): void {
    this.#waiting = undefined
  }

  /** Nobody writes to its slots any more. */
  removed(cell: number, slots: Slots): void {
    if (this.#serial === 0) {
      this.memory.give(slots)
      return
    }
    this.add({ kind: "removed", cell })
    this.#retired.push({ serial: this.#serial + 1, slots })
  }

  /** `everything`: what a reader has to know that knows nothing, apart from the chunks. */
  batch(everything: () => ReadonlyArray<CellEntry>): CellBatch | undefined {
    if (!this.isWaiting) return undefined
    const waiting = this.#waiting
    this.#waiting = []
    this.#serial++
    if (waiting !== undefined) return { serial: this.#serial, whole: false, entries: waiting }
    const chunks = this.memory.chunks.map(
      (memory, chunk): CellEntry => ({ kind: "chunk", chunk, memory })
    )
    return { serial: this.#serial, whole: true, entries: [...chunks, ...everything()] }
  }

  /** The reader knows this batch and all before it. */
  applied(serial: number): void {
    let known = 0
    for (; known < this.#retired.length && this.#retired[known]!.serial <= serial; known++) {
      this.memory.give(this.#retired[known]!.slots)
    }
    if (known > 0) this.#retired = this.#retired.slice(known)
  }
}
