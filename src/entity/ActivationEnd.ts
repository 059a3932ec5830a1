/**
 * How an actor goes from its host, since its shard goes elsewhere: it finishes what it has begun, and what it was
 * told, saves what it has changed, hands its state over where its next host has another store, and is gone.
 */
import type { ActivationHost, ActivationPhase, LivingActor } from "./ActivationHost.ts"
import type { ActivationSaves } from "./ActivationSaves.ts"
import type { ActivationWork } from "./ActivationWork.ts"

/** Who goes. */
export interface EndingActor extends LivingActor {
  readonly phase: ActivationPhase
  /** Messages that wait. */
  readonly waiting: number
  /** What waits is handled, as far as may be. */
  readonly pump: () => void
  readonly refuseWaiting: () => void
  /** Its life ends as it should; what has come meanwhile begins another. */
  readonly close: () => void
  readonly gone: () => void
}

/**
 * Milliseconds for which a shard that is wanted elsewhere is held up by what its actors were told: who wants
 * it waits for 10 seconds (`releasePatience`).
 */
const toldPatience = 5_000

export class ActivationEnd {
  readonly #actor: EndingActor
  readonly #host: ActivationHost
  readonly #work: ActivationWork
  readonly #saves: ActivationSaves
  #isBegun = false
  #isHanded = false

  constructor(
    actor: EndingActor,
    host: ActivationHost,
    { saves, work }: { readonly saves: ActivationSaves; readonly work: ActivationWork }
  ) {
    this.#actor = actor
    this.#host = host
    this.#work = work
    this.#saves = saves
  }

  get isBegun(): boolean {
    return this.#isBegun
  }

  /** What else waits is told where to go: nobody would send again what it was told. */
  begin(): void {
    const actor = this.#actor
    this.#isBegun = true
    this.#work.refuseWaiting(
      () => this.#host.moved(actor.address.shardId),
      ({ message, over }) => message.told === true && !over
    )
    if (actor.waiting > 0) this.#host.after(toldPatience, () => this.#giveUpWaiting())
    actor.pump()
    this.look()
  }

  /** It has no right to run any more, and finishes nothing that has not begun. */
  beginAtOnce(): void {
    this.#isBegun = true
  }

  /** Those that asked for the shard have waited for long enough. */
  #giveUpWaiting(): void {
    if (this.#actor.phase === "gone") return
    this.#actor.refuseWaiting()
    this.look()
  }

  /** Goes when it is to go, and nothing is left to be done first. */
  look(): void {
    if (!this.#isBegun || this.#work.running.length > 0 || this.#saves.open) return
    const actor = this.#actor
    const { memory, phase } = actor
    const isOut = phase === "failed" || phase === "resting"
    // What it was told is handled first, unless it has crashed on it.
    if (actor.waiting > 0 && !isOut) return
    if (isOut) actor.gone()
    else if (phase !== "ready") return
    // What it has changed outside of messages.
    else if (memory?.dirty === true) this.#saves.save()
    else if (this.#host.gives && memory?.mayHand === true && !this.#isHanded) {
      this.#isHanded = true
      memory.hand()
      this.#saves.save()
    } else actor.close()
  }
}
