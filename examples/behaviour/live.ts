/** The same purses as actors of a program: `node examples/behaviour/live.ts` in a checkout. */
import { Rpc } from "@effect/rpc"
import { Effect, Layer, Schema } from "effect"
import {
  Actor,
  ActorBehaviour,
  ActorState,
  CurrentAddress,
  layerLocal,
  MemoryStore
} from "skein/actors"
import { type PurseAction, purse } from "./purse.ts"

const Gift = Schema.Struct({ to: Schema.String, coins: Schema.Int })

const PurseState = Schema.Struct({
  coins: Schema.Int,
  given: Schema.Int,
  open: Schema.Record({ key: Schema.String, value: Gift }),
  taken: Schema.Record({ key: Schema.String, value: Schema.Array(Schema.Int) })
})

const Purse = Actor.make("Purse", [
  Rpc.make("Give", { payload: Gift.fields }),
  Rpc.make("Offer", {
    payload: { from: Schema.String, number: Schema.Int, coins: Schema.Int }
  }),
  Rpc.make("Taken", { payload: { number: Schema.Int } }),
  Rpc.make("Again", { payload: { number: Schema.Int } }),
  Rpc.make("Coins", { success: Schema.Int })
])

const PurseLive = Purse.toLayer(
  Effect.gen(function* () {
    const { entityId } = yield* CurrentAddress
    const state = yield* ActorState.make(PurseState, { initial: purse.initial })
    const purses = yield* Purse.client
    const reminders = yield* Purse.reminders
    const told = { discard: true } as const
    const interpret = (action: PurseAction): Effect.Effect<void> => {
      const { number } = action
      if (action._tag === "taken") return Effect.ignore(purses(action.to).Taken({ number }, told))
      const { coins, to } = action.gift
      const offer = purses(to).Offer({ from: entityId, number, coins }, told)
      // What does not arrive is offered again, also after a crash of all that there is.
      const again = reminders.set(`again-${number}`, { after: "1 second" }, "Again", { number })
      return Effect.zipRight(Effect.ignore(offer), again)
    }
    const turn = yield* ActorBehaviour.make(purse, { state, interpret })
    return {
      Give: ({ payload }) => Effect.asVoid(turn({ _tag: "give", ...payload })),
      Offer: ({ payload }) => Effect.asVoid(turn({ _tag: "offer", ...payload })),
      Taken: ({ payload }) => Effect.asVoid(turn({ _tag: "taken", ...payload })),
      Again: ({ payload }) => Effect.asVoid(turn({ _tag: "again", ...payload })),
      Coins: () => Effect.map(state.get, ({ coins }) => coins)
    }
  })
)

const program = Effect.gen(function* () {
  const purses = yield* Purse.client
  yield* purses("ann").Give({ to: "bob", coins: 30 })
  const coins = Effect.all([purses("ann").Coins(), purses("bob").Coins()])
  const [ann, bob] = yield* Effect.repeat(coins, { until: ([, got]) => got === 130 })
  console.log(`ann has ${ann} coins, and bob has ${bob}`)
})

await program.pipe(
  Effect.provide(PurseLive.pipe(Layer.provideMerge(layerLocal), Layer.provide(MemoryStore.layer))),
  Effect.runPromise
)
