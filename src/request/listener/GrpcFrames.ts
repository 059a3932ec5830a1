/** Where in the messages of gRPC a body is: each is a flag, four bytes of length, and so many bytes. */

const prefixLength = 5

export class GrpcFrames {
  /** Bytes of the prefix that have come, and of the length they say. */
  #prefix = 0
  #length = 0
  /** Of the message that has begun: bytes still to come. */
  #left = 0

  /** What comes next begins a message. */
  get between(): boolean {
    return this.#prefix === 0 && this.#left === 0
  }

  feed(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at)
        this.#left -= taken
        at += taken
        continue
      }
      if (this.#prefix > 0) this.#length = this.#length * 256 + chunk[at]!
      at++
      if (++this.#prefix < prefixLength) continue
      this.#left = this.#length
      this.#prefix = 0
      this.#length = 0
    }
  }
}
