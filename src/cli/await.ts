/** `skein await SERVICE`: for jobs that must not start before what they call is there. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Console, Duration, Effect, Schedule } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { Millis } from "../schema/Duration.ts"
import { chosenNode } from "./ChosenNode.ts"
import { failCommand } from "./CommandFailed.ts"
import { serviceArgument } from "./endpoints.ts"
import { counted, span } from "./Figures.ts"
import { nodeOptions, readAs } from "./NodeAddress.ts"

const awaitOptions = {
  ...nodeOptions,
  timeout: Options.text("timeout").pipe(
    Options.withPseudoName("duration"),
    Options.withDefault("1m"),
    Options.mapEffect(readAs(Millis, "--timeout")),
    Options.withDescription("Give up after this long, with exit code 1 (default: 1m)")
  ),
  name: serviceArgument
}

export const awaitService = Command.make("await", awaitOptions, (choice) =>
  Effect.gen(function* () {
    const address = yield* chosenNode(choice)
    let seen = "it was never seen"
    const usable: Effect.Effect<number, "not yet"> = withAdmin(address, (client) =>
      client.views.endpoints({ path: { name: choice.name } })
    ).pipe(
      Effect.map((endpoints) => {
        const good = endpoints.filter(
          ({ healthy, draining, member }) => healthy && !draining && member === "alive"
        )
        seen = `it has ${counted(endpoints.length, "endpoint")}, none of them usable`
        return good.length
      }),
      // Not there yet is what we wait for: the service, or the node itself, may still be starting.
      Effect.catchAll((error) =>
        Effect.sync(() => {
          seen = error.message
          return 0
        })
      ),
      Effect.filterOrFail(
        (count) => count > 0,
        () => "not yet" as const
      )
    )
    const count = yield* usable.pipe(
      Effect.retry(Schedule.spaced("200 millis")),
      Effect.timeoutFail({
        duration: Duration.millis(choice.timeout),
        onTimeout: () =>
          failCommand(`${choice.name} was not there within ${span(choice.timeout)}: ${seen}`)
      })
    )
    yield* Console.error(`${choice.name} is there: ${counted(count, "usable endpoint")}`)
  })
).pipe(Command.withDescription("Wait until a service has a healthy endpoint"))
