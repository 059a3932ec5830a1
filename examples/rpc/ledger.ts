/** What the ledger's server and its clients agree on. */
import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { MeshRpc } from "skein/rpc"

export class NotCovered extends Schema.TaggedError<NotCovered>()("NotCovered", {
  missing: Schema.Int
}) {}

export const Ledger = RpcGroup.make(
  Rpc.make("Pay", {
    payload: { from: Schema.String, amount: Schema.Int },
    success: Schema.Int,
    error: NotCovered
  }),
  // May be carried out twice, so the mesh asks again elsewhere when an endpoint breaks off.
  Rpc.make("Balance", { payload: { of: Schema.String }, success: Schema.Int }).annotate(
    MeshRpc.Idempotent,
    true
  ),
  Rpc.make("Payments", { success: Schema.String, stream: true })
)
