/** The messages of a type as functions: what `Actor.client` gives for an id. */
import * as Headers from "@effect/platform/Headers"
import type * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSchema from "@effect/rpc/RpcSchema"
import {
  type Cause,
  Context,
  Effect,
  Exit,
  Mailbox,
  Option,
  type Scope,
  Stream,
  Tracer
} from "effect"
import { Idempotent } from "../api/RpcIdempotent.ts"
import { type ActorAddress, CurrentAddress, idProblem } from "./ActorAddress.ts"
import type { ActorEvent } from "./ActorEvent.ts"
import { propsOf } from "./ActorProtocol.ts"
import type { ActorFailure, Actors, ActorType, Outgoing } from "./Actors.ts"
import { keyHeader, keyProblem } from "./AnsweredOnce.ts"
import { CurrentDelivery } from "./CurrentDelivery.ts"
import type { Delivery, OpenCall } from "./Delivery.ts"
import { deadlineHeader } from "./Message.ts"
import { payloadMaker } from "./MessageCodec.ts"
import { watchActor } from "./WatchedActor.ts"

/** What carries messages. */
export type Sender = Pick<Actors["Type"], "send">

interface CallOptions {
  readonly asMailbox?: boolean | undefined
  readonly streamBufferSize?: number | undefined
  readonly headers?: Headers.Input | undefined
  readonly discard?: boolean | undefined
}

export interface ActorClient<Rpcs extends Rpc.Any> {
  /** The messages of the actor with that id, as functions. */
  (entityId: string): RpcClient.RpcClient.From<Rpcs, ActorFailure>
  /**
   * What becomes of the actor with that id, from now on and wherever it moves; `Lost` is the last when its host
   * is. It is not begun by being watched.
   */
  readonly watch: (entityId: string) => Stream.Stream<ActorEvent, ActorFailure>
}

type Fiber = Parameters<Parameters<typeof Effect.withFiberRuntime<unknown, unknown>>[0]>[0]

const streamBuffer = 16

export const makeActorClient = <Rpcs extends Rpc.Any>(
  actors: Sender,
  { protocol, type }: { readonly type: string; readonly protocol: RpcGroup.RpcGroup<Rpcs> }
): ActorClient<Rpcs> => {
  const definition: ActorType = { type, protocol }
  const calls = new Map(
    Array.from(protocol.requests, ([tag, rpc]) => [tag, callOf(actors, definition, propsOf(rpc))])
  )
  class Client {
    readonly id: string
    constructor(id: string) {
      this.id = checkedId(id)
    }
  }
  for (const [tag, call] of calls) {
    Object.defineProperty(Client.prototype, tag, {
      value(this: Client, payload: unknown, options?: CallOptions) {
        return call(this.id, payload, options ?? {})
      },
      enumerable: true
    })
  }
  // Its methods are the protocol's, by the loop above: no type follows what is defined by name at run time.
  const client = (id: string) => new Client(id) as unknown as ReturnType<ActorClient<Rpcs>>
  return Object.assign(client, {
    watch: (id: string) => watchActor(actors, definition, checkedId(id))
  })
}

const checkedId = (id: string): string => {
  const problem = idProblem(id)
  if (problem !== undefined) throw new Error(problem)
  return id
}

type CallFunction = (id: string, payload: unknown, options: CallOptions) => unknown

const callOf = (actors: Sender, definition: ActorType, rpc: Rpc.AnyWithProps): CallFunction => {
  const sent: SentRpc = {
    rpc,
    isIdempotent: Option.getOrElse(Context.getOption(rpc.annotations, Idempotent), () => false),
    make: payloadMaker(rpc.payloadSchema)
  }
  const send: Send = (id, payload, options) => (fiber, replies) => {
    const open = options.discard === true ? undefined : callFrom(fiber.currentContext.unsafeMap)
    if (open === undefined) {
      const message = new SentMessage(sent, fiber, payload, options, replies, undefined)
      return actors.send(definition, id, message)
    }
    const chained = new ChainedReplies(replies, open)
    const message = new SentMessage(sent, fiber, payload, options, chained, open)
    const cancel = actors.send(definition, id, message)
    return () => {
      open.end()
      cancel()
    }
  }

  if (RpcSchema.isStreamSchema(rpc.successSchema)) {
    return (id, payload, options) => {
      const mailbox = streamOf(options, send(id, payload, options))
      if (options.asMailbox === true) return mailbox
      return Stream.unwrapScoped(Effect.map(mailbox, (parts) => Mailbox.toStream(parts)))
    }
  }
  return (id, payload, options) =>
    Effect.withFiberRuntime<unknown, unknown>((fiber) => {
      const answer = new AwaitedAnswer(options.discard === true)
      const wait = Effect.async<unknown, unknown>((resume) =>
        answer.begin(resume, send(id, payload, options)(fiber, answer))
      )
      return Effect.onExit(wait, (exit) => answer.left(exit))
    })
}

// A message and who hears of it are an object each, of a class: copies of literals, and a closure for each that may be
// heard, were a quarter of all the garbage of a message.

/** What all messages of an RPC have in common. */
interface SentRpc {
  readonly rpc: Rpc.AnyWithProps
  readonly isIdempotent: boolean
  readonly make: ((payload: unknown) => unknown) | undefined
}

class SentMessage implements Outgoing {
  readonly rpc: Rpc.AnyWithProps
  readonly isIdempotent: boolean
  readonly payload: unknown
  readonly headers: Headers.Headers
  readonly caller = undefined
  readonly parent: Outgoing["parent"]
  readonly key: string | undefined
  readonly deadline: number | undefined
  readonly tells: boolean
  readonly replies: Outgoing["replies"]
  readonly #open: OpenCall | undefined

  constructor(
    { isIdempotent, make, rpc }: SentRpc,
    fiber: Fiber,
    payload: unknown,
    { discard = false, headers }: CallOptions,
    replies: Outgoing["replies"],
    open: OpenCall | undefined
  ) {
    const said = fiber.getFiberRef(RpcClient.currentHeaders)
    const all = headers === undefined ? said : Headers.merge(said, Headers.fromInput(headers))
    const deadline = all[deadlineHeader]
    this.rpc = rpc
    this.isIdempotent = isIdempotent
    this.payload = make === undefined ? payload : make(payload)
    this.headers = all
    // By its key it is a span.
    this.parent = fiber.currentContext.unsafeMap.get(Tracer.ParentSpan.key)
    this.key = keyOf(all[keyHeader])
    this.deadline = deadline === undefined ? undefined : millisOf(deadline)
    this.tells = discard
    this.replies = replies
    this.#open = open
  }

  get chain(): Outgoing["chain"] {
    return this.#open?.chain
  }

  get circle(): Outgoing["circle"] {
    const open = this.#open
    return open === undefined ? undefined : () => open.delivery.circle
  }
}

type HeardReplies = Outgoing["replies"]

/** Of the message that an actor sends while it handles another one, and waits for. */
class ChainedReplies implements HeardReplies {
  readonly #replies: HeardReplies
  readonly #open: OpenCall

  constructor(replies: HeardReplies, open: OpenCall) {
    this.#replies = replies
    this.#open = open
  }

  accepted(): void {
    this.#replies.accepted?.()
  }

  part(values: Parameters<HeardReplies["part"]>[0]): Effect.Effect<void> {
    return this.#replies.part(values)
  }

  circle(circle: string | undefined): void {
    const { delivery } = this.#open
    if (circle === undefined) delivery.lostCircle()
    else delivery.foundCircle(circle)
  }

  exit(exit: Exit.Exit<unknown, unknown>): void {
    this.#open.end()
    this.#replies.exit(exit)
  }

  fail(failure: ActorFailure): void {
    this.#open.end()
    this.#replies.fail(failure)
  }
}

class AwaitedAnswer implements HeardReplies {
  readonly #tells: boolean
  #resume: ((answer: Effect.Effect<unknown, unknown>) => void) | undefined
  /** What has come before `begin` has been told whom to resume. */
  #answer: Effect.Effect<unknown, unknown> | undefined
  /**
   * Dropped as soon as it is over. V8 keeps something of an effect that waits until the whole heap is collected;
   * through how to cancel it that held all of the message, and each held the next.
   */
  #cancel: (() => void) | undefined

  constructor(tells: boolean) {
    this.#tells = tells
  }

  begin(resume: (answer: Effect.Effect<unknown, unknown>) => void, cancel: () => void): void {
    if (this.#answer !== undefined) {
      resume(this.#answer)
      return
    }
    this.#resume = resume
    this.#cancel = cancel
  }

  accepted(): void {
    if (this.#tells) this.#over(Effect.void)
  }

  part(): Effect.Effect<void> {
    return Effect.void
  }

  exit(exit: Exit.Exit<unknown, unknown>): void {
    this.#over(exit)
  }

  fail(failure: ActorFailure): void {
    this.#over(Effect.fail(failure))
  }

  /** Its caller waits no longer: gives it up, if it was interrupted. */
  left(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const cancel = this.#cancel
    return cancel !== undefined && Exit.isInterrupted(exit) ? Effect.sync(cancel) : Effect.void
  }

  #over(answer: Effect.Effect<unknown, unknown>): void {
    const resume = this.#resume
    this.#resume = undefined
    this.#cancel = undefined
    this.#answer ??= answer
    resume?.(answer)
  }
}

type SendFrom = (fiber: Fiber, replies: Outgoing["replies"]) => () => void

type Send = (id: string, payload: unknown, options: CallOptions) => SendFrom

/** Of the actor in whose handler a message is sent. */
const callFrom = (services: Map<string, unknown>): OpenCall | undefined => {
  // Both were set by the actor's life (ActorLife.ts).
  const delivery = services.get(CurrentDelivery.key) as Delivery | undefined
  const address = services.get(CurrentAddress.key) as ActorAddress | undefined
  return address === undefined ? undefined : delivery?.call(address)
}

const keyOf = (key: string | undefined): string | undefined => {
  const problem = keyProblem(key)
  if (problem !== undefined) throw new Error(problem)
  return key
}

const millisOf = (text: string): number => {
  const millis = Number(text)
  if (Number.isFinite(millis) && millis > 0) return millis
  throw new Error(`${deadlineHeader} is ${JSON.stringify(text)}, and has to be a number above 0`)
}

/** Parts as they come; the sender is given up when the scope closes before the last. */
const streamOf = (
  { streamBufferSize = streamBuffer }: CallOptions,
  send: SendFrom
): Effect.Effect<Mailbox.ReadonlyMailbox<unknown, unknown>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const mailbox = yield* Mailbox.make<unknown, unknown>(streamBufferSize)
    const start = Effect.withFiberRuntime<() => void>((fiber) =>
      Effect.sync(() =>
        send(fiber, {
          part: (values) => Effect.asVoid(mailbox.offerAll(values)),
          exit: (exit) =>
            mailbox.unsafeDone(
              Exit.isFailure(exit) ? Exit.failCause(exit.cause as Cause.Cause<unknown>) : Exit.void
            ),
          fail: (failure) => mailbox.unsafeDone(Exit.fail(failure))
        })
      )
    )
    yield* Effect.acquireRelease(start, (cancel) => Effect.sync(cancel))
    return mailbox
  })
