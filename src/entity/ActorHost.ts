/**
 * The actors of one type on this host: those that are in memory, by shard, and how they come and go.
 * Whether a shard is this host's to run, its gate says.
 */
import { type Cause, Effect, Exit, type Fiber, Runtime } from "effect"
import { defaultRestartPolicy } from "../mesh/actor/RestartPolicy.ts"
import { Activation } from "./Activation.ts"
import type { ActivationHost, CrashNews, LivingActor, StoppedBy } from "./ActivationHost.ts"
import { crashText } from "./ActivationLives.ts"
import { type ActorAddress, addressOf, formatAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import { watchRpc } from "./ActorEvent.ts"
import { ActorLife, type ActorProgram, type LifeHost } from "./ActorLife.ts"
import { ActorStats } from "./ActorStats.ts"
import { ActorWatchers } from "./ActorWatchers.ts"
import { cycleOf, lateText, maxDepth } from "./CallChain.ts"
import { Delivery } from "./Delivery.ts"
import type { Handed } from "./HandedState.ts"
import type { Message, Moved, Refusal } from "./Message.ts"
import type { ShardGate } from "./ShardGate.ts"
import type { ActorStoreShape, ActorAddress as KeptAddress } from "./store/ActorStore.ts"

/** Milliseconds that a message is looked after where its sender has said nothing. */
export const defaultDeadline = 15_000

const uncounted = {
  cancelled: 0,
  answered: () => undefined,
  refused: () => undefined
}

const notEntered = (why: "no_store" | "not_leased", address: ActorAddress): ActorUnavailable =>
  why === "no_store"
    ? ActorUnavailable.of("no_store", address, "is on a host that does not reach the store")
    : ActorUnavailable.of("not_leased", address, "has waited in vain for its shard's lease")

export interface ActorHostOptions {
  readonly type: string
  readonly program: ActorProgram
  /** Messages that an actor handles at a time. */
  readonly concurrency: number
  /** They may be handled while the actor waits for what the same chain of messages comes to. */
  readonly reentrant: boolean
  /** Messages that may wait for an actor. */
  readonly mailbox: number
  /** Milliseconds without a message after which an actor leaves memory. */
  readonly idle: number
  readonly store: Pick<ActorStoreShape, "load" | "save">
  /** Of children: as whom their actor is in the store. Default: by its own address. */
  readonly keptAs?: KeptAddress | undefined
  /** Of children: they have crashed too often, and whose they are is to begin anew. */
  readonly onEscalate?: ((cause: Cause.Cause<unknown>) => void) | undefined
  readonly gate: ShardGate
  /** What the type's layer was built with. */
  readonly runtime: Runtime.Runtime<never>
}

export class ActorHost implements ActivationHost {
  readonly type: string
  readonly concurrency: number
  readonly mailbox: number
  readonly reentrant: boolean
  readonly restarts = defaultRestartPolicy
  readonly stats = new ActorStats(() => this.now())
  readonly #options: ActorHostOptions
  readonly #run: <A, E>(effect: Effect.Effect<A, E>) => ReturnType<typeof Effect.runFork<A, E>>
  readonly #life: LifeHost
  readonly #shards = new Map<number, Map<string, Activation>>()
  readonly #watchers: ActorWatchers
  /** Told when nothing of a shard is left in memory. */
  readonly #emptied = new Map<number, Array<() => void>>()
  #size = 0
  /** One of its actors has something to be reminded of. */
  onReminder: () => void = () => undefined

  constructor(options: ActorHostOptions) {
    this.#options = options
    this.type = options.type
    this.concurrency = options.concurrency
    this.mailbox = options.mailbox
    this.reentrant = options.reentrant
    this.#run = Runtime.runFork(options.runtime)
    this.#watchers = new ActorWatchers(options.gate)
    const { gate, program, runtime, store } = options
    this.#life = {
      ...{ program, runtime },
      gate,
      mayAnswer: gate.mayAnswer,
      memory: {
        store: this.stats.counting(store),
        keptAs: options.keptAs,
        leaseOf: gate.lease,
        monotonic: () => Number(program.clock.unsafeCurrentTimeNanos()) / 1e6,
        onReminder: () => this.onReminder()
      }
    }
  }

  /** None of its actors has anything to do. */
  get idle(): boolean {
    for (const activation of this.activations()) if (!activation.idle) return false
    return true
  }

  /** Actors in memory. */
  get size(): number {
    return this.#size
  }

  /**
   * Its answer comes by the message's replies, not before this has returned unless it is refused. `left`:
   * milliseconds that its sender waits, where that is known.
   */
  deliver(id: string, message: Message, left = defaultDeadline): Delivery {
    // Who watches for a long time is no slow message.
    const counts = message.rpc === watchRpc ? uncounted : this.stats
    const delivery = new Delivery(message, this.now(), counts)
    const address = addressOf(this.type, id)
    const { gate } = this.#options
    const shard = address.shardId
    const { chain } = message
    if (chain !== undefined && chain.calls.length > maxDepth) {
      const what = `is called by ${maxDepth} messages that wait for each other, ${chain.path.join(" → ")} the last of them`
      delivery.refuse(ActorUnavailable.of("chain_too_long", address, what))
      return delivery
    }
    if (gate.isOpen(shard)) this.#give(address, delivery)
    else {
      gate.enter(shard, (why) => {
        if (delivery.over) return
        if (why === undefined) this.#give(address, delivery)
        else if (typeof why === "string") delivery.refuse(notEntered(why, address))
        else delivery.refuse(why)
      })
    }
    // Its actor may wait for it, and it for its actor.
    if (!delivery.over && !delivery.hasBegun && cycleOf(chain, address) !== undefined) {
      const stop = this.timer(left, () => {
        delivery.refuse(ActorUnavailable.of("deadline", address, lateText(chain, address)))
      })
      delivery.whenWaited(stop)
    }
    return delivery
  }

  #give(address: ActorAddress, delivery: Delivery): void {
    if (delivery.message.rpc !== watchRpc) {
      this.#activation(address).deliver(delivery)
      return
    }
    const phase = this.get(address.entityId)?.phase
    const isRunning = phase !== undefined && phase !== "failed" && phase !== "closing"
    this.#watchers.watch(address, delivery, isRunning, this.#run)
  }

  get(id: string): Activation | undefined {
    return this.#shards.get(addressOf(this.type, id).shardId)?.get(id)
  }

  *activations(): Iterable<Activation> {
    for (const actors of this.#shards.values()) yield* actors.values()
  }

  /** Those that were idle for long enough leave memory. */
  sweep(): void {
    const before = this.now() - this.#options.idle
    for (const activation of this.activations()) {
      if (activation.usedAt <= before && !activation.kept) activation.passivate()
    }
  }

  /** Calls back when the shard's actors have finished what they had begun, and are saved and gone. */
  leave(shard: number, then: () => void): void {
    const actors = this.#shards.get(shard)
    if (actors === undefined) {
      this.#watchers.moved(shard)
      then()
      return
    }
    const waiting = this.#emptied.get(shard)
    if (waiting === undefined) this.#emptied.set(shard, [then])
    else waiting.push(then)
    for (const activation of [...actors.values()]) activation.leave()
  }

  /** All of them end as those of a shard do. */
  abandonAll(why: StoppedBy): void {
    for (const activation of [...this.activations()]) activation.abandon(why)
  }

  /** Its actors end without saving anything. */
  abandon(shard: number): void {
    // First: what becomes of its actors here is no news of theirs.
    this.#watchers.moved(shard)
    for (const activation of [...(this.#shards.get(shard)?.values() ?? [])]) activation.abandon()
  }

  /** All of them leave. Done when they have. */
  get close(): Effect.Effect<void> {
    return Effect.forEach(
      [...this.#shards.keys()],
      (shard) => Effect.async<void>((resume) => this.leave(shard, () => resume(Effect.void))),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.ensuring(Effect.sync(() => this.#watchers.allMoved())))
  }

  // ── What activations ask for ────────────────────────────────────────────────────────────────

  begin(actor: LivingActor): Effect.Effect<ActorLife> {
    return ActorLife.begin(actor, this.#life)
  }

  started({ address }: LivingActor): void {
    if (this.#watchers.size > 0) this.#watchers.started(address)
  }

  fork<A, E>(
    effect: Effect.Effect<A, E>,
    then: (exit: Exit.Exit<A, E>) => void
  ): Fiber.RuntimeFiber<A, E> {
    const fiber = this.#run(effect)
    fiber.addObserver(then)
    return fiber
  }

  after(millis: number, then: () => void): void {
    this.#run(Effect.sleep(millis)).addObserver(then)
  }

  /** Returns how to call it off. */
  timer(millis: number, then: () => void): () => void {
    const fiber = this.#run(Effect.sleep(millis))
    fiber.addObserver((exit) => Exit.isSuccess(exit) && then())
    return () => fiber.unsafeInterruptAsFork(fiber.id())
  }

  now(): number {
    return this.#options.program.clock.unsafeCurrentTimeMillis()
  }

  random(): number {
    return this.#options.program.random()
  }

  moved(shard: number): Moved {
    return { _tag: "Moved", owner: this.#options.gate.owner(shard) }
  }

  crashed(actor: LivingActor, cause: Cause.Cause<unknown>, { delay, kind }: CrashNews): void {
    const text = crashText(actor, cause, kind)
    const known = this.stats.crashed(text)
    actor.lastError = known
    const rest = kind === "restart" ? delay : this.restarts.max
    this.#watchers.crashed(actor.address, {
      message: known.text,
      after: rest,
      failed: kind !== "restart"
    })
    const next = {
      restart: `it begins again from what was saved last in ${delay} ms`,
      escalate: `it has crashed too often in a row, and rests for ${this.restarts.max} ms`,
      newer: `nothing is lost, and it is looked at again in ${this.restarts.max} ms`
    }[kind]
    if (kind === "escalate") this.#options.onEscalate?.(cause)
    const log = kind === "restart" ? Effect.logWarning : Effect.logError
    this.#run(log(`${text}; ${next}`, cause))
  }

  /** It was told to the actor and taken, and nobody will handle it. Who sent it is told nothing any more. */
  lost(address: ActorAddress, refusal: Refusal): void {
    this.stats.lost++
    const why = refusal._tag === "Moved" ? "its shard has moved" : refusal.message
    this.#run(
      Effect.logWarning(`a message that ${formatAddress(address)} was told is lost: ${why}`)
    )
  }

  mayBegin(shard: number): boolean {
    return this.#options.gate.isOpen(shard)
  }

  mayAnswer(shard: number): boolean {
    return this.#options.gate.mayAnswer(shard)
  }

  get gives(): boolean {
    return this.#options.gate.give !== undefined
  }

  give({ address }: LivingActor, handed: Handed): void {
    this.#options.gate.give?.(address, handed)
  }

  notGiven({ address }: LivingActor): void {
    this.stats.notGiven++
    this.#run(
      Effect.logWarning(
        `the state of ${formatAddress(address)} could not be given to its next host, and is in the store of this one as it was saved last: it has crashed on its way out`
      )
    )
  }

  fenced({ address }: LivingActor): void {
    this.stats.fenced++
    this.#options.gate.fenced(address.shardId)
  }

  gone({ address, leaving }: LivingActor): void {
    const { entityId, shardId } = address
    const actors = this.#shards.get(shardId)
    if (actors?.delete(entityId) !== true) return
    this.#size--
    this.#watchers.stopped(address, leaving ? "moved" : "idle")
    if (actors.size > 0) return
    this.#shards.delete(shardId)
    if (leaving) this.#watchers.moved(shardId)
    const waiting = this.#emptied.get(shardId)
    this.#emptied.delete(shardId)
    for (const then of waiting ?? []) then()
  }

  #activation(address: ReturnType<typeof addressOf>): Activation {
    const { entityId, shardId } = address
    let actors = this.#shards.get(shardId)
    if (actors === undefined) {
      actors = new Map()
      this.#shards.set(shardId, actors)
    }
    const known = actors.get(entityId)
    if (known !== undefined) return known
    const made = new Activation(address, this)
    actors.set(entityId, made)
    this.#size++
    return made
  }
}
