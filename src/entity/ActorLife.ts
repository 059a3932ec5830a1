/**
 * One life of an actor: the handlers that its program has built for it, and how a message is put to them.
 * What they run with is put together for each message, so that an idle actor holds none of it.
 */
import type { Headers } from "@effect/platform/Headers"
import * as Rpc from "@effect/rpc/Rpc"
import type * as RpcMiddleware from "@effect/rpc/RpcMiddleware"
import * as RpcSchema from "@effect/rpc/RpcSchema"
import {
  Chunk,
  type Clock,
  Context,
  DefaultServices,
  Effect,
  Exit,
  FiberRefs,
  type Mailbox,
  Runtime,
  Scope,
  Stream,
  Tracer
} from "effect"
import { CalledBy } from "../api/CalledBy.ts"
import type { HandledThen, Life, LivingActor } from "./ActivationHost.ts"
import { type ActorAddress, CurrentAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import { ActorMemory, type MemoryHost } from "./ActorMemory.ts"
import type { ActorProtocol } from "./ActorProtocol.ts"
import { answeredOnce, type KeyScope, type KeysInWork } from "./AnsweredOnce.ts"
import { type ActivationShape, CurrentActivation } from "./CurrentActivation.ts"
import { CurrentDelivery } from "./CurrentDelivery.ts"
import type { Delivery } from "./Delivery.ts"
import { type HandedState, type Merged, mergeRpc } from "./HandedState.ts"
import { LifeScope } from "./LifeScope.ts"
import { isKeyed, type Message } from "./Message.ts"
import { servicesOver } from "./ServicesOver.ts"
import type { ShardGate } from "./ShardGate.ts"

/** A message, as its handler is given it: named as in @effect/cluster. */
export interface ActorRequest<out R extends Rpc.Any> {
  readonly _tag: "Request"
  readonly address: ActorAddress
  readonly tag: Rpc.Tag<R>
  readonly payload: Rpc.Payload<R>
  readonly headers: Headers
}

/** The same, where any RPC may be meant. */
export type AnyRequest = Omit<ActorRequest<Rpc.Any>, "payload" | "tag"> & {
  readonly tag: string
  readonly payload: unknown
}

export type Handlers = Readonly<Record<string, (request: AnyRequest) => unknown>>

/** What a type's actors do: how each begins, and what is known of their messages. */
export interface ActorProgram {
  readonly protocol: ActorProtocol
  /** Needs the type's context, its address, its activation and a scope, which are given here. */
  readonly build: Effect.Effect<Handlers>
  readonly spanAttributes: Readonly<Record<string, string>> | undefined
  readonly keys: KeyScope
  readonly clock: Clock.Clock
  /** In [0, 1). */
  readonly random: () => number
}

/** What the lives of a type's actors have in common. */
export interface LifeHost {
  readonly program: ActorProgram
  readonly runtime: Runtime.Runtime<never>
  readonly memory: MemoryHost
  readonly gate: ShardGate
  /** May what was read in that shard leave now? */
  readonly mayAnswer: (shard: number) => boolean
}

type Entries = Map<string, unknown>

/** Before there are any, no message comes. */
const noHandlers: Handlers = {}

/** As `CurrentActivation` it is what its program has of it. */
export class ActorLife implements Life, ActivationShape {
  readonly actor: LivingActor
  readonly memory: ActorMemory
  readonly #host: LifeHost
  #handlers = noHandlers
  readonly #scope = new LifeScope()
  /** None before the first message with a key. */
  #inWork: KeysInWork | undefined

  private constructor(actor: LivingActor, memory: ActorMemory, host: LifeHost) {
    this.actor = actor
    this.memory = memory
    this.#host = host
  }

  /** Interrupted, it leaves nothing behind: what was built is a life, or closed. */
  static begin(actor: LivingActor, host: LifeHost): Effect.Effect<ActorLife> {
    const begin = Effect.fnUntraced(function* (
      restore: <A, E, R>(build: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    ) {
      const memory = new ActorMemory(host.memory, actor)
      actor.memory = memory
      const life = new ActorLife(actor, memory, host)
      const entries = life.#entries.set(Scope.Scope.key, life.#scope)
      life.#handlers = yield* restore(host.program.build).pipe(
        Effect.mapInputContext((_: Context.Context<never>) => Context.unsafeMake<never>(entries)),
        Effect.onError((cause) => life.close(Exit.failCause(cause)))
      )
      return life
    })
    return Effect.uninterruptibleMask(begin)
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Scope.close(this.#scope, exit)
  }

  get gate(): ShardGate {
    return this.#host.gate
  }

  get store(): MemoryHost["store"] {
    return this.#host.memory.store
  }

  get keep(): (kept: boolean) => void {
    return (kept) => {
      this.actor.kept = kept
    }
  }

  /** What its program runs with. */
  get #entries(): Entries {
    return servicesOver(this.#host.runtime.context)
      .set(CurrentAddress.key, this.actor.address)
      .set(CurrentActivation.key, this)
  }

  handle(delivery: Delivery, then: HandledThen): void {
    const { runtime } = this.#host
    const { message } = delivery
    const entries = this.#entries
    entries.set(CalledBy.key, message.caller)
    entries.set(CurrentDelivery.key, delivery)
    const context = Context.unsafeMake<never>(entries)
    const handler = Effect.suspend(() => this.#put(delivery))
    const { middlewares } = message.rpc
    const checked =
      middlewares.size === 0 ? handler : applyMiddleware(message.rpc, context, message, handler)
    const once = isKeyed(message) ? this.#once(delivery, checked) : checked
    const traced = isTraced(message, runtime) ? this.#traced(message, once) : once
    const { fiberRefs, runtimeFlags } = runtime
    const fiber = Runtime.runFork(Runtime.make({ context, fiberRefs, runtimeFlags }), traced)
    delivery.begun(fiber)
    fiber.addObserver(then)
  }

  #put(delivery: Delivery): Effect.Effect<unknown, unknown> {
    const { headers, payload, rpc } = delivery.message
    // Its Schema has seen to what it is.
    if (rpc === mergeRpc) return this.#merge(delivery, payload as HandedState)
    const handle = this.#handlers[rpc._tag]
    if (handle === undefined) return Effect.dieMessage(`Unknown request tag: ${rpc._tag}`)
    const { address } = this.actor
    const result = handle({ _tag: "Request", address, tag: rpc._tag, payload, headers })
    return answerOf(result, rpc, (chunk) => this.#part(delivery, chunk))
  }

  /** Who gives it asks again when the store has not answered. */
  #merge(delivery: Delivery, state: HandedState): Effect.Effect<Merged | undefined> {
    return Effect.catchAll(this.memory.merge(state), (cause) =>
      Effect.sync(() => {
        const what = `could not be read, to be merged: ${cause.message}`
        delivery.refuse(ActorUnavailable.of("not_saved", this.actor.address, what, { cause }))
        return undefined
      })
    )
  }

  /** What a part has seen is saved before it leaves; and what has changed nothing leaves only while it is true. */
  #part(delivery: Delivery, chunk: Chunk.Chunk<unknown>): Effect.Effect<void> {
    if (!Chunk.isNonEmpty(chunk)) return Effect.void
    const memory = this.memory
    const send = Effect.suspend(() => delivery.message.replies.part(Chunk.toReadonlyArray(chunk)))
    return Effect.suspend(() => {
      if (memory.dirty || memory.forgotten) {
        return Effect.zipRight(Effect.orDie(memory.saveNow), send)
      }
      const { address } = this.actor
      if (this.#host.mayAnswer(address.shardId)) return send
      const what = "has lost its shard's lease before the stream's end"
      delivery.refuse(ActorUnavailable.of("not_leased", address, what, { sent: true }))
      return Effect.interrupt
    })
  }

  #once(
    delivery: Delivery,
    handler: Effect.Effect<unknown, unknown>
  ): Effect.Effect<unknown, unknown> {
    const { address } = this.actor
    this.#inWork ??= new Map()
    const inWork = this.#inWork
    const scope = this.#host.program.keys
    return answeredOnce({ delivery, handler, address, inWork, scope, memory: this.memory })
  }

  #traced(
    { parent, rpc }: Message,
    handler: Effect.Effect<unknown, unknown>
  ): Effect.Effect<unknown, unknown> {
    const { program } = this.#host
    const { entityId, entityType } = this.actor.address
    return Effect.withSpan(handler, `${entityType}.${rpc._tag}`, {
      captureStackTrace: false,
      attributes: { "skein.actor": entityId, ...program.spanAttributes },
      parent
    })
  }
}

const untraced = Effect.runSync(Effect.tracer)

/** A span that nobody would see is not made: without a trace to be part of, and with nobody to take it. */
const isTraced = ({ parent }: Message, { fiberRefs }: Runtime.Runtime<never>): boolean => {
  if (parent !== undefined) return true
  const services = FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices)
  return Context.get(services, Tracer.Tracer) !== untraced
}

/** What a handler answers with is what its RPC says it does: the types of `Actor` have seen to that. */
const answerOf = (
  result: unknown,
  { successSchema }: Rpc.AnyWithProps,
  part: SendPart
): Effect.Effect<unknown, unknown> => {
  const isWrapped = typeof result === "object" && result !== null && Rpc.isWrapper(result)
  const value: unknown = isWrapped ? result.value : result
  const answer = RpcSchema.isStreamSchema(successSchema)
    ? streamed(value, part)
    : (value as Effect.Effect<unknown, unknown>)
  return isWrapped && result.uninterruptible ? Effect.uninterruptible(answer) : answer
}

type StreamAnswer =
  | Stream.Stream<unknown, unknown>
  | Effect.Effect<Mailbox.ReadonlyMailbox<unknown, unknown>, unknown, Scope.Scope>

type SendPart = (chunk: Chunk.Chunk<unknown>) => Effect.Effect<void>

/** Part by part. */
const streamed = (result: unknown, part: SendPart): Effect.Effect<void, unknown> => {
  const answer = result as StreamAnswer
  if (!Effect.isEffect(answer)) return Stream.runForEachChunk(answer, part)
  return Effect.scoped(
    Effect.flatMap(answer, (mailbox) =>
      Effect.iterate(false, {
        while: (done) => !done,
        body: () => Effect.flatMap(mailbox.takeAll, ([chunk, done]) => Effect.as(part(chunk), done))
      })
    )
  ).pipe(Effect.asVoid)
}

/** As `RpcServer` does it. */
const applyMiddleware = (
  rpc: Rpc.AnyWithProps,
  context: Context.Context<never>,
  { headers, payload }: Message,
  handler: Effect.Effect<unknown, unknown>
): Effect.Effect<unknown, unknown> => {
  let effect = handler
  for (const tag of rpc.middlewares) {
    const options = { rpc, payload, headers, clientId: 0 }
    const { provides } = tag
    // Provided by the layer, whose type names it; here it is one of many.
    const middleware = Context.unsafeGet(context as Context.Context<unknown>, tag)
    if (tag.wrap) {
      const next = effect as Effect.Effect<RpcMiddleware.SuccessValue>
      const wrap = middleware as RpcMiddleware.RpcMiddlewareWrap<never, unknown>
      effect = wrap({ ...options, next })
      continue
    }
    const check = (middleware as RpcMiddleware.RpcMiddleware<unknown, unknown>)(options)
    const previous = effect
    const checked =
      provides === undefined
        ? Effect.zipRight(check, previous)
        : Effect.provideServiceEffect(previous, provides, check)
    effect = tag.optional
      ? Effect.matchEffect(check, {
          onFailure: () => previous,
          onSuccess: (value) =>
            provides === undefined ? previous : Effect.provideService(previous, provides, value)
        })
      : checked
  }
  return effect
}
