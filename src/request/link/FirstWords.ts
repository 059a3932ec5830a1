/**
 * What whoever dials says before a handshake (multistream-select): a greeting, and proposals until one is ours. It
 * is heard here, and the mesh thread gets those alone that ask for a handshake: a stranger that says
 * something else, or nothing more, or greets for ever, costs that thread nothing. Pure: bytes in, an answer out.
 */
import { busyStatus, declined, greeting, proposals } from "../../model/HandshakeWords.ts"

/** Proposals of others that are declined: later versions may have their own to make first. */
const mostDeclined = 4

/** A length that takes one byte; no proposal of anybody's needs more. */
const longest = 127

const [slash, lineFeed] = [0x2f, 0x0a]

const none = Buffer.alloc(0)

/** What it has come to: a handshake is asked for, or will never be. */
export type Asks = "handshake" | "nothing"

export interface Heard {
  /** To be said now. */
  readonly reply: Buffer
  /** Undefined: more is to come. */
  readonly asks: Asks | undefined
}

export class FirstWords {
  /** What came and was not answered yet, as it came. It may be the reader's memory until `take` is called again. */
  unanswered: Buffer = none
  #declined = 0
  #asks: Asks | undefined
  /** The proposal that is taken. */
  #proposed = none
  /** Of `unanswered`, how much is a greeting that was understood. */
  #greeted = 0

  /** `bytes` are looked at until the handshake is asked for, and copied where more has to come. */
  take(bytes: Buffer): Heard {
    if (this.#asks === undefined) {
      this.unanswered =
        this.unanswered.length === 0 ? bytes : Buffer.concat([this.unanswered, bytes])
    }
    const reply = this.#hear()
    if (this.#asks === "nothing") this.unanswered = none
    else if (this.#asks === undefined) this.unanswered = Buffer.from(this.unanswered)
    return { reply, asks: this.#asks }
  }

  /** All that is to be said to who asked for a handshake and is to come back in so many ms. */
  busy(retryAfter: number): Buffer {
    const said = this.unanswered.subarray(0, this.#greeted)
    return Buffer.concat([said, this.#proposed, busyStatus(retryAfter)])
  }

  #hear(): Buffer {
    const replies: Array<Buffer> = []
    while (this.#asks === undefined) {
      const words = this.#nextLine()
      if (words === undefined) break
      if (!this.#isGreeted) {
        if (words.equals(greeting)) this.#greeted = words.length
        else this.#asks = "nothing"
      } else if (proposals.some((proposal) => words.equals(proposal))) {
        this.#asks = "handshake"
        this.#proposed = Buffer.from(words)
      } else if (isProposal(words) && this.#declined < mostDeclined) {
        this.#declined++
        replies.push(this.unanswered.subarray(0, this.#greeted), declined)
        this.unanswered = this.unanswered.subarray(this.#greeted + words.length)
        this.#greeted = 0
      } else {
        this.#asks = "nothing"
      }
    }
    return replies.length === 0 ? none : Buffer.concat(replies)
  }

  get #isGreeted(): boolean {
    return this.#greeted > 0 || this.#declined > 0
  }

  /** Undefined: not all of it has come, or it never will. */
  #nextLine(): Buffer | undefined {
    const length = this.unanswered[this.#greeted]
    if (length === undefined) return undefined
    if (length === 0 || length > longest) {
      this.#asks = "nothing"
      return undefined
    }
    const end = this.#greeted + 1 + length
    return this.unanswered.length < end ? undefined : this.unanswered.subarray(this.#greeted, end)
  }
}

/** Of a protocol by its path, and not the greeting again, or a question (`ls`). */
const isProposal = (words: Buffer): boolean =>
  words[1] === slash && words[words.length - 1] === lineFeed && !words.equals(greeting)
