/**
 * Bodies of `application/grpc-web-text`: base64 in pieces, each of which may be padded where it ends. Read
 * strictly: what one reader would skip, another would not.
 */

const quad = 4
const text = /^[A-Za-z0-9+/]*={0,2}$/

/** Reads in whole groups of four characters, whatever the chunks are. */
export class Base64Reader {
  /** Of a group that has begun. */
  #rest = ""

  /** Nothing is missing of what has come. */
  get whole(): boolean {
    return this.#rest === ""
  }

  /** Undefined: it is no base64. */
  read(chunk: Uint8Array): Buffer | undefined {
    const all =
      this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1")
    const end = all.length - (all.length % quad)
    this.#rest = all.slice(end)
    const parts: Array<Buffer> = []
    for (let at = 0; at < end; ) {
      // A piece ends with the group that is padded.
      const pad = all.indexOf("=", at)
      const to = pad === -1 || pad >= end ? end : pad - (pad % quad) + quad
      const piece = all.slice(at, to)
      if (!text.test(piece)) return undefined
      parts.push(Buffer.from(piece, "base64"))
      at = to
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts)
  }
}

/** One piece: padded, so that nothing of it waits for what comes next. */
export const base64Of = (chunk: Uint8Array): Buffer =>
  Buffer.from(
    Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("base64"),
    "latin1"
  )
