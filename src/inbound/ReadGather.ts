/**
 * What one socket read brought of a body, as one chunk, however many chunks of the transfer
 * coding it held: back-pressure then counts in reads (Exchange.ts, rule 5), and a body sent in
 * crumbs does not become a frame per crumb further on. Never holds more than one read, and of that
 * views only: the memory is the socket's (ReadMemory.ts) until `take` copies.
 */
export class ReadGather {
  #pieces: Array<Buffer> = []

  add(piece: Buffer): void {
    this.#pieces.push(piece)
  }

  /** A copy of what was added since the last call. Before the next read. */
  take(): Buffer | undefined {
    const pieces = this.#pieces
    if (pieces.length === 0) return undefined
    this.#pieces = []
    return pieces.length === 1 ? Buffer.from(pieces[0]!) : Buffer.concat(pieces)
  }

  clear(): void {
    if (this.#pieces.length > 0) this.#pieces = []
  }
}
