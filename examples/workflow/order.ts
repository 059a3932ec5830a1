/**
 * Orders, and waits until the checkout has come to its end; asked again it says how that was.
 *
 *     npx node examples/workflow/order.ts unix:/run/skein/programs.sock ./checkouts.sqlite order-1 tea
 */
import { Console, Effect } from "effect"
import { Skein } from "skein"
import { Checkout, engineElsewhere } from "./checkout.ts"

const [to, file = "./checkouts.sqlite", order = "order-1", item = "tea"] = process.argv.slice(2)

await Checkout.execute({ order, item }).pipe(
  Effect.flatMap(({ endedOn, paid, parcel }) =>
    Console.log(`${parcel} is on its way, ${paid} paid; ended on ${endedOn}`)
  ),
  Effect.catchTags({
    SoldOut: (it) => Console.log(`${order} has failed: ${it.item} is sold out`),
    TooLarge: (it) => Console.log(`${order} has failed: ${it.item} is too large to be shipped`)
  }),
  Effect.provide(engineElsewhere(file)),
  Effect.provide(Skein.attach({ to, name: "till" })),
  Effect.catchAll(({ message }) => {
    process.exitCode = 1
    return Console.error(message)
  }),
  Effect.runPromise
)
