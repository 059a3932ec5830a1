/** The messages of a type as functions: what `Actor.client` gives for an id. */
import type * as Rpc from "@effect/rpc/Rpc"
import type * as RpcClient from "@effect/rpc/RpcClient"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSchema from "@effect/rpc/RpcSchema"
import { type Cause, Context, Effect, Exit, Mailbox, Option, type Scope, Stream } from "effect"
import { Idempotent } from "../api/RpcIdempotent.ts"
import { type ActorAddress, CurrentAddress, idProblem } from "./ActorAddress.ts"
import type { ActorEvent } from "./ActorEvent.ts"
import { propsOf } from "./ActorProtocol.ts"
import type { ActorFailure, Actors, ActorType, Outgoing } from "./Actors.ts"
import { CurrentDelivery } from "./CurrentDelivery.ts"
import type { Delivery, OpenCall } from "./Delivery.ts"
import { payloadMaker } from "./MessageCodec.ts"
import {
  AwaitedAnswer,
  type CallOptions,
  ChainedReplies,
  type Fiber,
  OutgoingMessage,
  type SentRpc
} from "./OutgoingMessage.ts"
import { watchActor } from "./WatchedActor.ts"

/** What carries messages. */
export type Sender = Pick<Actors["Type"], "send">

export interface ActorClient<Rpcs extends Rpc.Any> {
  /** The messages of the actor with that id, as functions. */
  (entityId: string): RpcClient.RpcClient.From<Rpcs, ActorFailure>
  /**
   * What becomes of the actor with that id, from now on and wherever it moves; `Lost` is the last when its host
   * is. It is not begun by being watched.
   */
  readonly watch: (entityId: string) => Stream.Stream<ActorEvent, ActorFailure>
}

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
      const message = new OutgoingMessage(sent, fiber, payload, options, replies, undefined)
      return actors.send(definition, id, message)
    }
    const chained = new ChainedReplies(replies, open)
    let message: OutgoingMessage
    try {
      message = new OutgoingMessage(sent, fiber, payload, options, chained, open)
    } catch (cause) {
      // A payload that is none: nobody is to wait for it.
      open.end()
      throw cause
    }
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

type SendFrom = (fiber: Fiber, replies: Outgoing["replies"]) => () => void

type Send = (id: string, payload: unknown, options: CallOptions) => SendFrom

/** Of the actor in whose handler a message is sent. */
const callFrom = (services: Map<string, unknown>): OpenCall | undefined => {
  // Both were set by the actor's life (ActorLife.ts).
  const delivery = services.get(CurrentDelivery.key) as Delivery | undefined
  const address = services.get(CurrentAddress.key) as ActorAddress | undefined
  return address === undefined ? undefined : delivery?.call(address)
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
