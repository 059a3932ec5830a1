/** `skein reload`: read the config again, without losing a request. */
import * as Command from "@effect/cli/Command"
import { Console, Effect } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { chosenNode, nodeOptions } from "./NodeAddress.ts"

export const reload = Command.make("reload", nodeOptions, (choice) =>
  Effect.gen(function* () {
    const address = yield* chosenNode(choice)
    const result = yield* withAdmin(address, (client) => client.actions.reload({}), "1 minute")
    yield* Console.error(result.changes.length === 0 ? "nothing changed" : "reloaded")
    yield* Effect.forEach(result.changes, (line) => Console.error(`  ${line}`))
    yield* Effect.forEach(result.warnings, (line) => Console.error(`  warning: ${line}`))
  })
).pipe(Command.withDescription("Read the config again; running requests are not touched"))
