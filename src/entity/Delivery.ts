/** A message that has come to its actor: waits, is handled, and is over once. */
import type { Exit, Fiber } from "effect"
import type { ActorAddress } from "./ActorAddress.ts"
import { type CallChain, longerChain, newCall, newChainId } from "./CallChain.ts"
import { isKeyed, type Message, type Refusal } from "./Message.ts"

/** A call that an actor waits for. */
export interface OpenCall {
  readonly chain: CallChain
  /** What it is handling meanwhile. */
  readonly delivery: Delivery
  /** It was answered, or given up. */
  readonly end: () => void
}

/** Hears how it ends: one of these, once. */
export interface DeliveryCounts {
  cancelled: number
  readonly answered: (at: number, exit: Exit.Exit<unknown, unknown>) => void
  readonly refused: (refusal: Refusal) => void
}

const nothing = (): void => undefined

export class Delivery {
  readonly message: Message
  /** When it came, in milliseconds of the host's clock. */
  readonly at: number
  /** Whoever sent it has gone, or has been answered. */
  over = false
  /** Whoever sent it wants no answer any more. */
  #isCancelled = false
  #handler: Fiber.RuntimeFiber<unknown, unknown> | undefined
  #waited = nothing
  /** Whose save the answer waits for. */
  exit: Parameters<Message["replies"]["exit"]>[0] | undefined

  readonly #counts: DeliveryCounts
  /** Of the chain that it belongs to; undefined: none, for it has not made its actor wait for another one. */
  #chainId: string | undefined
  /** Calls of its handler that are not answered; undefined: there never was one. */
  #calls: Set<number> | undefined
  /** Found at its actor, by a message that waits there, or told by another host. */
  #circle: { readonly text: string; readonly closedBy: Delivery | undefined } | undefined

  constructor(message: Message, at: number, counts: DeliveryCounts) {
    this.message = message
    this.at = at
    this.#counts = counts
    this.#chainId = message.chain?.id
  }

  /** Its actor calls another one while it handles this, and waits for the answer. */
  call(actor: ActorAddress): OpenCall {
    this.#chainId ??= newChainId()
    this.#calls ??= new Set()
    const [calls, call] = [this.#calls, newCall()]
    calls.add(call)
    return {
      chain: longerChain(this.#chainId, this.message.chain, actor, call),
      delivery: this,
      end: () => void calls.delete(call)
    }
  }

  /** One of its handler's calls waits for what this chain comes to. */
  waitsFor({ calls, id }: CallChain): boolean {
    const own = this.#calls
    if (own === undefined || own.size === 0 || this.#chainId !== id) return false
    return calls.some((call) => own.has(call))
  }

  /** What its handler waits for waits for itself, as far as is known. */
  get circle(): string | undefined {
    const { closedBy, text } = this.#circle ?? {}
    return closedBy !== undefined && (closedBy.over || closedBy.hasBegun) ? undefined : text
  }

  /** One of its handler's calls has come to wait in a circle: who waits for this one hears it. */
  foundCircle(text: string, closedBy?: Delivery): void {
    if (this.circle !== undefined) return
    this.#circle = { text, closedBy }
    if (!this.over) this.message.replies.circle?.(text)
    closedBy?.whenWaited(() => {
      // One that has waited to its deadline was in a circle to the end, whoever hears of that first.
      if (closedBy.hasBegun || closedBy.#isCancelled) this.lostCircle(closedBy)
    })
  }

  /** It waits in that circle no more, and who waits for this one hears that. */
  lostCircle(closedBy?: Delivery): void {
    if (this.#circle === undefined || this.#circle.closedBy !== closedBy) return
    this.#circle = undefined
    if (!this.over) this.message.replies.circle?.(undefined)
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
    this.#waited()
  }

  /** Calls back when it waits no longer: it is begun, or is over. To be asked while it waits. */
  whenWaited(then: () => void): void {
    const before = this.#waited
    this.#waited = () => {
      before()
      then()
    }
  }

  /**
   * Nobody waits for it any more. What has begun is interrupted, and what it changed by then is saved. Not so
   * with a key: who sends it again would have it done twice, so it goes on, and the answer is kept.
   */
  cancel(): void {
    if (this.over) return
    this.over = true
    this.#isCancelled = true
    this.#waited()
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
    this.#waited()
    this.#counts.answered(this.at, exit)
    this.message.replies.exit(exit)
  }

  refuse(refusal: Refusal): void {
    if (this.over) return
    this.over = true
    this.#waited()
    this.#counts.refused(refusal)
    this.message.replies.refuse(refusal)
  }
}
