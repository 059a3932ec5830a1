/** Lines of text out of a byte stream, each of at most so many bytes; what follows one may be no text. */
import { ProtocolError } from "./Frame.ts"

const newline = 0x0a
const nothing = Buffer.alloc(0)

export class Lines {
  readonly #most: number
  #held: Buffer = nothing

  /** `most`: bytes of a line, without its end. */
  constructor(most: number) {
    this.#most = most
  }

  push(bytes: Uint8Array): void {
    // What is held is less than a line, most often nothing.
    this.#held = this.#held.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes])
  }

  /** Undefined: there is none yet. Throws a ProtocolError once it cannot become one. */
  next(): string | undefined {
    const held = this.#held
    const end = held.indexOf(newline)
    if (end > this.#most || (end === -1 && held.length > this.#most)) {
      throw new ProtocolError(`a line of more than ${this.#most} bytes`)
    }
    if (end === -1) return undefined
    this.#held = held.subarray(end + 1)
    return held.toString("utf8", 0, end)
  }

  /** What came after the last line. It is the caller's: nothing of it becomes a line any more. */
  rest(): Buffer {
    const rest = this.#held
    this.#held = nothing
    return rest
  }
}
