/** `skein forget NODE`: takes a host off the lists that is gone and will never say so. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Console, Effect } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { chosenControl, controlOptions } from "./ChosenNode.ts"
import { wrongUsage } from "./CommandFailed.ts"
import { author } from "./SettingChanges.ts"

const node = Args.text({ name: "node" }).pipe(
  Args.withDescription("Name or peer id of a node that is dead, as `skein members` shows it")
)

export const forget = Command.make("forget", { ...controlOptions, node }, (choice) =>
  Effect.gen(function* () {
    if (choice.node.trim() === "") {
      return yield* wrongUsage("say which node is gone for good: its name or its peer id")
    }
    const control = yield* chosenControl(choice)
    const payload = { node: choice.node, author: author() }
    const forgotten = yield* withAdmin(control, (client) => client.actions.forget({ payload }))
    yield* Console.error(
      `${forgotten.node} (${forgotten.peer}) is forgotten in the whole mesh; if it comes back, it is a member as before`
    )
  })
).pipe(Command.withDescription("Take a dead host off the lists that will never say that it leaves"))
