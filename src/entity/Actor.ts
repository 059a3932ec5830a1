/**
 * Actors of Effect programs: state and behaviour under an address, one message at a time, somewhere in the
 * mesh. What is written is what @effect/cluster calls an entity, by the same names.
 *
 *     const Cart = Actor.make("Cart", [
 *       Rpc.make("Add", { payload: { item: Schema.String }, success: Schema.Int })
 *     ])
 *     const CartLive = Cart.toLayer(Effect.gen(function* () {
 *       const state = yield* ActorState.make(CartState)
 *       return { Add: ({ payload }) => Effect.map(state.update(…), ({ size }) => size) }
 *     }), { idle: "5 minutes", mailbox: 1_000 })
 *
 *     const cart = yield* Cart.client
 *     yield* cart("user-42").Add({ item: "book" })
 */
import type * as Rpc from "@effect/rpc/Rpc"
import type * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import { Context, Duration, Effect, Layer, type Scope } from "effect"
import { PCGRandom } from "effect/Utils"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { CurrentAddress } from "./ActorAddress.ts"
import { type ActorClient, makeActorClient } from "./ActorClient.ts"
import type { ActorProgram, ActorRequest, Handlers } from "./ActorLife.ts"
import { checkedType } from "./ActorService.ts"
import { Actors, type Guarantee } from "./Actors.ts"
import type { KeyScope } from "./AnsweredOnce.ts"
import { type ChildFailure, spawnChild } from "./ChildActor.ts"
import { CurrentActivation } from "./CurrentActivation.ts"
import { Placed } from "./NearHosts.ts"
import { type Reminders, remindersOf } from "./Reminders.ts"
import type { LeaseTimes } from "./store/LeaseStep.ts"

export type { ActorClient } from "./ActorClient.ts"
export { Reentrant } from "./CallChain.ts"
export { Placed, type PlacedBy } from "./NearHosts.ts"

export interface ActorOptions {
  /** How long an actor stays in memory with nothing to do. Default 5 minutes. */
  readonly idle?: Duration.DurationInput | undefined
  /** Messages that may wait for one actor; the next ones fail with `MailboxFull`. Default 1,000. */
  readonly mailbox?: number | undefined
  /** Messages that one actor handles at a time. Default 1. */
  readonly concurrency?: number | "unbounded" | undefined
  /**
   * An actor that waits for another one handles what that one sends to it meanwhile, and so on, in place of
   * waiting for itself until the deadline: all messages (`true`), or those annotated `Reentrant`. Default false.
   */
  readonly reentrant?: boolean | undefined
  /**
   * `eventual`: during a partition each side may run the same actor. `leased`: at most one runs, by leases
   * of the store. Default `eventual`.
   */
  readonly guarantee?: Guarantee | undefined
  /** Of `leased`: how long leases hold, and when they are renewed. Default: 15 s, and every 5 s. */
  readonly leaseTimes?: LeaseTimes | undefined
  /**
   * Whose idempotency keys are. `caller`: each caller's own, as access rules name it; one that comes back by
   * another name has other keys. `message`: of all who may send the message, so a key is to be one that nobody
   * guesses, and its answer is for whoever sends it. Default `caller`.
   */
  readonly keys?: KeyScope | undefined
  /** This program's share of the type's actors, 1–1000. Default 100. */
  readonly weight?: number | undefined
  readonly spanAttributes?: Readonly<Record<string, string>> | undefined
  /** As @effect/cluster calls `idle` and `mailbox`. */
  readonly maxIdleTime?: Duration.DurationInput | undefined
  readonly mailboxCapacity?: number | undefined
}

/** What can be said of a child. */
export type ChildOptions = Pick<
  ActorOptions,
  "concurrency" | "keys" | "mailbox" | "reentrant" | "spanAttributes"
>

export type HandlersFrom<R extends Rpc.Any> = {
  readonly [Current in R as Current["_tag"]]: (
    request: ActorRequest<Current>
  ) => Rpc.ResultFrom<Current, unknown> | Rpc.Wrapper<Rpc.ResultFrom<Current, unknown>>
}

/** What an actor is given besides, and its layer need not have. */
type Given = CurrentActivation | CurrentAddress | Scope.Scope

export interface Actor<in out Type extends string, in out Rpcs extends Rpc.Any> {
  readonly type: Type
  readonly protocol: RpcGroup.RpcGroup<Rpcs>
  readonly annotate: <I, S>(tag: Context.Tag<I, S>, value: S) => Actor<Type, Rpcs>
  readonly annotateRpcs: <I, S>(tag: Context.Tag<I, S>, value: S) => Actor<Type, Rpcs>
  /** By id: its messages as functions. */
  readonly client: Effect.Effect<ActorClient<Rpcs>, never, Actors>
  /** Runs actors of this type here: `build` is carried out for each, before its first message. */
  readonly toLayer: <H extends HandlersFrom<Rpcs>, RX = never>(
    build: H | Effect.Effect<H, never, RX>,
    options?: ActorOptions
  ) => Layer.Layer<
    never,
    ServeRefused,
    | Exclude<RX | RpcGroup.HandlersContext<Rpcs, H>, Given>
    | Rpc.Context<Rpcs>
    | Rpc.Middleware<Rpcs>
    | Actors
  >
  /**
   * In an actor of any type: a child of this one, which lives until the scope closes, at the longest as long as
   * the life that begins it. The handle has its messages as functions.
   */
  readonly spawn: <H extends HandlersFrom<Rpcs>, RX = never>(
    name: string,
    build: H | Effect.Effect<H, never, RX>,
    options?: ChildOptions
  ) => Effect.Effect<
    RpcClient.RpcClient.From<Rpcs, ChildFailure>,
    never,
    | Exclude<RX | RpcGroup.HandlersContext<Rpcs, H>, Given>
    | Rpc.Context<Rpcs>
    | Rpc.Middleware<Rpcs>
    | CurrentActivation
    | Scope.Scope
  >
  /** In an actor of this type: messages that it will get later. */
  readonly reminders: Effect.Effect<Reminders<Rpcs>, never, CurrentActivation>
  readonly of: <H extends HandlersFrom<Rpcs>>(handlers: H) => H
}

/** A type that cannot be the name of a service is a defect: it stands in the program. */
export const make = <const Type extends string, const Rpcs extends ReadonlyArray<Rpc.Any>>(
  type: Type,
  protocol: Rpcs
): Actor<Type, Rpcs[number]> => fromRpcGroup(type, RpcGroup.make(...protocol))

export const fromRpcGroup = <const Type extends string, Rpcs extends Rpc.Any>(
  type: Type,
  protocol: RpcGroup.RpcGroup<Rpcs>
): Actor<Type, Rpcs> => {
  checkedType(type)
  return {
    type,
    protocol,
    annotate: (tag, value) => fromRpcGroup(type, protocol.annotate(tag, value)),
    annotateRpcs: (tag, value) => fromRpcGroup(type, protocol.annotateRpcs(tag, value)),
    client: Effect.map(Actors, (actors) => makeActorClient(actors, { type, protocol })),
    toLayer: (build, options = {}) => Layer.scopedDiscard(register(type, protocol, build, options)),
    spawn: (name, build, options = {}) =>
      Effect.flatMap(runOf(protocol, build, options), (run) =>
        spawnChild({ ...run, protocol, type, name })
      ),
    reminders: remindersOf(protocol),
    of: (handlers) => handlers
  }
}

const register = <Rpcs extends Rpc.Any, H extends HandlersFrom<Rpcs>, RX>(
  type: string,
  protocol: RpcGroup.RpcGroup<Rpcs>,
  build: H | Effect.Effect<H, never, RX>,
  options: ActorOptions
) =>
  Effect.gen(function* () {
    const actors = yield* Actors
    const { guarantee = "eventual", idle = options.maxIdleTime ?? "5 minutes" } = options
    const placed = Context.get(protocol.annotations, Placed)
    if (guarantee === "leased" && placed !== "mesh") {
      return yield* Effect.dieMessage(
        `${type} is placed by ${placed}, so each ${placed === "zone" ? "zone" : "host"} may run the same actor, and ${JSON.stringify(guarantee)} promises that only one does: leave one of the two out`
      )
    }
    const run = yield* runOf(protocol, build, options)
    yield* actors.register({
      ...{ type, guarantee, ...run },
      weight: options.weight ?? 100,
      idle: Duration.toMillis(idle),
      leaseTimes: options.leaseTimes
    })
  })

/** How actors of a type are run, wherever that is. */
const runOf = <Rpcs extends Rpc.Any, H extends HandlersFrom<Rpcs>, RX>(
  protocol: RpcGroup.RpcGroup<Rpcs>,
  build: H | Effect.Effect<H, never, RX>,
  options: ActorOptions
) =>
  Effect.gen(function* () {
    type Needed =
      | Exclude<RX | RpcGroup.HandlersContext<Rpcs, H>, Given>
      | Rpc.Context<Rpcs>
      | Rpc.Middleware<Rpcs>
    const runtime = yield* Effect.runtime<Needed>()
    const random = yield* Effect.random
    // Of the runtime's own there is one draw, since each of them is a program to be run.
    const dice = new PCGRandom(yield* random.nextIntBetween(0, 2 ** 31))
    const program: ActorProgram = {
      protocol,
      // What it needs is in the context that each life is given, which no type can say of what is left out of an unknown
      // one (`Exclude`); its handlers are told apart by tag, so each is given what its own RPC says.
      build: (Effect.isEffect(build)
        ? build
        : Effect.succeed(build)) as unknown as Effect.Effect<Handlers>,
      spanAttributes: options.spanAttributes,
      keys: options.keys ?? "caller",
      clock: yield* Effect.clock,
      random: () => dice.number()
    }
    const { concurrency = 1, mailbox = options.mailboxCapacity ?? 1_000 } = options
    return {
      ...{ program, protocol: program.protocol, mailbox, runtime },
      concurrency: concurrency === "unbounded" ? Number.POSITIVE_INFINITY : concurrency,
      reentrant: options.reentrant ?? false
    }
  })

/** True: the actor that says so stays in memory, however long it is idle. */
export const keepAlive = (kept: boolean): Effect.Effect<void, never, CurrentActivation> =>
  Effect.map(CurrentActivation, ({ keep }) => keep(kept))
