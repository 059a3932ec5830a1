/**
 * One actor while it is in memory. It is begun by its first message, handles one at a time (or as many as
 * the type allows), and costs no fiber, no timer and no queue while it has nothing to do.
 *
 *     starting ─► ready ─► closing ─► gone            idle, or its shard has moved
 *        ▲          │ crash
 *        └─ resting ◄┘                                 the next life begins from what was saved last
 *
 * A turn ends in one save (ActivationSaves.ts): state, idempotency key, reminders.
 */
import { Cause, Exit } from "effect"
import { beginEnd, type EndingActor, type EndingParts, endWhenDone } from "./ActivationEnd.ts"
import type { ActivationHost, ActivationPhase, LivingActor, StoppedBy } from "./ActivationHost.ts"
import { ActivationLives } from "./ActivationLives.ts"
import { ActivationSaves, type SaveWaiter } from "./ActivationSaves.ts"
import { ActivationWork } from "./ActivationWork.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import { ActorUnavailable, MailboxFull } from "./ActorError.ts"
import type { ActorMemory } from "./ActorMemory.ts"
import type { LastError } from "./ActorStats.ts"
import type { Delivery } from "./Delivery.ts"
import type { Moved } from "./Message.ts"
import { breaksLife, giveAnswer } from "./TurnEnd.ts"

export class Activation implements EndingActor {
  readonly address: ActorAddress
  memory: ActorMemory | undefined
  /** When it last had something to do. */
  usedAt: number
  kept = false
  children: LivingActor["children"]
  /** Messages that it has handled since it came into memory. */
  handled = 0
  /** On what it has crashed last, since then. */
  lastError: LastError | undefined
  readonly #host: ActivationHost
  readonly #work: ActivationWork
  /** None before it first has something to save. */
  #saves: ActivationSaves | undefined
  /** One begins while it is `starting`, and there is one while it is `ready`. */
  readonly #lives: ActivationLives
  #phase: ActivationPhase = "starting"
  #leaving = false
  handsOver = false

  constructor(address: ActorAddress, host: ActivationHost) {
    this.address = address
    this.#host = host
    this.#work = new ActivationWork(host)
    this.#lives = new ActivationLives(this, host)
    this.usedAt = this.#lives.since
    this.#begin()
  }

  get phase(): ActivationPhase {
    return this.#phase
  }

  get leaving(): boolean {
    return this.#leaving
  }

  get waiting(): number {
    return this.#work.waiting
  }

  get running(): number {
    return this.#work.running.length
  }

  /** When its life began, or begins. */
  get since(): number {
    return this.#lives.since
  }

  /** Has nothing to do, and nothing to be ended first. */
  get idle(): boolean {
    if (!this.ready || this.#work.running.length > 0 || this.waiting > 0) return false
    for (const child of this.children?.values() ?? []) if (!child.idle) return false
    return true
  }

  deliver(delivery: Delivery): void {
    const isLetIn = this.ready && this.#work.letsIn(delivery, this.#host.reentrant)
    if (!isLetIn && (this.#phase === "gone" || this.leaving)) delivery.refuse(this.#moved())
    else if (!isLetIn && this.#phase === "failed") delivery.refuse(this.#lives.failure)
    else if (isLetIn ? !this.#work.crowded : this.ready && this.#work.free) {
      delivery.accept()
      this.#handle(delivery)
    } else if (!isLetIn && this.#work.offer(delivery)) {
      delivery.accept()
      this.pump()
      this.#work.closed(delivery, this.address)
    } else delivery.refuse(MailboxFull.of(this.address, this.#host.mailbox))
  }

  /** Idle for long enough: out of memory. What comes meanwhile begins it anew. */
  passivate(): void {
    if (!this.idle || this.#saving) return
    const { memory } = this
    if (memory?.dirty !== true) this.close()
    else this.saved(memory, (failure) => failure === undefined && this.passivate())
  }

  /** Its shard goes elsewhere. */
  leave(): void {
    if (this.#leaving || this.#phase === "gone") return
    this.#leaving = true
    beginEnd(this, this.#parts)
  }

  /** It has no right to run any more: what it has begun ends as well, and saves nothing. */
  abandon(why: StoppedBy = "not_leased"): void {
    if (this.#phase === "gone") return
    // First: leaving saves what there is.
    this.memory?.forget()
    this.#leaving = true
    // They run by its right. What memory has forgotten begins none anew.
    for (const child of this.children?.values() ?? []) child.abandonAll(why)
    this.refuseWaiting()
    const what = "was stopped before it had saved"
    const refusal = ActorUnavailable.of(why, this.address, what, { sent: true })
    if (this.#lives.begins) {
      this.#forget(Cause.fail(refusal))(() => {
        this.#phase = "resting"
        this.settled()
      })
    }
    this.settled()
    for (const delivery of [...this.#work.running, ...(this.#saves?.waiting ?? [])]) {
      delivery.refuse(refusal)
      delivery.stop()
    }
  }

  /** For what changes outside of messages, or must not wait for their end. A life that has ended is told that it is not saved. */
  saved(memory: ActorMemory, then: SaveWaiter): void {
    this.#allSaves.saved(memory, then)
  }

  #begin(): void {
    this.#phase = "starting"
    this.#lives.begin((exit) => {
      if (Exit.isFailure(exit)) {
        this.#crash(exit.cause)
        return
      }
      this.#phase = "ready"
      this.#host.started(this)
      this.pump()
      this.settled()
    })
  }

  pump(): void {
    this.#work.pump(this)
  }

  get ready(): boolean {
    return this.#phase === "ready"
  }

  take(delivery: Delivery): void {
    const { shardId } = this.address
    // What it was told is finished like what it has begun.
    const may = this.leaving ? this.#host.mayAnswer(shardId) : this.#host.mayBegin(shardId)
    // Where it is sent again it waits for the right to run the shard, or finds who has it.
    if (may) this.#handle(delivery)
    else delivery.refuse(this.#moved())
  }

  #handle(delivery: Delivery): void {
    const life = this.#lives.current!
    this.#work.begin(delivery)
    life.handle(delivery, (exit) => {
      // Of a life that has ended meanwhile: what it has changed is nowhere.
      if (this.#lives.current !== life) {
        if (Exit.isSuccess(exit)) delivery.refuse(this.#allSaves.notSaved())
        this.done(delivery, exit)
        return
      }
      if (Exit.isFailure(exit) && breaksLife(delivery, exit.cause, this.memory)) {
        // First: the life that broke handles nothing more.
        this.crash(exit.cause)
        this.done(delivery, exit)
        return
      }
      const mustSave = this.memory?.ends(delivery.message, exit) === true
      if (mustSave || this.#saving) this.#allSaves.add(delivery, exit)
      else this.done(delivery, exit)
    })
  }

  // ── What its saves ask for, and its end ─────────────────────────────────────────────────────

  done(delivery: Delivery, exit: Exit.Exit<unknown, unknown>, isSaved = false): void {
    this.#work.end(delivery)
    this.usedAt = this.#host.now()
    this.handled++
    const { address } = this
    giveAnswer(delivery, exit, address, isSaved || this.#host.mayAnswer(address.shardId))
    this.pump()
    this.settled()
  }

  crash(cause: Cause.Cause<unknown>): void {
    // There is a life to be ended, or one that begins.
    if (this.ready || this.#lives.begins) this.#crash(cause)
  }

  #crash(cause: Cause.Cause<unknown>): void {
    const host = this.#host
    const isKept = this.leaving && host.gives && this.memory?.mayHand === true
    const close = this.#forget(cause)
    const decision = this.#lives.decide(cause)
    host.crashed(this, cause, decision)
    if (isKept) host.notGiven(this)
    close(() => {
      if (this.#phase === "gone") return
      this.#phase = "resting"
      if (this.leaving) {
        this.settled()
        return
      }
      const isFailed = decision.kind !== "restart"
      if (isFailed) {
        this.#phase = "failed"
        this.refuseWaiting()
      }
      host.after(isFailed ? host.restarts.max : decision.delay, () => {
        if (this.#phase === "gone") return
        if (this.leaving || isFailed) this.gone()
        else this.#begin()
      })
    })
  }

  /**
   * A life ends with all that is its own, or does not begin: nothing more is handled or saved in it. Returns
   * how to close it, which calls back when nothing is left of it.
   */
  #forget(cause: Cause.Cause<unknown>): (then: () => void) => void {
    this.memory?.forget()
    this.memory = undefined
    const close = this.#lives.drop()
    const saves = this.#saves
    const unsaved = saves?.forget()
    this.#phase = "closing"
    for (const delivery of this.#work.running) delivery.stop()
    return (then) => {
      close(cause, then)
      if (unsaved !== undefined) saves?.refuse(unsaved, cause)
    }
  }

  fenced(): void {
    this.#host.fenced(this)
  }

  /** Goes when it is to go, and nothing is left to be done first. */
  settled(): void {
    if (this.#leaving) endWhenDone(this, this.#parts)
  }

  get #parts(): EndingParts {
    return { host: this.#host, work: this.#work, saves: this.#allSaves }
  }

  get #allSaves(): ActivationSaves {
    this.#saves ??= new ActivationSaves(this, this.#host)
    return this.#saves
  }

  get #saving(): boolean {
    return this.#saves?.saving === true
  }

  close(): void {
    const handed = this.leaving ? this.memory?.handed : undefined
    if (handed !== undefined) this.#host.give(this, handed)
    this.memory = undefined
    this.#phase = "closing"
    this.#lives.end(() => {
      if (this.waiting === 0) this.gone()
      else this.#begin()
    })
  }

  gone(): void {
    if (this.#phase === "gone") return
    this.#phase = "gone"
    this.refuseWaiting()
    this.#host.gone(this)
  }

  refuseWaiting(): void {
    const isFailed = this.#phase === "failed"
    this.#work.refuseWaiting(() => (isFailed ? this.#lives.failure : this.#moved()))
  }

  #moved(): Moved {
    return this.#host.moved(this.address.shardId)
  }
}
