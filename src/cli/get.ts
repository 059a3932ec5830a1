/** `skein get [KIND [NAME]]`: what holds in the whole mesh. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Clock, Console, Effect, Option } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import type { SettingStatus } from "../admin/SettingsModel.ts"
import { nearest } from "../model/NearestKey.ts"
import { isOfNodes, kindNames } from "../schema/SettingKinds.ts"
import { chosenNode } from "./ChosenNode.ts"
import { failCommand } from "./CommandFailed.ts"
import { missing, span } from "./Figures.ts"
import { nodeOptions } from "./NodeAddress.ts"
import { byWhom, inShort, yamlOfAll } from "./SettingText.ts"
import { type Column, renderTable } from "./Table.ts"
import { print, type Showing, useColour } from "./View.ts"

const kindAbout = `A kind of settings: ${kindNames().join(", ")}`

export const kindArgument = Args.text({ name: "KIND" }).pipe(Args.withDescription(kindAbout))
export const nameArgument = Args.text({ name: "NAME" }).pipe(
  Args.withDescription("The name of a setting")
)

export const textOption = Options.choice("output", ["table", "yaml", "json"]).pipe(
  Options.withAlias("o"),
  Options.withDefault("table"),
  Options.withDescription("table for people, yaml to be applied again, json for programs")
)

const columns = (now: number): ReadonlyArray<Column<SettingStatus>> => [
  { title: "KIND", cell: ({ kind }) => kind },
  { title: "NAME", cell: ({ name }) => name },
  { title: "VERSION", cell: ({ id }) => id },
  { title: "AGE", cell: ({ signedAt }) => span(Math.max(0, now - signedAt)), align: "right" },
  { title: "BY", cell: byWhom },
  {
    title: "CONFLICT",
    cell: ({ conflict }) =>
      conflict.length === 0
        ? missing
        : conflict.map((one) => `${one.id} ${byWhom(one)}`).join(", "),
    tone: ({ conflict }) => (conflict.length === 0 ? undefined : "bad")
  },
  { title: "SAYS", cell: ({ body }) => inShort(body) }
]

export const renderSettings = (
  settings: ReadonlyArray<SettingStatus>,
  { colour, now }: Showing
): string =>
  renderTable(columns(now), settings, {
    colour,
    empty: "No settings: nothing was applied that holds in the whole mesh."
  })

const getOptions = {
  ...nodeOptions,
  output: textOption,
  kind: Args.optional(kindArgument),
  name: Args.optional(nameArgument)
}

export const get = Command.make("get", getOptions, (choice) =>
  Effect.gen(function* () {
    const address = yield* chosenNode(choice)
    const kind = Option.getOrUndefined(choice.kind)
    const name = Option.getOrUndefined(choice.name)
    const all = yield* withAdmin(address, (client) => client.settings.list({ urlParams: {} }))
    if (kind !== undefined) yield* requireKind(kind, all)
    const shown = all.filter(
      (one) =>
        (kind === undefined ? !isOfNodes(one.kind) : one.kind === kind) &&
        (name === undefined || one.name === name)
    )
    if (kind !== undefined && name !== undefined && shown.length === 0) {
      return yield* noSuch(kind, name, all)
    }
    switch (choice.output) {
      case "json":
        return yield* print(`${JSON.stringify(shown, undefined, 2)}\n`)
      case "yaml":
        return yield* print(yamlOfAll(shown))
      case "table": {
        const now = yield* Clock.currentTimeMillis
        yield* print(renderSettings(shown, { colour: useColour(), now }))
        if (shown.some(({ conflict }) => conflict.length > 0)) {
          yield* Console.error(
            "some were set apart by two who did not know of each other: `skein history KIND NAME` shows both; apply or roll back to the one that is meant"
          )
        }
      }
    }
  })
).pipe(Command.withDescription("What holds in the whole mesh"))

/** Of a newer node there may be kinds that are not known here. */
const requireKind = (kind: string, all: ReadonlyArray<SettingStatus>) => {
  const kinds = Array.from(new Set([...kindNames(), ...all.map((one) => one.kind)]))
  if (kinds.includes(kind)) return Effect.void
  const near = nearest(kind, kinds)
  const hint = near === undefined ? `; there are ${kinds.join(", ")}` : `; did you mean ${near}?`
  return Effect.fail(failCommand(`${kind} is no kind of settings${hint}`))
}

const noSuch = (kind: string, name: string, all: ReadonlyArray<SettingStatus>) => {
  const names = all.filter((one) => one.kind === kind).map((one) => one.name)
  const near = nearest(name, names)
  const hint = near === undefined ? "" : `; did you mean ${near}?`
  return failCommand(`there is no ${kind} ${name}${hint}`)
}
