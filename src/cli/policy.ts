/** `skein policy explain SERVICE`: what holds for calls from this node, and who says so. */
import * as Command from "@effect/cli/Command"
import type { PolicyExplained } from "../admin/PolicyModel.ts"
import { serviceArgument } from "./endpoints.ts"
import { missing } from "./Figures.ts"
import { type Column, renderTable, tinted } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

type Value = PolicyExplained["values"][number]

const sources: Readonly<Record<Value["source"], string>> = {
  config: "this node's config",
  mesh: "the mesh",
  owner: "its own node",
  default: "default"
}

const shown = (value: unknown): string => {
  if (value === null || value === undefined) return "none"
  return Array.isArray(value) ? `[${value.join(", ")}]` : String(value)
}

const columns: ReadonlyArray<Column<Value>> = [
  { title: "VALUE", cell: ({ path }) => path },
  { title: "IS", cell: ({ value }) => shown(value) },
  {
    title: "FROM",
    cell: ({ source }) => sources[source],
    tone: ({ source }) => (source === "default" ? "dim" : "good")
  },
  { title: "BY", cell: ({ by }) => (by === "" ? missing : by) }
]

export const renderPolicy = ({ leftOut, values }: PolicyExplained, { colour }: Showing): string => {
  const table = renderTable(columns, values, { colour, empty: "There is no policy." })
  const lines = leftOut.map(({ by, part, reason, source }) =>
    tinted(`${part} of ${sources[source]} (${by}) does not hold: ${reason}\n`, "bad", colour)
  )
  return `${table}${lines.join("")}`
}

const explain = Command.make("explain", { ...viewOptions, name: serviceArgument }, (choice) =>
  showView(choice, {
    fetch: (client) => client.views.policy({ path: { name: choice.name } }),
    render: renderPolicy
  })
).pipe(Command.withDescription("Say each value that holds for calls from here, and whose it is"))

export const policy = Command.make("policy").pipe(
  Command.withSubcommands([explain]),
  Command.withDescription("How calls to a service are made resilient, and who says so")
)
