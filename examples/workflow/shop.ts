/** What the shop's departments are asked. */
import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { item: Schema.String }) {}

export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { item: Schema.String }) {}

/** What comes again under the same key is answered as before, and not done again. */
export const Asked = Schema.Struct({
  key: Schema.String,
  order: Schema.String,
  item: Schema.String,
  /** The host that asks. */
  by: Schema.String
})
export type Asked = typeof Asked.Type

export const Shop = RpcGroup.make(
  Rpc.make("Reserve", { payload: Asked, error: SoldOut }),
  Rpc.make("PutBack", { payload: Asked }),
  Rpc.make("Charge", { payload: Asked, success: Schema.Int }),
  Rpc.make("Refund", { payload: Asked }),
  Rpc.make("Ship", { payload: Asked, success: Schema.String, error: TooLarge })
)
