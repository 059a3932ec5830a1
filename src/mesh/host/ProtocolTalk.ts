/**
 * What a peer says on a stream before it is agreed what the stream is for (multistream-select): a greeting, and
 * a proposal or a few. libp2p answers for as long as somebody goes on, a few µs and an answer for every 20 bytes; this
 * says when that is no honest peer any more. Pure: bytes in, a verdict out.
 */

/** As libp2p writes it. */
const greeting = "/multistream/1.0.0\n"

/** The greeting, and what versions may propose before they come to what both know. */
const mostLines = 16
/** Of a line; what is longer has a longer length, and is no protocol's name. */
const longest = 127

/** `agreed`: what follows is the protocol's. */
export type Talk = "goes on" | "agreed" | "no honest peer's"

export class ProtocolTalk {
  readonly #speaks: (protocol: string) => boolean
  #said = Buffer.alloc(0)
  #lines = 0
  #talk: Talk = "goes on"

  /** `speaks`: whether this node takes a proposal. */
  constructor(speaks: (protocol: string) => boolean) {
    this.#speaks = speaks
  }

  take(bytes: Uint8Array): Talk {
    if (this.#talk !== "goes on") return this.#talk
    this.#said = Buffer.concat([this.#said, bytes])
    let at = 0
    while (at < this.#said.length && this.#talk === "goes on") {
      const length = this.#said[at]!
      const end = at + 1 + length
      if (length === 0 || length > longest || this.#lines === mostLines) {
        this.#talk = "no honest peer's"
      } else if (end > this.#said.length) break
      else {
        this.#lines++
        const line = this.#said.toString("latin1", at + 1, end)
        if (this.#lines === 1 && line !== greeting) this.#talk = "no honest peer's"
        else if (this.#lines > 1 && this.#speaks(line.slice(0, -1))) this.#talk = "agreed"
        at = end
      }
    }
    this.#said = this.#said.subarray(at, at + (this.#talk === "goes on" ? 1 + longest : 0))
    return this.#talk
  }
}
