/**
 * Ids of traces and spans, from the system's random numbers: ids that could be guessed would let a
 * stranger write into somebody's trace. Fetched by the block, since a call costs more than its bytes.
 */
import { randomFillSync } from "node:crypto"

const blockSize = 4_096
const traceBytes = 16
const spanBytes = 8

export class SpanIds {
  readonly #block: Buffer
  readonly #fill: (block: Uint8Array) => void
  #used: number

  /** `fill`: fills a block with random bytes. Default: the system's. */
  constructor(fill: (block: Uint8Array) => void = randomFillSync) {
    this.#block = Buffer.alloc(blockSize)
    this.#fill = fill
    this.#used = blockSize
  }

  /** 32 lower-case hex digits, not all zero. */
  traceId(): string {
    return this.#next(traceBytes)
  }

  /** 16 lower-case hex digits, not all zero. */
  spanId(): string {
    return this.#next(spanBytes)
  }

  #next(bytes: number): string {
    if (this.#used + bytes > blockSize) {
      this.#fill(this.#block)
      this.#used = 0
    }
    const from = this.#used
    this.#used += bytes
    const id = this.#block.toString("hex", from, this.#used)
    // All zero stands for no id (W3C Trace Context §3.2.2.3).
    return /[^0]/.test(id) ? id : `${id.slice(1)}1`
  }
}
