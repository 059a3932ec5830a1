/**
 * For which name a client of TLS asks: the SNI of its first message (RFC 8446 §4.1.2, RFC 6066 §3). Nothing
 * else of it is looked at, and nothing is answered; it goes on as it came.
 */

export type HelloReading =
  | { readonly kind: "hello"; readonly serverName: string | undefined }
  /** Too little has come to tell. */
  | { readonly kind: "more" }
  | { readonly kind: "other" }

const more: HelloReading = { kind: "more" }
const other: HelloReading = { kind: "other" }
/** It is TLS, and names nobody. */
const nameless: HelloReading = { kind: "hello", serverName: undefined }

const handshakeRecord = 22
const clientHello = 1
const serverNameExtension = 0
const hostName = 0

/** `bytes`: what a connection begins with. */
export const readClientHello = (bytes: Uint8Array): HelloReading => {
  const [type, major, minor] = bytes
  if (type !== handshakeRecord) return other
  if (major !== undefined && major !== 3) return other
  if (minor !== undefined && minor > 4) return other
  const content: Array<number> = []
  let at = 0
  while (at + 5 <= bytes.length) {
    const length = (bytes[at + 3]! << 8) | bytes[at + 4]!
    if (bytes[at] !== handshakeRecord || length === 0) return at === 0 ? other : nameless
    const end = at + 5 + length
    for (const byte of bytes.subarray(at + 5, end)) content.push(byte)
    if (content.length > 0 && content[0] !== clientHello) return other
    const hello = wholeHello(Uint8Array.from(content))
    if (hello !== undefined) return { kind: "hello", serverName: serverNameOf(hello) }
    at = end
  }
  return more
}

/** Its body without the message's type and length. */
const wholeHello = (content: Uint8Array): Uint8Array | undefined => {
  if (content.length < 4) return undefined
  const length = (content[1]! << 16) | (content[2]! << 8) | content[3]!
  return content.length < 4 + length ? undefined : content.subarray(4, 4 + length)
}

/** Walks what has lengths before it. What does not fit names nobody: the program will say so. */
class Walk {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isOver(): boolean {
    return this.#at >= this.#bytes.length
  }

  number(width: number): number {
    let value = 0
    for (const byte of this.take(width)) value = (value << 8) | byte
    return value
  }

  take(count: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + count)
    this.#at += count
    return taken.length === count ? taken : new Uint8Array(count)
  }

  /** What a length of so many bytes stands before. */
  vector(width: number): Uint8Array {
    return this.take(Math.min(this.number(width), this.#bytes.length))
  }
}

const serverNameOf = (hello: Uint8Array): string | undefined => {
  const walk = new Walk(hello)
  walk.take(2 + 32) // version, random
  walk.vector(1) // session id
  walk.vector(2) // cipher suites
  walk.vector(1) // compression
  const extensions = new Walk(walk.vector(2))
  while (!extensions.isOver) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type !== serverNameExtension || content.length === 0) continue
    const names = new Walk(new Walk(content).vector(2))
    const kind = names.number(1)
    const name = Buffer.from(names.vector(2)).toString("latin1")
    return kind === hostName && /^[!-~]{1,253}$/.test(name) ? name : undefined
  }
  return undefined
}
