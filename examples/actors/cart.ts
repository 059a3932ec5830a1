/** Shopping carts as actors: what they are asked, and what they do. */
import { Rpc } from "@effect/rpc"
import { Effect, Schema } from "effect"
import { Actor, ActorState, CurrentAddress } from "skein/actors"
import { MeshRpc } from "skein/rpc"

export class CartFull extends Schema.TaggedError<CartFull>()("CartFull", { most: Schema.Int }) {}

export const Cart = Actor.make("Cart", [
  Rpc.make("Add", { payload: { item: Schema.String }, success: Schema.Int, error: CartFull }),
  // May be carried out twice, so it is asked again when a host breaks off.
  Rpc.make("Items", { success: Schema.Array(Schema.String) }).annotate(MeshRpc.Idempotent, true),
  Rpc.make("Host", { success: Schema.String }).annotate(MeshRpc.Idempotent, true)
])

const CartState = Schema.Struct({
  items: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
})

const most = 10

/** Runs carts in this program; `host` is only told to who asks. */
export const cartsOn = (host: string, idle = "5 minutes" as const) =>
  Cart.toLayer(
    Effect.gen(function* () {
      const { entityId } = yield* CurrentAddress
      yield* Effect.logDebug(`cart ${entityId} is on ${host} now`)
      // Loaded before the first message; saved before the answer to one that has changed it.
      const state = yield* ActorState.make(CartState)
      return {
        Add: ({ payload: { item } }) =>
          Effect.gen(function* () {
            const { items } = yield* state.get
            if (items.length === most) return yield* new CartFull({ most })
            yield* state.set({ items: [...items, item] })
            return items.length + 1
          }),
        Items: () => Effect.map(state.get, ({ items }) => items),
        Host: () => Effect.succeed(host)
      }
    }),
    { idle, guarantee: "leased" }
  )
