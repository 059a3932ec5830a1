/** `skein delete KIND NAME`: it holds no longer, anywhere. */
import * as Command from "@effect/cli/Command"
import { Effect } from "effect"
import { chosenControl } from "./ChosenNode.ts"
import { kindArgument, nameArgument } from "./get.ts"
import { changeOptions, sendChanges } from "./SettingChanges.ts"

const deleteOptions = { ...changeOptions, kind: kindArgument, name: nameArgument }

export const deleteSetting = Command.make("delete", deleteOptions, (choice) =>
  Effect.gen(function* () {
    const { kind, name } = choice
    const control = yield* chosenControl(choice)
    yield* sendChanges(control, [{ kind, name, body: null }], choice)
  })
).pipe(Command.withDescription("Take back what holds in the whole mesh"))
