/** `skein reload`: read the config again, without losing a request. */
import * as Command from "@effect/cli/Command"
import { Console, Effect } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { chosenControl, controlOptions } from "./ChosenNode.ts"

export const reload = Command.make("reload", controlOptions, (choice) =>
  Effect.gen(function* () {
    const control = yield* chosenControl(choice)
    const result = yield* withAdmin(control, (client) => client.actions.reload({}), "1 minute")
    yield* Console.error(result.changes.length === 0 ? "nothing changed" : "reloaded")
    yield* Effect.forEach(result.changes, (line) => Console.error(`  ${line}`))
    yield* Effect.forEach(result.warnings, (line) => Console.error(`  warning: ${line}`))
  })
).pipe(Command.withDescription("Read the config again; running requests are not touched"))
