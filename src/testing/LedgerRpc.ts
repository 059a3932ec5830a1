/** A ledger that is called by RPCs over the mesh, for tests: its server, and clients whose calls come to it. */
import { Rpc, RpcClient, RpcGroup, RpcServer } from "@effect/rpc"
import { Deferred, Effect, Layer, Option, Schema, type Scope, Stream } from "effect"
import { CalledBy } from "../api/CalledBy.ts"
import { MeshCaller } from "../api/MeshCaller.ts"
import { MeshProgram } from "../api/MeshProgram.ts"
import * as MeshRpc from "../api/RpcOverMesh.ts"
import { serviceCaller } from "../model/Caller.ts"
import type { Call, Dispatch } from "../model/Exchange.ts"
import { PeerKey, ServiceName } from "../model/Names.ts"

export class NoMoney extends Schema.TaggedError<NoMoney>()("NoMoney", { missing: Schema.Int }) {}

export const Ledger = RpcGroup.make(
  Rpc.make("Charge", { payload: { amount: Schema.Int }, success: Schema.Int, error: NoMoney }),
  Rpc.make("Balance", { success: Schema.Int }).annotate(MeshRpc.Idempotent, true),
  Rpc.make("Who", { success: Schema.String }),
  Rpc.make("Headers", { success: Schema.Record({ key: Schema.String, value: Schema.String }) }),
  Rpc.make("Bytes", {
    payload: { bytes: Schema.Uint8ArrayFromSelf },
    success: Schema.Uint8ArrayFromSelf
  }),
  Rpc.make("Count", {
    payload: { to: Schema.Int },
    success: Schema.Int,
    stream: true,
    error: NoMoney
  }),
  Rpc.make("Never"),
  Rpc.make("Dies")
)

export const orders = serviceCaller(ServiceName.make("orders"))
export const peer = PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M")

interface Seen {
  made: number
  readonly parents: Array<string>
  readonly begun: Deferred.Deferred<void>
  readonly interrupted: Deferred.Deferred<void>
}

const handlers = (seen: Seen) =>
  Ledger.toLayer({
    Charge: ({ amount }) =>
      amount > 10 ? new NoMoney({ missing: amount - 10 }) : Effect.succeed(10 - amount),
    Balance: () =>
      Effect.map(Effect.currentSpan, ({ parent }) => {
        if (Option.isSome(parent))
          seen.parents.push(`${parent.value.traceId} ${parent.value.spanId}`)
        return 10
      }).pipe(Effect.orDie),
    Who: () => Effect.map(CalledBy, (caller) => caller?.name ?? "nobody"),
    Headers: (_, { headers }) => Effect.succeed({ ...headers }),
    Bytes: ({ bytes }) => Effect.succeed(bytes),
    Count: ({ to }) =>
      Stream.range(1, to).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => void seen.made++)),
        Stream.concat(to === 3 ? Stream.fail(new NoMoney({ missing: 3 })) : Stream.empty),
        Stream.ensuring(Deferred.succeed(seen.interrupted, undefined))
      ),
    Never: () =>
      Deferred.succeed(seen.begun, undefined).pipe(
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Deferred.succeed(seen.interrupted, undefined))
      ),
    Dies: () => Effect.die(new Error("a bug"))
  })

/** A server, what it is offered by, and a client whose calls come to it. */
export const pair = (scope?: Scope.Scope) =>
  Effect.gen(function* () {
    const seen: Seen = {
      made: 0,
      parents: [],
      begun: yield* Deferred.make<void>(),
      interrupted: yield* Deferred.make<void>()
    }
    const events: Array<string> = []
    const offered = yield* Deferred.make<Dispatch>()
    const node = Layer.succeed(MeshProgram, {
      node: () => "host-a",
      reportActors: () => Effect.void,
      drainDeadline: () => 30_000,
      mayServe: () => Effect.void,
      offer: ({ dispatch }) =>
        Effect.acquireRelease(
          Effect.as(Deferred.succeed(offered, dispatch), {
            endpoint: "program",
            setHealth: () => Effect.void
          }),
          () => Effect.sync(() => void events.push("withdraw"))
        )
    })
    const server = RpcServer.layer(Ledger).pipe(
      Layer.provide(handlers(seen)),
      Layer.provide(Layer.provide(MeshRpc.layerServer("ledger"), node))
    )
    yield* Layer.buildWithScope(server, scope ?? (yield* Effect.scope))
    const dispatch = yield* Deferred.await(offered)
    const calls: Array<Call> = []
    const statuses: Array<number> = []
    const client = yield* clientOf((call, receiver) => {
      calls.push(call)
      const onHead = receiver.onHead.bind(receiver)
      receiver.onHead = (head) => {
        statuses.push(head.status)
        onHead(head)
      }
      return dispatch(call, receiver)
    })
    return { calls, client, dispatch, events, seen, statuses }
  })

export const clientOf = (dispatch: Dispatch, service = "ledger") =>
  RpcClient.make(Ledger).pipe(
    Effect.provide(
      Layer.provide(
        MeshRpc.layerClient(service, { group: Ledger }),
        Layer.succeed(MeshCaller, { dispatch, peer, identity: orders })
      )
    )
  )
