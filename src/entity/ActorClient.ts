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
  const isIdempotent = Option.getOrElse(Context.getOption(rpc.annotations, Idempotent), () => false)
  const make = "make" in rpc.payloadSchema ? (rpc.payloadSchema.make as MakePayload) : undefined

  const outgoing = (
    fiber: Fiber,
    payload: unknown,
    { discard = false, headers }: CallOptions,
    replies: Outgoing["replies"]
  ): Outgoing => {
    const said = fiber.getFiberRef(RpcClient.currentHeaders)
    const all = headers === undefined ? said : Headers.merge(said, Headers.fromInput(headers))
    const deadline = Option.getOrUndefined(Headers.get(all, deadlineHeader))
    const { unsafeMap } = fiber.currentContext
    return {
      ...{ rpc, isIdempotent, replies },
      payload: make === undefined ? payload : make(payload),
      headers: all,
      caller: undefined,
      parent: unsafeMap.get(Tracer.ParentSpan.key),
      key: keyOf(Option.getOrUndefined(Headers.get(all, keyHeader))),
      deadline: deadline === undefined ? undefined : millisOf(deadline),
      chain: undefined,
      tells: discard
    }
  }

  const send: Send = (id, payload, options) => (fiber, replies) => {
    const message = outgoing(fiber, payload, options, replies)
    const open = options.discard === true ? undefined : callFrom(fiber.currentContext.unsafeMap)
    if (open === undefined) return actors.send(definition, id, message)
    const { chain, delivery, end } = open
    const cancel = actors.send(definition, id, {
      ...{ ...message, chain },
      circle: () => delivery.circle,
      replies: {
        ...replies,
        circle: (circle) =>
          circle === undefined ? delivery.lostCircle() : delivery.foundCircle(circle),
        exit: (exit) => {
          end()
          replies.exit(exit)
        },
        fail: (failure) => {
          end()
          replies.fail(failure)
        }
      }
    })
    return () => {
      end()
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
      // Dropped as soon as it is over. V8 keeps something of an effect that waits until the whole heap is collected;
      // through how to cancel it that held all of the message, and each held the next.
      let cancel: (() => void) | undefined
      let isOver = false
      const answer = Effect.async<unknown, unknown>((resume) => {
        const over = (answered: Effect.Effect<unknown, unknown>): void => {
          isOver = true
          cancel = undefined
          resume(answered)
        }
        const stop = send(
          id,
          payload,
          options
        )(fiber, {
          accepted: () => options.discard === true && over(Effect.void),
          part: () => Effect.void,
          exit: over,
          fail: (failure) => over(Effect.fail(failure))
        })
        if (!isOver) cancel = stop
      })
      return Effect.onExit(answer, (exit) =>
        cancel !== undefined && Exit.isInterrupted(exit) ? Effect.sync(cancel) : Effect.void
      )
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

type MakePayload = (payload: unknown) => unknown

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
