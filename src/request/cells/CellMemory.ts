/**
 * Where cells count: slots of 64-bit floats in memory that other threads can read while it is written.
 *
 * A slot is written by the thread whose memory it is and by nobody else, so that an addition cannot be
 * lost and needs no Atomics, of which there are none for floats. What remains is whether a reader can see
 * half a number. The language leaves that open; the processors do not: a slot is aligned to its eight
 * bytes, engines for 64-bit machines write it by one instruction, and that is indivisible on x86-64
 * (Intel SDM 3A, "Guaranteed Atomic Operations") and ARM64 (Arm ARM, "single-copy atomicity"). A reader
 * may see a number a moment late, and two slots of one moment apart, and has to be content with that.
 */

/** Consecutive slots of one cell. */
export interface Slots {
  /** The chunk they lie in. */
  readonly values: Float64Array
  /** Number of the chunk; `ownChunk`: memory that no other thread sees. */
  readonly chunk: number
  /** Index of the first. */
  readonly at: number
  readonly size: number
}

const ownChunk = -1

/** Others can read them. */
export const isShared = ({ chunk }: Slots): boolean => chunk !== ownChunk

/** Of cells that nobody else reads. */
export const ownSlots = (size: number): Slots => ({
  values: new Float64Array(size),
  chunk: ownChunk,
  at: 0,
  size
})

export interface CellMemoryLimits {
  /** Slots of a chunk; more than any one cell has. Default 4,096, which are 32 KiB. */
  readonly chunkSlots?: number
  /** Default 128: 4 MiB, room for all families of a request plane with every label set in use. */
  readonly chunks?: number
}

export class CellMemory {
  readonly #chunkSlots: number
  readonly #maxChunks: number
  readonly #chunks: Array<SharedArrayBuffer> = []
  #newest: Float64Array = new Float64Array(0)
  /** Slots of the newest chunk that were given out. */
  #used = 0
  /** By size. There are few: one for each kind of histogram, one for all else. */
  readonly #free = new Map<number, Array<Slots>>()

  constructor({ chunkSlots = 4_096, chunks = 128 }: CellMemoryLimits = {}) {
    this.#chunkSlots = chunkSlots
    this.#maxChunks = chunks
  }

  /** In the order of their numbers. There are only ever more. */
  get chunks(): ReadonlyArray<SharedArrayBuffer> {
    return this.#chunks
  }

  /** Slots that say 0. Undefined: the memory is full. */
  take(size: number): Slots | undefined {
    const freed = this.#free.get(size)?.pop()
    if (freed !== undefined) {
      freed.values.fill(0, freed.at, freed.at + size)
      return freed
    }
    if (this.#used + size > this.#newest.length && !this.#grow(size)) return undefined
    const at = this.#used
    this.#used += size
    return { values: this.#newest, chunk: this.#chunks.length - 1, at, size }
  }

  /** For the next who takes as many: nobody may write them, or read them as what they were, any more. */
  give(slots: Slots): void {
    const free = this.#free.get(slots.size)
    if (free === undefined) this.#free.set(slots.size, [slots])
    else free.push(slots)
  }

  #grow(size: number): boolean {
    if (size > this.#chunkSlots || this.#chunks.length >= this.#maxChunks) return false
    const chunk = new SharedArrayBuffer(this.#chunkSlots * Float64Array.BYTES_PER_ELEMENT)
    this.#chunks.push(chunk)
    this.#newest = new Float64Array(chunk)
    this.#used = 0
    return true
  }
}
