/**
 * Finds the end of a head or of a trailer section in what a connection delivers. A block that
 * arrives in one piece is turned into text straight from the socket's buffer; one that arrives in
 * pieces is copied together, up to the limit.
 */
import { Http1Error } from "./Http1Error.ts"
import type { Http1Limits } from "./Limits.ts"

const CR = 0x0d
const LF = 0x0a
const emptyLine = Buffer.from("\r\n\r\n", "latin1")
const firstCapacity = 1024

/** `beginning`: what has come of the block. One function for all connections, which are many. */
export type TooLong = (beginning: string, limits: Http1Limits) => Http1Error

export class BlockCollector {
  readonly #limit: number
  readonly #limits: Http1Limits
  readonly #tooLong: TooLong
  #pending: Buffer | undefined = undefined
  #used = 0
  /** After `take` returned text: the offset in the chunk of the first byte after the block. */
  end = 0

  /** `limit`: of its bytes. `tooLong` makes the error of one that is not over after so many. */
  constructor(limit: number, limits: Http1Limits, tooLong: TooLong) {
    this.#limit = limit
    this.#limits = limits
    this.#tooLong = tooLong
  }

  /** No byte of a block has been taken yet. */
  get empty(): boolean {
    return this.#used === 0
  }

  /**
   * The text of the block with its empty line, or undefined when more bytes are needed. A line
   * that ends with LF alone is known to be wrong before the block is complete: then the text up
   * to that LF is returned at once, and reading it finds the first thing wrong in it. So what is
   * found does not depend on how the bytes were split. Throws Http1Error at the limit.
   */
  take(chunk: Buffer, from: number): string | undefined {
    return this.#pending === undefined
      ? this.#takeFirst(chunk, from)
      : this.#takeMore(this.#pending, chunk, from)
  }

  reset(): void {
    this.#pending = undefined
    this.#used = 0
  }

  #takeFirst(chunk: Buffer, from: number): string | undefined {
    const stop = Math.min(chunk.length, from + this.#limit)
    const found = chunk.indexOf(emptyLine, from)
    if (found !== -1 && found + 4 <= stop) {
      this.end = found + 4
      return chunk.toString("latin1", from, this.end)
    }
    const bare = bareLineEnd(chunk, from, from, stop)
    if (bare !== -1) {
      this.end = bare
      return chunk.toString("latin1", from, bare)
    }
    if (stop === from + this.#limit)
      throw this.#tooLong(chunk.toString("latin1", from, stop), this.#limits)
    const length = stop - from
    this.#pending = Buffer.allocUnsafeSlow(
      Math.min(this.#limit, Math.max(firstCapacity, 2 * length))
    )
    chunk.copy(this.#pending, 0, from, stop)
    this.#used = length
    return undefined
  }

  #takeMore(pending: Buffer, chunk: Buffer, from: number): string | undefined {
    const before = this.#used
    const used = Math.min(this.#limit, before + chunk.length - from)
    let bytes = pending
    if (used > bytes.length) {
      bytes = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(2 * bytes.length, used)))
      pending.copy(bytes, 0, 0, before)
      this.#pending = bytes
    }
    chunk.copy(bytes, before, from, from + used - before)
    this.#used = used
    const seen = bytes.subarray(0, used)
    const found = seen.indexOf(emptyLine, Math.max(0, before - 3))
    const end = found === -1 ? bareLineEnd(seen, 0, before, used) : found + 4
    if (end !== -1) {
      this.end = from + end - before
      this.reset()
      return seen.toString("latin1", 0, end)
    }
    if (used === this.#limit) throw this.#tooLong(seen.toString("latin1"), this.#limits)
    return undefined
  }
}

export const headTooLong = (limit: number): Http1Error =>
  new Http1Error("head_bytes", `the head is longer than ${limit} bytes`)

/** The offset after the first LF in `from…to` that has no CR before it; -1 for none. */
const bareLineEnd = (bytes: Buffer, start: number, from: number, to: number): number => {
  for (let at = bytes.indexOf(LF, from); at !== -1 && at < to; at = bytes.indexOf(LF, at + 1)) {
    if (at === start || bytes[at - 1] !== CR) return at + 1
  }
  return -1
}

/** The text of a block that was received as one, e.g. from a peer; throws for one that is too long or has no end. */
export const blockText = (bytes: Buffer, limits: Http1Limits, from = 0): string => {
  if (bytes.length - from > limits.headBytes) {
    throw new Http1Error(
      "head_bytes",
      `a head of ${bytes.length - from} bytes is over the limit of ${limits.headBytes}`
    )
  }
  const text = bytes.toString("latin1", from)
  if (!text.endsWith("\r\n\r\n")) {
    throw new Http1Error("incomplete", "a head received as a block has no empty line at its end")
  }
  return text
}
