/** `skein history KIND NAME`: who set it to what, and when. */
import * as Command from "@effect/cli/Command"
import { Clock, Effect } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import type { SettingHistory } from "../admin/SettingsModel.ts"
import { chosenNode } from "./ChosenNode.ts"
import { missing, span } from "./Figures.ts"
import { kindArgument, nameArgument, textOption } from "./get.ts"
import { nodeOptions } from "./NodeAddress.ts"
import { byWhom, inShort, yamlOf } from "./SettingText.ts"
import { type Column, renderTable } from "./Table.ts"
import { print, type Showing, useColour } from "./View.ts"

const states = { in_force: "in force", apart: "set apart", past: "past" } as const

const columns = (now: number): ReadonlyArray<Column<SettingHistory[number]>> => [
  { title: "VERSION", cell: ({ id }) => id },
  {
    title: "STATE",
    cell: ({ state }) => states[state],
    tone: ({ state }) => (state === "in_force" ? "good" : state === "apart" ? "bad" : "dim")
  },
  { title: "AGE", cell: ({ signedAt }) => span(Math.max(0, now - signedAt)), align: "right" },
  { title: "BY", cell: byWhom },
  { title: "WHY", cell: ({ why }) => why ?? missing },
  { title: "SAYS", cell: ({ body }) => inShort(body) }
]

export const renderHistory = (history: SettingHistory, { colour, now }: Showing): string =>
  renderTable(columns(now), history, { colour, empty: "Nothing is known of it." })

const historyOptions = {
  ...nodeOptions,
  output: textOption,
  kind: kindArgument,
  name: nameArgument
}

export const history = Command.make("history", historyOptions, (choice) =>
  Effect.gen(function* () {
    const { kind, name } = choice
    const address = yield* chosenNode(choice)
    const versions = yield* withAdmin(address, (client) =>
      client.settings.history({ path: { kind, name } })
    )
    switch (choice.output) {
      case "json":
        return yield* print(`${JSON.stringify(versions, undefined, 2)}\n`)
      case "yaml": {
        const texts = versions.map((one) => {
          const what = one.body === null ? "deleted" : states[one.state]
          return `# ${one.id}, ${byWhom(one)}, ${new Date(one.signedAt).toISOString()}: ${what}\n${yamlOf({ kind, name, why: one.why, body: one.body })}`
        })
        return yield* print(texts.join("---\n"))
      }
      case "table": {
        const now = yield* Clock.currentTimeMillis
        return yield* print(renderHistory(versions, { colour: useColour(), now }))
      }
    }
  })
).pipe(Command.withDescription("Who set a setting to what, and when"))
