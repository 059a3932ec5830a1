/** What travels by gossip. A message is what it says: the same bytes from two nodes are one message. */
export type Topic = 0 | 1
export const catalogueTopic: Topic = 0
export const membershipTopic: Topic = 1

export class Message {
  readonly topic: Topic
  readonly bytes: Uint8Array
  readonly size: number
  readonly madeAt: number
  /** One bit for each node. */
  readonly #seen: Uint8Array
  /** Since `madeAt`, ms, when the first copy that is on its way is there, by node; beyond any time where none is. */
  #coming: Float32Array | undefined

  constructor(topic: Topic, bytes: Uint8Array, size: number, madeAt: number, nodes: number) {
    this.topic = topic
    this.bytes = bytes
    this.size = size
    this.madeAt = madeAt
    this.#seen = new Uint8Array((nodes + 7) >> 3)
  }

  isSeen(index: number): boolean {
    return (this.#seen[index >> 3]! & (1 << (index & 7))) !== 0
  }

  see(index: number): void {
    this.#seen[index >> 3]! |= 1 << (index & 7)
  }

  forget(index: number): void {
    this.#seen[index >> 3]! &= ~(1 << (index & 7))
    if (this.#coming !== undefined) this.#coming[index] = Number.POSITIVE_INFINITY
  }

  /** Is another copy there by then? If not, this one is noted as the first. */
  isThereBy(index: number, arrival: number): boolean {
    this.#coming ??= new Float32Array(8 * this.#seen.length).fill(Number.POSITIVE_INFINITY)
    const after = arrival - this.madeAt
    if (this.#coming[index]! <= after) return true
    this.#coming[index] = after
    return false
  }

  /** It is no longer on its way anywhere, as far as is to be known. */
  settle(): void {
    this.#coming = undefined
  }
}
