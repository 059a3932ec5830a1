/**
 * What one socket read brought of a body, as one chunk, however many chunks of the transfer
 * coding it held: back-pressure then counts in reads (Exchange.ts, rule 5), and a body sent in
 * crumbs does not become a frame per crumb further on. Never holds more than one read.
 */
import { lend } from "../model/Loan.ts"

export class ReadGather {
  readonly #copies: boolean
  #pieces: Array<Buffer> = []

  /** `copied`: what is added is the socket's memory, of use until the next read (ReadMemory.ts). */
  constructor(pieces: "copied" | "in place") {
    this.#copies = pieces === "copied"
  }

  add(piece: Buffer): void {
    this.#pieces.push(piece)
  }

  /** What was added since the last call. */
  take(): Buffer | undefined {
    const pieces = this.#pieces
    const first = pieces[0]
    if (first === undefined) return undefined
    this.#pieces = []
    if (pieces.length === 1 && !this.#copies) return first
    const chunk = pieces.length === 1 ? Buffer.from(first) : Buffer.concat(pieces)
    lend(chunk)
    return chunk
  }

  clear(): void {
    if (this.#pieces.length > 0) this.#pieces = []
  }
}
