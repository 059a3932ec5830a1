/**
 * Runs checkouts: one such program on each host, attached to its node.
 *
 *     npx node examples/workflow/host.ts unix:/run/skein/programs.sock ./checkouts.sqlite host-a
 */
import { Console, Effect, Layer } from "effect"
import { Skein } from "skein"
import { checkoutsOn, engine } from "./checkout.ts"

const [to, file = "./checkouts.sqlite", name = "host"] = process.argv.slice(2)

const fiber = Effect.runFork(
  Layer.launch(
    Layer.scopedDiscard(Console.log(`${name} runs checkouts`)).pipe(
      Layer.provide(checkoutsOn(name)),
      Layer.provide(engine(file)),
      Layer.provide(Skein.attach({ to, name }))
    )
  ).pipe(
    Effect.catchAll(({ message }) => {
      process.exitCode = 1
      return Console.error(message)
    })
  )
)
// What it was at goes on elsewhere, at once.
process.once("SIGTERM", () => fiber.unsafeInterruptAsFork(fiber.id()))
