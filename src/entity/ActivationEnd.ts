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
  /** Looks whether it is done. */
  readonly settled: () => void
  /** Its state is on its way to its next host. */
  handsOver: boolean
}

/**
 * Milliseconds for which a shard that is wanted elsewhere is held up by what its actors were told: who wants
 * it waits for 10 seconds (`releasePatience`).
 */
const toldPatience = 5_000

/** What it works with: no actor in memory has an object more for its end. */
export interface EndingParts {
  readonly host: ActivationHost
  readonly saves: ActivationSaves
  readonly work: ActivationWork
}

/** What else waits is told where to go: nobody would send again what it was told. */
export const beginEnd = (actor: EndingActor, { host, work }: EndingParts): void => {
  work.refuseWaiting(
    () => host.moved(actor.address.shardId),
    ({ message, over }) => message.told === true && !over
  )
  if (actor.waiting > 0) host.after(toldPatience, () => giveUpWaiting(actor))
  actor.pump()
  actor.settled()
}

/** Those that asked for the shard have waited for long enough. */
const giveUpWaiting = (actor: EndingActor): void => {
  if (actor.phase === "gone") return
  actor.refuseWaiting()
  actor.settled()
}

/** It is to go, and does when nothing is left to be done first. */
export const endWhenDone = (actor: EndingActor, { host, saves, work }: EndingParts): void => {
  if (work.running.length > 0 || saves.open) return
  const { memory, phase } = actor
  const isOut = phase === "failed" || phase === "resting"
  // What it was told is handled first, unless it has crashed on it.
  if (actor.waiting > 0 && !isOut) return
  if (isOut) actor.gone()
  else if (phase !== "ready") return
  // What it has changed outside of messages.
  else if (memory?.dirty === true) saves.save()
  else if (host.gives && memory?.mayHand === true && !actor.handsOver) {
    actor.handsOver = true
    memory.hand()
    saves.save()
  } else actor.close()
}
