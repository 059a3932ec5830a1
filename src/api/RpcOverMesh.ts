/**
 * @effect/rpc over the mesh, as the `Protocol` of its servers and its clients: each RPC is an exchange,
 * so it is balanced, limited, retried, authorized and traced by itself like any call, its streams have
 * the back-pressure of bodies, and no port is opened.
 *
 *     RpcServer.layer(Ledger).pipe(Layer.provide(Handlers), Layer.provide(MeshRpc.layerServer("ledger")))
 *
 *     const ledger = yield* RpcClient.make(Ledger)      // with MeshRpc.layerClient("ledger")
 *
 * Who called says `CalledBy` in the handlers. What the mesh ends is an `RpcClientError` whose cause is a
 * `MeshFault`.
 */
import type * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import type { RpcClientError } from "@effect/rpc/RpcClientError"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcServer from "@effect/rpc/RpcServer"
import { Context, Effect, Layer, Option } from "effect"
import { ServiceName } from "../schema/NamesSchema.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import { MeshCaller } from "./MeshCaller.ts"
import { MeshFault } from "./MeshFault.ts"
import { MeshProgram } from "./MeshProgram.ts"
import { makeRpcCaller } from "./RpcCaller.ts"
import { Idempotent } from "./RpcIdempotent.ts"
import { makeRpcServing } from "./RpcServing.ts"
import { offerService, provideReadiness, type ServeOptions } from "./ServeOptions.ts"

export { Idempotent } from "./RpcIdempotent.ts"

/**
 * For `RpcServer.layer`: the service is offered while that runs. Fails where nobody would call it. A name
 * that cannot be a service's is a defect: it stands in the program.
 */
export const layerServer = <R = never>(
  service: string,
  options: ServeOptions<R> = {}
): Layer.Layer<RpcServer.Protocol, ServeRefused, MeshProgram | R> =>
  Layer.effect(
    RpcServer.Protocol,
    Effect.gen(function* () {
      const program = yield* MeshProgram
      const name = ServiceName.make(service)
      yield* program.mayServe(name)
      const serve = yield* provideReadiness(options)
      return yield* makeRpcServing(program, name, (dispatch) =>
        offerService(program, name, serve, dispatch)
      )
    })
  )

export interface RpcClientOptions<Rpcs extends Rpc.Any> {
  /**
   * Whose RPCs that are annotated `Idempotent` may be carried out twice: a policy repeats them when an
   * endpoint broke off. Default: none is.
   */
  readonly group?: RpcGroup.RpcGroup<Rpcs> | undefined
}

/** For `RpcClient.make`: its calls go to the service. */
export const layerClient = <Rpcs extends Rpc.Any = Rpc.Any>(
  service: string,
  { group }: RpcClientOptions<Rpcs> = {}
): Layer.Layer<RpcClient.Protocol, never, MeshCaller> =>
  Layer.effect(
    RpcClient.Protocol,
    Effect.flatMap(MeshCaller, (caller) =>
      makeRpcCaller({
        caller,
        service: ServiceName.make(service),
        isIdempotent: (tag) => {
          const rpc = group?.requests.get(tag)
          return rpc !== undefined && isIdempotent(rpc)
        }
      })
    )
  )

/** Each has annotations, though `Any` does not say so. */
type Annotated = Rpc.Any & { readonly annotations: Context.Context<never> }

const isIdempotent = (rpc: Rpc.Any): boolean =>
  Option.getOrElse(Context.getOption((rpc as Annotated).annotations, Idempotent), () => false)

/** Was it the mesh, and not the RPC's server, that ended the call? For `Effect.catchIf`. */
export const isMeshError = (
  error: unknown
): error is RpcClientError & { readonly cause: MeshFault } =>
  typeof error === "object" &&
  error !== null &&
  "_tag" in error &&
  error._tag === "RpcClientError" &&
  "cause" in error &&
  error.cause instanceof MeshFault
