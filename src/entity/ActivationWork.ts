/** The messages of one actor in memory: those that wait for it, and those that it is handling. */
import { Mailbox } from "../mesh/actor/Mailbox.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import { cycleOf, isReentrant } from "./CallChain.ts"
import type { Delivery } from "./Delivery.ts"
import type { Refusal } from "./Message.ts"

/** Whose messages they are. */
export interface WorkingActor {
  readonly ready: boolean
  /** The next one that has waited, and is to be handled now. */
  readonly take: (delivery: Delivery) => void
}

/** How many messages an actor of its type handles at a time, and how many may wait. */
export interface WorkBounds {
  readonly concurrency: number
  readonly mailbox: number
}

export class ActivationWork {
  readonly #bounds: WorkBounds
  /** None while nothing has ever had to wait. */
  #box: Mailbox<Delivery> | undefined
  #running: Array<Delivery> = nothing
  #pumping = false

  constructor(bounds: WorkBounds) {
    this.#bounds = bounds
  }

  get waiting(): number {
    return this.#box?.size ?? 0
  }

  get running(): ReadonlyArray<Delivery> {
    return this.#running
  }

  /** The next message may be handled at once. */
  get free(): boolean {
    return this.#running.length < this.#bounds.concurrency && this.waiting === 0 && !this.#pumping
  }

  /** As many are handled as may be, and as many more as may wait: those were let in past what waits. */
  get crowded(): boolean {
    const { concurrency, mailbox } = this.#bounds
    return this.#running.length >= concurrency + mailbox
  }

  /** False: as many wait as may. */
  offer(delivery: Delivery): boolean {
    this.#box ??= new Mailbox<Delivery>(this.#bounds.mailbox, "reject")
    return this.#box.offer(delivery)
  }

  /** What is handled waits for that one, and it may be let in: it says so, or they all may (`reentrant`). */
  letsIn({ message: { chain, rpc } }: Delivery, reentrant: boolean): boolean {
    if (chain === undefined || !this.#running.some((one) => one.waitsFor(chain))) return false
    return reentrant || isReentrant(rpc)
  }

  /** It has come to wait: for what waits for it, if that is among those that are handled. */
  closed(delivery: Delivery, address: ActorAddress): void {
    const { chain } = delivery.message
    if (chain === undefined || delivery.over || delivery.hasBegun) return
    const circle = cycleOf(chain, address)
    if (circle === undefined) return
    for (const running of this.#running) {
      if (running.waitsFor(chain)) running.foundCircle(circle, delivery)
    }
  }

  begin(delivery: Delivery): void {
    if (this.#running.length === 0) this.#running = [delivery]
    else this.#running.push(delivery)
  }

  end(delivery: Delivery): void {
    const index = this.#running.indexOf(delivery)
    if (index !== -1) this.#running.splice(index, 1)
    if (this.#running.length === 0) this.#running = nothing
  }

  /** Gives out what waits, as long as there is room for it and the actor is ready. */
  pump(actor: WorkingActor): void {
    // What ends at once comes back here from within the loop.
    if (this.#pumping) return
    this.#pumping = true
    while (actor.ready && this.#running.length < this.#bounds.concurrency) {
      const delivery = this.#box?.take()
      if (delivery === undefined) break
      if (!delivery.over) actor.take(delivery)
    }
    this.#pumping = false
  }

  /** `keep`: except for those. */
  refuseWaiting(refusal: () => Refusal, keep: (delivery: Delivery) => boolean = none): void {
    const box = this.#box
    if (box === undefined) return
    this.#box = undefined
    for (let next = box.take(); next !== undefined; next = box.take()) {
      if (!keep(next)) next.refuse(refusal())
      else this.offer(next)
    }
  }
}

/** Shared by all that have none: it is never pushed to. */
const nothing: Array<Delivery> = []
const none = (): boolean => false
