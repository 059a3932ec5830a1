/**
 * Data that comes on a connection: what its window still takes and what is granted anew (RFC 9113 §6.9), and
 * the pieces of one read for one stream, which are handed on as one chunk.
 */
import { lend } from "../../model/Loan.ts"
import { windowFrame } from "./ControlFrames.ts"
import { Http2Error } from "./Http2Error.ts"
import type { Http2Stream } from "./Http2Stream.ts"

export interface IntakeOptions {
  /** Bytes that the peer may send before more is granted. */
  readonly window: number
  /** To be written. */
  readonly answer: (frame: Buffer) => void
  /** What has come for a stream; the stream may have been closed meanwhile. */
  readonly deliver: (stream: Http2Stream, chunk: Buffer) => void
}

export class DataIntake {
  readonly #options: IntakeOptions
  #left: number
  /** Of all that came, what is not granted anew yet. */
  #passed = 0
  /** Data that came in this read for one stream. */
  #stream: Http2Stream | undefined = undefined
  #pieces: Array<Buffer> = []

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#left = options.window
  }

  /** So much of the window has come. */
  spend(bytes: number): void {
    this.#left -= bytes
    if (this.#left < 0) throw new Http2Error("h2_window", "data beyond the connection's window")
  }

  /** So much of it was taken, or is nobody's. */
  grant(bytes: number): void {
    this.#passed += bytes
    if (this.#passed < this.#options.window / 4) return
    this.#options.answer(windowFrame(0, this.#passed))
    this.#left += this.#passed
    this.#passed = 0
  }

  /** `part` is of use until the read at hand is over: `handOn` comes before that. */
  gather(stream: Http2Stream, part: Buffer): void {
    if (this.#stream !== stream) this.handOn()
    this.#stream = stream
    this.#pieces.push(part)
  }

  /** What was gathered goes to its stream: something else has come, or the read is over. */
  handOn(): void {
    const stream = this.#stream
    if (stream === undefined) return
    const pieces = this.#pieces
    this.#stream = undefined
    this.#pieces = []
    const chunk = pieces.length === 1 ? Buffer.from(pieces[0]!) : Buffer.concat(pieces)
    lend(chunk)
    this.#options.deliver(stream, chunk)
  }

  /** Nobody wants it any more. */
  clear(): void {
    this.#stream = undefined
    this.#pieces = []
  }
}
