/** What travels by gossip. A message is what it says: the same bytes from two nodes are one message. */
export type Topic = 0 | 1
export const catalogueTopic: Topic = 0
export const membershipTopic: Topic = 1

/**
 * Which messages nodes have seen, a row of bits for each node in the order of the messages: who tells what it
 * had asks for hundreds of one node at once.
 */
export class SeenMessages {
  readonly #rows: Array<Uint8Array>
  #made = 0

  constructor(nodes: number) {
    this.#rows = Array.from({ length: nodes }, () => new Uint8Array(64))
  }

  get nodes(): number {
    return this.#rows.length
  }

  /** The number of the next message. */
  next(): number {
    return this.#made++
  }

  has(index: number, number: number): boolean {
    const row = this.#rows[index]!
    const at = number >> 3
    return at < row.length && (row[at]! & (1 << (number & 7))) !== 0
  }

  add(index: number, number: number): void {
    let row = this.#rows[index]!
    const at = number >> 3
    if (at >= row.length) {
      const grown = new Uint8Array(Math.max(2 * row.length, at + 1))
      grown.set(row)
      this.#rows[index] = grown
      row = grown
    }
    row[at]! |= 1 << (number & 7)
  }

  remove(index: number, number: number): void {
    const row = this.#rows[index]!
    const at = number >> 3
    if (at < row.length) row[at]! &= ~(1 << (number & 7))
  }
}

export class Message {
  readonly topic: Topic
  readonly bytes: Uint8Array
  readonly size: number
  readonly madeAt: number
  readonly #number: number
  readonly #seen: SeenMessages
  /** Since `madeAt`, ms, when the first copy that is on its way is there, by node; beyond any time where none is. */
  #coming: Float32Array | undefined

  constructor(topic: Topic, bytes: Uint8Array, size: number, madeAt: number, seen: SeenMessages) {
    this.topic = topic
    this.bytes = bytes
    this.size = size
    this.madeAt = madeAt
    this.#seen = seen
    this.#number = seen.next()
  }

  isSeen(index: number): boolean {
    return this.#seen.has(index, this.#number)
  }

  see(index: number): void {
    this.#seen.add(index, this.#number)
  }

  forget(index: number): void {
    this.#seen.remove(index, this.#number)
    if (this.#coming !== undefined) this.#coming[index] = Number.POSITIVE_INFINITY
  }

  /** Is it seen there, or is another copy there by then? If not, this one is noted as the first. */
  isKnownBy(index: number, arrival: number): boolean {
    const after = arrival - this.madeAt
    // Of four in five that is all there is to look at.
    if (this.#coming !== undefined && this.#coming[index]! <= after) return true
    if (this.isSeen(index)) return true
    this.#coming ??= new Float32Array(this.#seen.nodes).fill(Number.POSITIVE_INFINITY)
    this.#coming[index] = after
    return false
  }

  /** It is no longer on its way anywhere, as far as is to be known. */
  settle(): void {
    this.#coming = undefined
  }
}
