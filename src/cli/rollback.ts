/** `skein rollback KIND NAME [VERSION]`: what it said before holds again, as a new version. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Effect, Option } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import type { SettingHistory } from "../admin/SettingsModel.ts"
import { chosenControl } from "./ChosenNode.ts"
import { failCommand } from "./CommandFailed.ts"
import { kindArgument, nameArgument } from "./get.ts"
import { changeOptions, sendChanges } from "./SettingChanges.ts"

const rollbackOptions = {
  ...changeOptions,
  kind: kindArgument,
  name: nameArgument,
  version: Args.text({ name: "VERSION" }).pipe(
    Args.withDescription("As `skein history` names it, or its beginning (default: the one before)"),
    Args.optional
  )
}

export const rollback = Command.make("rollback", rollbackOptions, (choice) =>
  Effect.gen(function* () {
    const { kind, name } = choice
    const control = yield* chosenControl(choice)
    const versions = yield* withAdmin(control, (client) =>
      client.settings.history({ path: { kind, name } })
    )
    const meant = yield* chosenVersion(versions, choice.version)
    const why = Option.orElse(choice.why, () => Option.some(`back to ${meant.id}`))
    const sending = { why, wait: choice.wait }
    yield* sendChanges(control, [{ kind, name, body: meant.body }], sending)
  })
).pipe(Command.withDescription("Make what a setting said before hold again"))

/** The one that is named; else the one that was in force before. */
const chosenVersion = (versions: SettingHistory, version: Option.Option<string>) =>
  Effect.suspend(() => {
    if (Option.isNone(version)) {
      const before = versions.find(({ state }) => state === "past")
      return before === undefined
        ? Effect.fail(failCommand("it has no version before this one that is known here"))
        : Effect.succeed(before)
    }
    const [one, ...others] = versions.filter(({ id }) => id.startsWith(version.value))
    if (one !== undefined && others.length === 0) return Effect.succeed(one)
    const ids = versions.map(({ id }) => id).join(", ")
    const what = one === undefined ? "it has no version" : "it has more than one version"
    return Effect.fail(failCommand(`${what} ${version.value}; there are ${ids}`))
  })
