/**
 * The bounded queue before an actor. What happens at the bound is declared, not discovered:
 *
 * - `reject`: `offer` answers false and the sender decides. For senders that can wait or retry.
 * - `drop-newest`: the message is let go. For news that will be told again.
 * - `drop-oldest`: the oldest waiting message makes room. For news where the latest counts.
 *
 * Whatever was let go is counted.
 */
export type Overflow = "reject" | "drop-newest" | "drop-oldest"

export class Mailbox<Message> {
  readonly capacity: number
  readonly overflow: Overflow
  readonly #ring: Array<Message | undefined>
  #head = 0
  #size = 0
  #dropped = 0
  #waiter: (() => void) | undefined

  constructor(capacity: number, overflow: Overflow) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`a mailbox holds at least one message, not ${capacity}`)
    }
    this.capacity = capacity
    this.overflow = overflow
    this.#ring = []
  }

  get size(): number {
    return this.#size
  }

  /** Messages refused or let go since the start. */
  get dropped(): number {
    return this.#dropped
  }

  /** True when the message waits in the box now. */
  offer(message: Message): boolean {
    if (this.#size === this.capacity) {
      this.#dropped++
      if (this.overflow !== "drop-oldest") return false
      this.take()
    }
    // The ring grows as it is first filled, so a large bound costs nothing while unused.
    this.#ring[(this.#head + this.#size) % this.capacity] = message
    this.#size++
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.()
    return true
  }

  take(): Message | undefined {
    if (this.#size === 0) return undefined
    const message = this.#ring[this.#head]
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) % this.capacity
    this.#size--
    return message
  }

  /** Calls back once, at the next offer. There is one waiter: the actor's loop. */
  onNext(waiter: () => void): void {
    this.#waiter = waiter
  }

  /** The loop no longer waits. */
  forget(): void {
    this.#waiter = undefined
  }
}
