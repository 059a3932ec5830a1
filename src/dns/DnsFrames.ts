/** Messages on a TCP connection: each behind its length in two bytes (RFC 1035, 4.2.2). */

export const framed = (message: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(message.length + 2)
  bytes[0] = message.length >>> 8
  bytes[1] = message.length & 255
  bytes.set(message, 2)
  return bytes
}

export class DnsFrames {
  readonly #limit: number
  #held: Uint8Array = new Uint8Array(0)

  /** `limit`: bytes of a message. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** The messages that are whole now; undefined: one is longer than the limit. */
  push(chunk: Uint8Array): ReadonlyArray<Uint8Array> | undefined {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const messages: Array<Uint8Array> = []
    let at = 0
    while (bytes.length - at >= 2) {
      const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
      if (length > this.#limit) return undefined
      if (bytes.length - at - 2 < length) break
      messages.push(bytes.subarray(at + 2, at + 2 + length))
      at += 2 + length
    }
    this.#held = Uint8Array.from(bytes.subarray(at))
    return messages
  }
}
