/**
 * What one socket read brought of a body, as one chunk, however many chunks of the transfer
 * coding it held: back-pressure then counts in reads (Exchange.ts, rule 5), and a body sent in
 * crumbs does not become a frame per crumb further on. Never holds more than one read.
 */
import { lend } from "../../model/Loan.ts"

export class ReadGather {
  #pieces: Array<Buffer> | undefined = undefined

  /** The piece may be of memory that is good until the next read (ReadMemory.ts). */
  add(piece: Buffer): void {
    if (this.#pieces === undefined) this.#pieces = [piece]
    else this.#pieces.push(piece)
  }

  /** A copy of what was added since the last call. To be taken before the read is over. */
  take(): Buffer | undefined {
    const pieces = this.#pieces
    const first = pieces?.[0]
    if (pieces === undefined || first === undefined) return undefined
    this.#pieces = undefined
    const chunk = pieces.length === 1 ? Buffer.from(first) : Buffer.concat(pieces)
    lend(chunk)
    return chunk
  }

  clear(): void {
    this.#pieces = undefined
  }
}
