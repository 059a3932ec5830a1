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
import { decideRestart, noRestarts, type RestartHistory } from "../mesh/actor/RestartPolicy.ts"
import type { ActivationHost, Life, LivingActor, StoppedBy } from "./ActivationHost.ts"
import { ActivationSaves, messageOf, type SaveWaiter } from "./ActivationSaves.ts"
import { ActivationWork } from "./ActivationWork.ts"
import { type ActorAddress, formatAddress } from "./ActorAddress.ts"
import { ActorUnavailable, MailboxFull } from "./ActorError.ts"
import type { ActorMemory } from "./ActorMemory.ts"
import type { LastError } from "./ActorStats.ts"
import { isReentrant } from "./CallChain.ts"
import type { Delivery } from "./Delivery.ts"
import { LifeStart } from "./LifeStart.ts"
import { isKeyed } from "./Message.ts"

export type ActivationPhase = "closing" | "failed" | "gone" | "ready" | "resting" | "starting"

export class Activation implements LivingActor {
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
  readonly #saves: ActivationSaves
  #phase: ActivationPhase = "starting"
  /** While it is `starting`. */
  #start: LifeStart | undefined
  /** While it is `ready`. */
  #life: Life | undefined
  #leaving = false
  #isHanded = false
  #startedAt: number
  #history: RestartHistory | undefined

  constructor(address: ActorAddress, host: ActivationHost) {
    this.address = address
    this.#host = host
    this.#work = new ActivationWork(host.concurrency, host.mailbox)
    this.#saves = new ActivationSaves(this, host)
    this.usedAt = host.now()
    this.#startedAt = this.usedAt
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
    return this.#startedAt
  }

  /** Has nothing to do, and nothing to be ended first. */
  get idle(): boolean {
    if (!this.ready || this.#work.running.length > 0 || this.waiting > 0) return false
    for (const child of this.children?.values() ?? []) if (!child.idle) return false
    return true
  }

  deliver(delivery: Delivery): void {
    if (this.#isAwaited(delivery)) {
      if (this.#work.crowded) {
        delivery.refuse(MailboxFull.of(this.address, this.#host.mailbox))
        return
      }
      delivery.accept()
      this.#handle(delivery)
      return
    }
    if (this.#phase === "gone" || this.#leaving) {
      delivery.refuse(this.#host.moved(this.address.shardId))
      return
    }
    if (this.#phase === "failed") {
      delivery.refuse(this.#failed())
      return
    }
    if (this.ready && this.#work.free) {
      delivery.accept()
      this.#handle(delivery)
    } else if (this.#work.offer(delivery)) {
      delivery.accept()
      this.#pump()
      this.#work.closed(delivery, this.address)
    } else delivery.refuse(MailboxFull.of(this.address, this.#host.mailbox))
  }

  /** What it is handling waits for that one, which may be let in. */
  #isAwaited({ message: { chain, rpc } }: Delivery): boolean {
    if (chain === undefined || !this.ready || !this.#work.waitsFor(chain)) return false
    return this.#host.reentrant || isReentrant(rpc)
  }

  /** Idle for long enough: out of memory. What comes meanwhile begins it anew. */
  passivate(): void {
    if (!this.idle || this.#saves.saving) return
    const { memory } = this
    if (memory?.dirty !== true) this.#close()
    else this.saved(memory, (failure) => failure === undefined && this.passivate())
  }

  /**
   * Its shard goes elsewhere: it finishes what it has begun, and what it was told, for nobody would send that
   * again; what else waits is told where to go.
   */
  leave(): void {
    if (this.#leaving || this.#phase === "gone") return
    this.#leaving = true
    this.#work.refuseWaiting(
      () => this.#host.moved(this.address.shardId),
      ({ message, over }) => message.told === true && !over
    )
    if (this.waiting > 0) this.#host.after(toldPatience, () => this.#giveUpWaiting())
    this.#pump()
    this.settled()
  }

  /** Those that asked for the shard have waited for long enough. */
  #giveUpWaiting(): void {
    if (this.#phase === "gone") return
    this.#refuseWaiting()
    this.settled()
  }

  /** It has no right to run any more: what it has begun ends as well, and saves nothing. */
  abandon(why: StoppedBy = "not_leased"): void {
    if (this.#phase === "gone") return
    // First: leaving saves what there is.
    this.memory?.forget()
    this.#leaving = true
    // They run by its right. What memory has forgotten begins none anew.
    for (const child of this.children?.values() ?? []) child.abandonAll(why)
    this.#refuseWaiting()
    const what = "was stopped before it had saved"
    const refusal = ActorUnavailable.of(why, this.address, what, { sent: true })
    if (this.#start !== undefined) {
      this.#forget(Cause.fail(refusal))(() => {
        this.#phase = "resting"
        this.settled()
      })
    }
    this.settled()
    for (const delivery of [...this.#work.running, ...this.#saves.waiting]) {
      delivery.refuse(refusal)
      delivery.stop()
    }
  }

  /**
   * Saves what there is in a life's memory. For what changes outside of messages, or must not wait for their
   * end. What a life that has ended still changes is not saved, and it is told so.
   */
  saved(memory: ActorMemory, then: SaveWaiter): void {
    this.#saves.saved(memory, then)
  }

  #begin(): void {
    this.#phase = "starting"
    this.#startedAt = this.#host.now()
    const start = new LifeStart(this.#host)
    this.#start = start
    start.begin(this, (exit) => {
      this.#start = undefined
      if (Exit.isFailure(exit)) {
        this.#crash(exit.cause)
        return
      }
      this.#life = exit.value
      this.#phase = "ready"
      this.#host.started(this)
      this.#pump()
      this.settled()
    })
  }

  #pump(): void {
    this.#work.pump(this)
  }

  get ready(): boolean {
    return this.#phase === "ready"
  }

  take(delivery: Delivery): void {
    const { shardId } = this.address
    // What it was told is finished like what it has begun.
    const may = this.#leaving ? this.#host.mayAnswer(shardId) : this.#host.mayBegin(shardId)
    // Where it is sent again it waits for the right to run the shard, or finds who has it.
    if (may) this.#handle(delivery)
    else delivery.refuse(this.#host.moved(shardId))
  }

  #handle(delivery: Delivery): void {
    const life = this.#life!
    this.#work.begin(delivery)
    life.handle(delivery, (exit) => {
      // Of a life that has ended meanwhile: what it has changed is nowhere.
      if (this.#life !== life) {
        if (Exit.isSuccess(exit)) delivery.refuse(this.#saves.notSaved())
        this.done(delivery, exit)
        return
      }
      if (Exit.isFailure(exit) && this.#breaks(delivery, exit.cause)) {
        // First: the life that broke handles nothing more.
        this.crash(exit.cause)
        this.done(delivery, exit)
        return
      }
      const mustSave = this.memory?.ends(delivery.message, exit) === true
      if (mustSave || this.#saves.saving) this.#saves.add(delivery, exit)
      else this.done(delivery, exit)
    })
  }

  /** Half a message is not saved where it has a key: it will be sent again. */
  #breaks({ message }: Delivery, cause: Cause.Cause<unknown>): boolean {
    const isHalf = Cause.isInterrupted(cause) && this.memory?.forgotten !== true
    return isDefect(cause) || (isHalf && isKeyed(message))
  }

  // ── What its saves ask for ──────────────────────────────────────────────────────────────────

  done(delivery: Delivery, exit: Exit.Exit<unknown, unknown>, isSaved = false): void {
    this.#work.end(delivery)
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
    this.settled()
  }

  crash(cause: Cause.Cause<unknown>): void {
    // There is a life to be ended, or one that begins.
    if (this.ready || this.#start !== undefined) this.#crash(cause)
  }

  #crash(cause: Cause.Cause<unknown>): void {
    const host = this.#host
    const isKept = this.#leaving && host.gives && this.memory?.mayHand === true
    const close = this.#forget(cause)
    const { restarts } = host
    const history = this.#history ?? noRestarts
    const decision = decideRestart(restarts, history, this.#startedAt, host.now(), host.random())
    this.#history = decision.history
    host.crashed(this, cause, decision)
    if (isKept) host.notGiven(this)
    const next = (): void => {
      if (this.#phase === "gone") return
      this.#phase = "resting"
      if (this.#leaving) {
        this.settled()
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
    close(next)
  }

  /**
   * A life ends with all that is its own, or does not begin: nothing more is handled or saved in it. Returns
   * how to close it, which calls back when nothing is left of it.
   */
  #forget(cause: Cause.Cause<unknown>): (then: () => void) => void {
    const [life, start] = [this.#life, this.#start]
    this.memory?.forget()
    this.memory = undefined
    this.#life = undefined
    this.#start = undefined
    const unsaved = this.#saves.forget()
    this.#phase = "closing"
    for (const delivery of this.#work.running) delivery.stop()
    return (then) => {
      if (life !== undefined) this.#host.fork(life.close(Exit.failCause(cause)), then)
      else if (start !== undefined) start.end(cause, then)
      else then()
      this.#saves.refuse(unsaved, cause)
    }
  }

  fenced(): void {
    this.#host.fenced(this)
  }

  /** Goes when it is to go, and nothing is left to be done first. */
  settled(): void {
    if (!this.#leaving || this.#work.running.length > 0 || this.#saves.open) return
    // What it was told is handled first, unless it has crashed on it.
    if (this.waiting > 0 && this.#phase !== "failed" && this.#phase !== "resting") return
    if (this.#phase === "failed" || this.#phase === "resting") this.#gone()
    else if (!this.ready) return
    // What it has changed outside of messages.
    else if (this.memory?.dirty === true) this.#saves.save()
    else if (this.#host.gives && this.memory?.mayHand === true && !this.#isHanded) {
      this.#isHanded = true
      this.memory.hand()
      this.#saves.save()
    } else this.#close()
  }

  // ────────────────────────────────────────────────────────────────────────────────────────────

  #close(): void {
    const life = this.#life
    const handed = this.#leaving ? this.memory?.handed : undefined
    if (handed !== undefined) this.#host.give(this, handed)
    this.#life = undefined
    this.memory = undefined
    this.#phase = "closing"
    const next = (): void => {
      if (this.waiting === 0) this.#gone()
      else this.#begin()
    }
    if (life === undefined) next()
    else this.#host.fork(life.close(Exit.void), next)
  }

  #gone(): void {
    if (this.#phase === "gone") return
    this.#phase = "gone"
    this.#refuseWaiting()
    this.#host.gone(this)
  }

  #refuseWaiting(): void {
    const isFailed = this.#phase === "failed"
    this.#work.refuseWaiting(() =>
      isFailed ? this.#failed() : this.#host.moved(this.address.shardId)
    )
  }

  #failed(): ActorUnavailable {
    return ActorUnavailable.of("failed", this.address, "has crashed too often in a row")
  }
}

/**
 * Milliseconds for which a shard that is wanted elsewhere is held up by what its actors were told: who wants
 * it waits for 10 seconds (`releasePatience`).
 */
const toldPatience = 5_000

const isDefect = (cause: Cause.Cause<unknown>): boolean =>
  Cause.isDie(cause) && !Cause.isInterrupted(cause)

export const crashText = ({ address }: LivingActor, cause: Cause.Cause<unknown>): string =>
  `the actor ${formatAddress(address)} has crashed: ${messageOf(cause)}`
