/** The actor of the world (ActorWorld.ts): a counter, saved before it answers. */
import { Rpc } from "@effect/rpc"
import { Effect, Schema } from "effect"
import { Idempotent } from "../../src/api/RpcIdempotent.ts"
import * as Actor from "../../src/entity/Actor.ts"
import { checkedType } from "../../src/entity/ActorService.ts"
import * as ActorState from "../../src/entity/ActorState.ts"

const Counter = Actor.make("Counter", [
  Rpc.make("Add", { success: Schema.Int }),
  Rpc.make("Get", { success: Schema.Int }).annotate(Idempotent, true)
])

export const counterService = checkedType("Counter")
export const counterClient = Counter.client
export type CounterClient = Effect.Effect.Success<typeof counterClient>

const State = Schema.Struct({ count: Schema.optionalWith(Schema.Int, { default: () => 0 }) })

export const counterLive = Counter.toLayer(
  Effect.gen(function* () {
    const state = yield* ActorState.make(State)
    return {
      Add: () =>
        Effect.map(
          state.update(({ count }) => ({ count: count + 1 })),
          ({ count }) => count
        ),
      Get: () => Effect.map(state.get, ({ count }) => count)
    }
  }),
  // Whoever sends an increment again may do so from another host.
  { guarantee: "leased", keys: "message", idle: "20 seconds" }
)
