/**
 * The saves of one actor in memory: what has been handled and waits for one, and who else does. There is one
 * save at a time in a life; what ends meanwhile has the next one. An answer leaves after its save, so nobody
 * has seen what could still be lost.
 */
import { Cause, Exit } from "effect"
import type { ActivationHost } from "./ActivationHost.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import type { ActorMemory } from "./ActorMemory.ts"
import type { Delivery } from "./Delivery.ts"

/** Told why it could not be saved, if it could not. */
export type SaveWaiter = (failure: ActorUnavailable | undefined) => void

/** Whose saves they are. */
export interface SavedActor {
  readonly address: ActorAddress
  /** Of its life now; another life has another one. */
  readonly memory: ActorMemory | undefined
  /** `isSaved`: by a save that was not fenced, so it was true then. */
  readonly done: (delivery: Delivery, exit: Exit.Exit<unknown, unknown>, isSaved?: boolean) => void
  /** What is in the memory of this life is not what is in the store. */
  readonly crash: (cause: Cause.Cause<unknown>) => void
  readonly fenced: () => void
  /** A save has ended, and its answers are given. */
  readonly settled: () => void
}

/** What waits for a save that will not come. */
export interface Unsaved {
  readonly deliveries: ReadonlyArray<Delivery>
  readonly waiters: ReadonlyArray<SaveWaiter>
}

export class ActivationSaves {
  readonly #actor: SavedActor
  readonly #host: Pick<ActivationHost, "fork">
  /** Handled, and waiting for the next save. */
  #deliveries: Array<Delivery> = noDeliveries
  #waiters: Array<SaveWaiter> = noWaiters
  /** A save of this life is under way. */
  #saving = false
  /** Saves of lives that have ended, and are not answered yet. */
  #late = 0

  constructor(actor: SavedActor, host: Pick<ActivationHost, "fork">) {
    this.#actor = actor
    this.#host = host
  }

  /** A save of this life is under way. */
  get saving(): boolean {
    return this.#saving
  }

  /** A save is under way, of this life or of one that has ended. */
  get open(): boolean {
    return this.#saving || this.#late > 0
  }

  get waiting(): ReadonlyArray<Delivery> {
    return this.#deliveries
  }

  /** It has been handled, and is answered when what it has changed is saved. */
  add(delivery: Delivery, exit: Exit.Exit<unknown, unknown>): void {
    delivery.exit = exit
    if (this.#deliveries.length === 0) this.#deliveries = [delivery]
    else this.#deliveries.push(delivery)
    if (!this.#saving) this.save()
  }

  /** Saves what there is in a life's memory, and calls back. What a life that has ended changes is not saved. */
  saved(memory: ActorMemory, then: SaveWaiter): void {
    if (memory !== this.#actor.memory || memory.forgotten) {
      then(memory.forgotten || memory.dirty ? this.notSaved() : undefined)
      return
    }
    if (!memory.dirty && !this.#saving) {
      then(undefined)
      return
    }
    if (this.#waiters.length === 0) this.#waiters = [then]
    else this.#waiters.push(then)
    if (!this.#saving) this.save()
  }

  /** One save for all that has ended by now. */
  save(): void {
    const actor = this.#actor
    const { memory } = actor
    const unsaved = this.#take()
    if (memory === undefined || !memory.dirty) {
      const failure = memory?.forgotten === true ? this.notSaved() : undefined
      for (const then of unsaved.waiters) then(failure)
      for (const delivery of unsaved.deliveries) actor.done(delivery, delivery.exit!)
      return
    }
    this.#saving = true
    this.#host.fork(memory.save, (exit) => {
      const isOver = actor.memory !== memory
      if (isOver) this.#late--
      else this.#saving = false
      if (Exit.isSuccess(exit)) this.#succeeded(unsaved)
      else this.#failed(unsaved, exit.cause, isOver)
      actor.settled()
    })
  }

  #succeeded({ deliveries, waiters }: Unsaved): void {
    for (const then of waiters) then(undefined)
    for (const delivery of deliveries) this.#actor.done(delivery, delivery.exit!, true)
    // Unless one of these answers has begun it.
    const mustSave = this.#deliveries.length > 0 || this.#waiters.length > 0
    if (mustSave && !this.#saving) this.save()
  }

  #failed(unsaved: Unsaved, cause: Cause.Cause<{ readonly _tag: string }>, isOver: boolean): void {
    // First: what is in memory is not what is in the store, so nothing more runs on it.
    if (!isOver) this.#actor.crash(cause)
    this.refuse(unsaved, cause)
    const failure = Cause.failureOption(cause)
    const isFenced = failure._tag === "Some" && failure.value._tag === "Fenced"
    if (!isOver && isFenced) this.#actor.fenced()
  }

  /** Its life ends: what has waited for a save is handed out, and one that is under way is waited for. */
  forget(): Unsaved {
    if (this.#saving) this.#late++
    this.#saving = false
    return this.#take()
  }

  refuse({ deliveries, waiters }: Unsaved, cause: Cause.Cause<unknown>): void {
    const failure = Cause.failureOption(cause)
    for (const delivery of deliveries) {
      delivery.refuse(this.notSaved(cause))
      const exit = failure._tag === "None" ? delivery.exit! : Exit.fail(failure.value)
      this.#actor.done(delivery, exit)
    }
    for (const then of waiters) then(this.notSaved(cause))
  }

  notSaved(cause?: Cause.Cause<unknown>): ActorUnavailable {
    const why = cause === undefined ? "" : `: ${messageOf(cause)}`
    return ActorUnavailable.of("not_saved", this.#actor.address, `could not be saved${why}`, {
      sent: true,
      ...(cause === undefined ? {} : { cause: Cause.squash(cause) })
    })
  }

  #take(): Unsaved {
    const unsaved = { deliveries: this.#deliveries, waiters: this.#waiters }
    this.#deliveries = noDeliveries
    this.#waiters = noWaiters
    return unsaved
  }
}

/** Shared by all that have none: they are never pushed to. */
const noDeliveries: Array<Delivery> = []
const noWaiters: Array<SaveWaiter> = []

export const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}
