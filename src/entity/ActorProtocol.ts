/** The messages of a type, whichever they are: what there is of any RpcGroup. */
import * as Rpc from "@effect/rpc/Rpc"
import type { Context } from "effect"

export interface ActorProtocol {
  readonly requests: ReadonlyMap<string, Rpc.Any>
  readonly annotations: Context.Context<never>
}

/** All that an Rpc has, of which the type of any of them names little. */
export const propsOf = (rpc: Rpc.Any | Rpc.AnyWithProps): Rpc.AnyWithProps => {
  if (Rpc.isRpc(rpc)) return rpc
  throw new Error(`${rpc._tag} was not made by Rpc.make of @effect/rpc`)
}
