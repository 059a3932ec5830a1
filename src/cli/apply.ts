/** `skein apply -f FILE…|DIR`: what stands in these files holds in the whole mesh. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Console, Effect } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import type { SettingStatus } from "../admin/SettingsModel.ts"
import type { ConfigError } from "../config/ConfigProblem.ts"
import { loadSettings, type SettingDocument } from "../config/SettingFiles.ts"
import { kindOf } from "../schema/SettingKinds.ts"
import { chosenControl } from "./ChosenNode.ts"
import { type CommandFailed, warn, wrongUsage } from "./CommandFailed.ts"
import { counted } from "./Figures.ts"
import { changeOptions, type Outlook, outlook, sendChanges, tryChanges } from "./SettingChanges.ts"
import { renderDiff } from "./SettingText.ts"
import { print, useColour } from "./View.ts"

export const fileOptions = {
  files: Options.text("file").pipe(
    Options.withPseudoName("file|directory"),
    Options.withAlias("f"),
    Options.withDescription(
      "YAML, JSON or TypeScript files, or directories of them; may stand several times"
    ),
    Options.repeated
  ),
  recursive: Options.boolean("recursive").pipe(
    Options.withAlias("R"),
    Options.withDescription("Take directories within directories, too")
  ),
  more: Args.text({ name: "FILE" }).pipe(
    Args.withDescription("Further files, as a shell makes them of -f rules/*.yaml"),
    Args.repeated
  )
}

export interface FileChoice {
  readonly files: ReadonlyArray<string>
  readonly more: ReadonlyArray<string>
  readonly recursive: boolean
}

/** What the files say, and a word on what was left out; none is wrong usage. */
export const chosenDocuments = ({
  files,
  more,
  recursive
}: FileChoice): Effect.Effect<ReadonlyArray<SettingDocument>, CommandFailed | ConfigError> =>
  files.length === 0
    ? Effect.fail(wrongUsage("say what is to hold: -f FILE or -f DIRECTORY"))
    : loadSettings([...files, ...more], { recursive }).pipe(
        Effect.tap(({ skipped }) => warn(skipped.map((one) => `not taken: ${one}`))),
        Effect.map(({ documents }) => documents)
      )

const applyOptions = {
  ...changeOptions,
  ...fileOptions,
  dryRun: Options.boolean("dry-run").pipe(
    Options.withDescription(
      "Say what would change and for whom, fail where it would be refused, and change nothing"
    )
  )
}

export const apply = Command.make("apply", applyOptions, (choice) =>
  Effect.gen(function* () {
    const documents = yield* chosenDocuments(choice)
    const control = yield* chosenControl(choice)
    const changes = documents.map(changeOf)
    if (!choice.dryRun) return yield* sendChanges(control, changes, choice)
    const current = yield* withAdmin(control, (client) => client.settings.list({ urlParams: {} }))
    yield* print(renderPlan(documents, current, useColour()))
    // What stands against it is for the node to say, in the words it would have for the change itself.
    yield* tryChanges(control, changes, choice)
    const count = documents.filter((one) => outlook(current, one).outlook !== "nothing").length
    yield* Console.error(
      count === 0
        ? "nothing would change"
        : `${counted(count, "setting")} would change; nothing was`
    )
  })
).pipe(Command.withDescription("Make what stands in files hold in the whole mesh"))

const changeOf = ({ kind, name, body, why }: SettingDocument) => ({
  ...{ kind, name, body },
  ...(why === undefined ? {} : { why })
})

const wouldBe: Readonly<Record<Outlook, string>> = {
  create: "would be created",
  change: "would change",
  settle: "would be settled: it says what holds already, against what others set apart",
  nothing: "is so already"
}

/** Each with what would be other in it, and whom it concerns. Ends with a newline unless it is empty. */
export const renderPlan = (
  documents: ReadonlyArray<SettingDocument>,
  current: ReadonlyArray<SettingStatus>,
  colour: boolean
): string =>
  documents
    .map((document) => {
      const { kind, name, body } = document
      const { before, outlook: what } = outlook(current, document)
      const head = `${kind} ${name} ${wouldBe[what]}`
      if (what === "nothing") return `${head}\n`
      const whom = kindOf(kind)?.concerns(name, body)
      const concerns = whom === undefined ? "" : `, for ${whom}`
      const lines = renderDiff(before?.body ?? null, body, colour)
      return `${head}${concerns}\n${lines.map((line) => `  ${line}\n`).join("")}`
    })
    .join("")
