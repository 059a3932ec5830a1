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
  }
}
