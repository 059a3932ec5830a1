/** A message that has come to its actor: waits, is handled, and is over once. */
import type { Exit, Fiber } from "effect"
import type { ActorAddress } from "./ActorAddress.ts"
import { type CallChain, longerChain, newChainId } from "./CallChain.ts"
import { isKeyed, type Message, type Refusal } from "./Message.ts"

/** Hears how it ends: one of these, once. */
export interface DeliveryCounts {
  cancelled: number
  readonly answered: (at: number, exit: Exit.Exit<unknown, unknown>) => void
  readonly refused: (refusal: Refusal) => void
}

export class Delivery {
  readonly message: Message
  /** When it came, in milliseconds of the host's clock. */
  readonly at: number
  /** Whoever sent it has gone, or has been answered. */
  over = false
  #handler: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** Whose save the answer waits for. */
  exit: Parameters<Message["replies"]["exit"]>[0] | undefined

  readonly #counts: DeliveryCounts
  /** Of the chain that it belongs to; undefined: none, for it has not made its actor wait for another one. */
  chainId: string | undefined

  constructor(message: Message, at: number, counts: DeliveryCounts) {
    this.message = message
    this.at = at
    this.#counts = counts
    this.chainId = message.chain?.id
  }

  /** Of what its actor sends while it handles this. */
  chainFrom(actor: ActorAddress): CallChain {
    this.chainId ??= newChainId()
    return longerChain(this.chainId, this.message.chain, actor)
  }

  accept(): void {
    if (!this.over) this.message.replies.accepted?.()
  }

  /** Its handler may have done something. */
  get hasBegun(): boolean {
    return this.#handler !== undefined
  }

  begun(handler: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.#handler = handler
  }

  /**
   * Nobody waits for it any more. What has begun is interrupted, and what it changed by then is saved. Not so
   * with a key: who sends it again would have it done twice, so it goes on, and the answer is kept.
   */
  cancel(): void {
    if (this.over) return
    this.over = true
    this.#counts.cancelled++
    if (!isKeyed(this.message)) this.stop()
  }

  /** Its handler ends as soon as it can. */
  stop(): void {
    this.#handler?.unsafeInterruptAsFork(this.#handler.id())
  }

  answer(exit: Parameters<Message["replies"]["exit"]>[0]): void {
    if (this.over) return
    this.over = true
    this.#counts.answered(this.at, exit)
    this.message.replies.exit(exit)
  }

  refuse(refusal: Refusal): void {
    if (this.over) return
    this.over = true
    this.#counts.refused(refusal)
    this.message.replies.refuse(refusal)
  }
}
