/** `skein leave`: drain, say good-bye to the mesh, stop. */
import * as Command from "@effect/cli/Command"
import { Console, Effect } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { chosenControl, controlOptions } from "./ChosenNode.ts"
import { counted } from "./Figures.ts"

export const leave = Command.make("leave", controlOptions, (choice) =>
  Effect.gen(function* () {
    const control = yield* chosenControl(choice)
    // It drains first, which may take as long as the node's drain deadline.
    const { told } = yield* withAdmin(control, (client) => client.actions.leave({}), "10 minutes")
    yield* Console.error(`left: told ${counted(told, "member")}; the node stops`)
  })
).pipe(Command.withDescription("Drain, tell the mesh that this node is gone for good, and stop it"))
