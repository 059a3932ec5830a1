/**
 * One actor while it is in memory. It is begun by its first message, handles one at a time (or as many as
 * the type allows), and costs no fiber, no timer and no queue while it has nothing to do.
 *
 *     starting ─► ready ─► closing ─► gone            idle, or its shard has moved
 *        ▲          │ crash
 *        └─ resting ◄┘                                 the next life begins from what was saved last
 *
 * A turn ends in one save: state, idempotency key, reminders. The answer leaves after it, so nobody has seen
 * what could still be lost.
 */
import { Cause, type Effect, Exit } from "effect"
import { Mailbox } from "../mesh/actor/Mailbox.ts"
import {
  decideRestart,
  noRestarts,
  type RestartHistory,
  type RestartPolicy
} from "../mesh/actor/RestartPolicy.ts"
import { type ActorAddress, formatAddress } from "./ActorAddress.ts"
import { ActorUnavailable, MailboxFull } from "./ActorError.ts"
import type { ActorMemory } from "./ActorMemory.ts"
import type { LastError } from "./ActorStats.ts"
import type { Delivery } from "./Delivery.ts"
import { isKeyed, type Moved } from "./Message.ts"

/** What an actor's life is made of, once it has begun. */
export interface ActorLife {
  /** Puts the message to its handler, and calls back with what that came to; maybe at once. */
  readonly handle: (delivery: Delivery, then: HandledThen) => void
  readonly close: Effect.Effect<void>
}

export type HandledThen = (exit: Exit.Exit<unknown, unknown>) => void

/** What all actors of a type have in common. */
export interface ActivationHost {
  readonly concurrency: number
  readonly mailbox: number
  readonly restarts: RestartPolicy
  /** Loads what was saved, and has the program build its handlers. */
  readonly begin: (activation: Activation) => Effect.Effect<ActorLife>
  readonly fork: <A, E>(effect: Effect.Effect<A, E>, then: (exit: Exit.Exit<A, E>) => void) => void
  readonly after: (millis: number, then: () => void) => void
  /** Milliseconds. */
  readonly now: () => number
  /** In [0, 1). */
  readonly random: () => number
  readonly moved: (shard: number) => Moved
  /** Nothing is begun in a shard while that is not certain to be this host's. */
  readonly mayBegin: (shard: number) => boolean
  /** Is what was read there still true? */
  readonly mayAnswer: (shard: number) => boolean
  /** It has crashed, and begins again after so many milliseconds. */
  readonly crashed: (activation: Activation, cause: Cause.Cause<unknown>, next: CrashNews) => void
  /** Its saves are refused: another host has its shard. */
  readonly fenced: (activation: Activation) => void
  /** Nothing is left of it in memory. */
  readonly gone: (activation: Activation) => void
}

export interface CrashNews {
  readonly kind: "escalate" | "restart"
  readonly delay: number
}

/** Told why it could not be saved, if it could not. */
export type SaveWaiter = (failure: ActorUnavailable | undefined) => void

export type ActivationPhase = "closing" | "failed" | "gone" | "ready" | "resting" | "starting"

export class Activation {
  readonly address: ActorAddress
  /** What it keeps, and has to save. Undefined: nothing. */
  memory: ActorMemory | undefined
  /** When it last had something to do. */
  usedAt: number
  /** Stays in memory when idle. */
  kept = false
  /** Messages that it has handled since it came into memory. */
  handled = 0
  /** On what it has crashed last, since then. */
  lastError: LastError | undefined
  readonly #host: ActivationHost
  #phase: ActivationPhase = "starting"
  #life: ActorLife | undefined
  /** None while nothing has ever had to wait. */
  #box: Mailbox<Delivery> | undefined
  #running: Array<Delivery> = none
  /** Handled, and waiting for the next save. */
  #unsaved: Array<Delivery> = none
  #waiters: Array<SaveWaiter> = nobody
  /** A save of this life is under way. */
  #saving = false
  /** Saves of lives that have ended, and are not answered yet. */
  #late = 0
  #pumping = false
  #leaving = false
  #startedAt: number
  #history: RestartHistory | undefined

  constructor(address: ActorAddress, host: ActivationHost) {
    this.address = address
    this.#host = host
    this.usedAt = host.now()
    this.#startedAt = this.usedAt
    this.#begin()
  }

  get phase(): ActivationPhase {
    return this.#phase
  }

  get waiting(): number {
    return this.#box?.size ?? 0
  }

  get running(): number {
    return this.#running.length
  }

  /** When its life began, or begins. */
  get since(): number {
    return this.#startedAt
  }

  /** Has nothing to do, and nothing to be ended first. */
  get idle(): boolean {
    return this.#phase === "ready" && this.#running.length === 0 && this.waiting === 0
  }

  deliver(delivery: Delivery): void {
    if (this.#phase === "gone" || this.#leaving) {
      delivery.refuse(this.#host.moved(this.address.shardId))
      return
    }
    if (this.#phase === "failed") {
      delivery.refuse(ActorUnavailable.of("failed", this.address, "has crashed too often in a row"))
      return
    }
    const { concurrency, mailbox } = this.#host
    const isFree = this.#phase === "ready" && this.#running.length < concurrency
    if (isFree && this.waiting === 0 && !this.#pumping) {
      delivery.accept()
      this.#handle(delivery)
      return
    }
    this.#box ??= new Mailbox<Delivery>(mailbox, "reject")
    if (this.#box.offer(delivery)) {
      delivery.accept()
      this.#pump()
    } else delivery.refuse(MailboxFull.of(this.address, mailbox))
  }

  /** Idle for long enough: out of memory. What comes meanwhile begins it anew. */
  passivate(): void {
    if (!this.idle || this.#saving) return
    const { memory } = this
    if (memory?.dirty !== true) this.#close()
    else this.saved(memory, (failure) => failure === undefined && this.passivate())
  }

  /** Its shard goes elsewhere: it finishes what it has begun; what waits is told where to go. */
  leave(): void {
    if (this.#leaving || this.#phase === "gone") return
    this.#leaving = true
    this.#refuseWaiting()
    this.#leaveWhenDone()
  }

  /** It has no right to run any more: what it has begun ends as well, and saves nothing. */
  abandon(): void {
    // First: leaving saves what there is.
    this.memory?.forget()
    this.leave()
    for (const delivery of [...this.#running, ...this.#unsaved]) {
      delivery.refuse(
        ActorUnavailable.of("not_leased", this.address, "was stopped before it had saved", {
          sent: true
        })
      )
      delivery.stop()
    }
  }

  /**
   * Saves what there is in a life's memory. For what changes outside of messages, or must not wait for their
   * end. What a life that has ended still changes is not saved, and it is told so.
   */
  saved(memory: ActorMemory, then: SaveWaiter): void {
    if (memory !== this.memory || memory.forgotten) {
      then(memory.forgotten || memory.dirty ? this.#notSaved(undefined) : undefined)
      return
    }
    if (!memory.dirty && !this.#saving) {
      then(undefined)
      return
    }
    if (this.#waiters.length === 0) this.#waiters = [then]
    else this.#waiters.push(then)
    if (!this.#saving) this.#save()
  }

  #begin(): void {
    this.#phase = "starting"
    this.#startedAt = this.#host.now()
    this.#host.fork(this.#host.begin(this), (exit) => {
      if (Exit.isFailure(exit)) {
        this.#crash(exit.cause)
        return
      }
      this.#life = exit.value
      this.#phase = "ready"
      this.#pump()
      this.#leaveWhenDone()
    })
  }

  #pump(): void {
    // What ends at once comes back here from within the loop.
    if (this.#pumping) return
    this.#pumping = true
    const { concurrency } = this.#host
    while (this.#phase === "ready" && this.#running.length < concurrency) {
      const delivery = this.#box?.take()
      if (delivery === undefined) break
      if (delivery.over) continue
      // Where it is sent again it waits for the right to run the shard, or finds who has it.
      if (this.#host.mayBegin(this.address.shardId)) this.#handle(delivery)
      else delivery.refuse(this.#host.moved(this.address.shardId))
    }
    this.#pumping = false
  }

  #handle(delivery: Delivery): void {
    const life = this.#life!
    if (this.#running.length === 0) this.#running = [delivery]
    else this.#running.push(delivery)
    life.handle(delivery, (exit) => {
      // Of a life that has ended meanwhile: what it has changed is nowhere.
      if (this.#life !== life) {
        if (Exit.isSuccess(exit)) delivery.refuse(this.#notSaved(undefined))
        this.#done(delivery, exit)
        return
      }
      if (Exit.isFailure(exit) && this.#breaks(delivery, exit.cause)) {
        // First: the life that broke handles nothing more.
        this.#crash(exit.cause)
        this.#done(delivery, exit)
        return
      }
      const mustSave = this.memory?.ends(delivery.message, exit) === true
      if (!mustSave && !this.#saving) {
        this.#done(delivery, exit)
        return
      }
      delivery.exit = exit
      if (this.#unsaved.length === 0) this.#unsaved = [delivery]
      else this.#unsaved.push(delivery)
      if (!this.#saving) this.#save()
    })
  }

  /** Half a message is not saved where it has a key: it will be sent again. */
  #breaks({ message }: Delivery, cause: Cause.Cause<unknown>): boolean {
    const isHalf = Cause.isInterrupted(cause) && this.memory?.forgotten !== true
    return isDefect(cause) || (isHalf && isKeyed(message))
  }

  /** One save for all that has ended by now; what ends meanwhile has the next one. */
  #save(): void {
    const { memory } = this
    const deliveries = this.#unsaved
    const waiters = this.#waiters
    this.#unsaved = none
    this.#waiters = nobody
    if (memory === undefined || !memory.dirty) {
      const failure = memory?.forgotten === true ? this.#notSaved(undefined) : undefined
      for (const then of waiters) then(failure)
      this.#answerAll(deliveries, false)
      return
    }
    this.#saving = true
    this.#host.fork(memory.save, (exit) => {
      const isOver = this.memory !== memory
      if (isOver) this.#late--
      else this.#saving = false
      if (Exit.isSuccess(exit)) {
        for (const then of waiters) then(undefined)
        this.#answerAll(deliveries, true)
        // Unless one of these answers has begun it.
        const mustSave = this.#unsaved.length > 0 || this.#waiters.length > 0
        if (mustSave && !this.#saving) this.#save()
        this.#leaveWhenDone()
        return
      }
      const { cause } = exit
      // First: what is in memory is not what is in the store, so nothing more runs on it.
      if (!isOver) this.#crash(cause)
      this.#refuseUnsaved(deliveries, waiters, cause)
      if (!isOver && failureOf(cause)?._tag === "Fenced") this.#host.fenced(this)
      this.#leaveWhenDone()
    })
  }

  #notSaved(cause: Cause.Cause<unknown> | undefined): ActorUnavailable {
    const why = cause === undefined ? "" : `: ${messageOf(cause)}`
    return ActorUnavailable.of("not_saved", this.address, `could not be saved${why}`, {
      sent: true,
      ...(cause === undefined ? {} : { cause: Cause.squash(cause) })
    })
  }

  #answerAll(deliveries: ReadonlyArray<Delivery>, isSaved: boolean): void {
    for (const delivery of deliveries) this.#done(delivery, delivery.exit!, isSaved)
  }

  #refuseUnsaved(
    deliveries: ReadonlyArray<Delivery>,
    waiters: ReadonlyArray<SaveWaiter>,
    cause: Cause.Cause<unknown>
  ): void {
    const failure = failureOf(cause)
    for (const delivery of deliveries) {
      delivery.refuse(this.#notSaved(cause))
      this.#done(delivery, failure === undefined ? delivery.exit! : Exit.fail(failure))
    }
    for (const then of waiters) then(this.#notSaved(cause))
  }

  /** `isSaved`: by a save that was not fenced, so it was true then. */
  #done(delivery: Delivery, exit: Exit.Exit<unknown, unknown>, isSaved = false): void {
    const index = this.#running.indexOf(delivery)
    if (index !== -1) this.#running.splice(index, 1)
    if (this.#running.length === 0) this.#running = none
    this.usedAt = this.#host.now()
    this.handled++
    // What was interrupted, and not by who sent it, is no answer.
    if (Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)) {
      delivery.refuse(
        ActorUnavailable.of("stopped", this.address, "was interrupted", { sent: true })
      )
    } else if (isSaved || this.#host.mayAnswer(this.address.shardId)) delivery.answer(exit)
    else {
      const what = "has lost its shard's lease before it had answered"
      delivery.refuse(ActorUnavailable.of("not_leased", this.address, what, { sent: true }))
    }
    this.#pump()
    this.#leaveWhenDone()
  }

  #crash(cause: Cause.Cause<unknown>): void {
    if (this.#phase === "gone") return
    const life = this.#life
    const unsaved = this.#unsaved
    const waiters = this.#waiters
    this.#forget()
    this.#phase = "closing"
    for (const delivery of this.#running) delivery.stop()
    const host = this.#host
    const { restarts } = host
    const history = this.#history ?? noRestarts
    const decision = decideRestart(restarts, history, this.#startedAt, host.now(), host.random())
    this.#history = decision.history
    host.crashed(this, cause, decision)
    const next = (): void => {
      if (this.#phase === "gone") return
      this.#phase = "resting"
      if (this.#leaving) {
        this.#leaveWhenDone()
        return
      }
      const isFailed = decision.kind === "escalate"
      if (isFailed) {
        this.#phase = "failed"
        this.#refuseWaiting()
      }
      host.after(isFailed ? restarts.max : decision.delay, () => {
        if (this.#phase === "gone") return
        if (this.#leaving || isFailed) this.#gone()
        else this.#begin()
      })
    }
    if (life === undefined) next()
    else host.fork(life.close, next)
    this.#refuseUnsaved(unsaved, waiters, cause)
  }

  /** A life ends with all that is its own. */
  #forget(): void {
    this.memory?.forget()
    this.memory = undefined
    this.#life = undefined
    this.#unsaved = none
    this.#waiters = nobody
    if (this.#saving) this.#late++
    this.#saving = false
  }

  #close(): void {
    const life = this.#life
    this.#life = undefined
    this.memory = undefined
    this.#phase = "closing"
    const next = (): void => {
      if (this.#leaving || this.waiting === 0) this.#gone()
      else this.#begin()
    }
    if (life === undefined) next()
    else this.#host.fork(life.close, next)
  }

  #leaveWhenDone(): void {
    if (!this.#leaving || this.#running.length > 0 || this.#saving || this.#late > 0) return
    if (this.#phase === "failed" || this.#phase === "resting") this.#gone()
    else if (this.#phase !== "ready") return
    else if (this.memory?.dirty !== true) this.#close()
    // What it has changed outside of messages.
    else this.#save()
  }

  #gone(): void {
    if (this.#phase === "gone") return
    this.#phase = "gone"
    this.#refuseWaiting()
    this.#host.gone(this)
  }

  #refuseWaiting(): void {
    const box = this.#box
    if (box === undefined) return
    this.#box = undefined
    const refusal =
      this.#phase === "failed"
        ? ActorUnavailable.of("failed", this.address, "has crashed too often in a row")
        : this.#host.moved(this.address.shardId)
    for (let next = box.take(); next !== undefined; next = box.take()) next.refuse(refusal)
  }
}

/** Shared by all that have none: it is never pushed to. */
const none: Array<Delivery> = []
const nobody: Array<SaveWaiter> = []

const isDefect = (cause: Cause.Cause<unknown>): boolean =>
  Cause.isDie(cause) && !Cause.isInterrupted(cause)

const failureOf = <E>(cause: Cause.Cause<E>): E | undefined => {
  const failure = Cause.failureOption(cause)
  return failure._tag === "Some" ? failure.value : undefined
}

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

export const crashText = (activation: Activation, cause: Cause.Cause<unknown>): string =>
  `the actor ${formatAddress(activation.address)} has crashed: ${messageOf(cause)}`
