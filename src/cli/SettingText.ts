/** Settings as people write and read them: YAML documents that could be applied as they stand. */
import { stringify } from "yaml"
import type { SettingStatus } from "../admin/SettingsModel.ts"
import { plainLine } from "../model/PlainLine.ts"
import { diffLines } from "./LineDiff.ts"
import { tinted } from "./Table.ts"

interface Written {
  readonly kind: string
  readonly name: string
  readonly why?: string | null | undefined
  readonly body: Readonly<Record<string, unknown>> | null
}

/** Ends with a newline. What is deleted says nothing. */
export const yamlOf = ({ kind, name, why, body }: Written): string =>
  body === null
    ? ""
    : stringify({ kind, name, ...(why === undefined || why === null ? {} : { why }), ...body })

/** Several, each a document of its own. */
export const yamlOfAll = (settings: ReadonlyArray<Written>): string =>
  settings
    .filter(({ body }) => body !== null)
    .map(yamlOf)
    .join("---\n")

const linesOf = (body: Written["body"], like: Written["body"] = body): ReadonlyArray<string> =>
  body === null || Object.keys(body).length === 0
    ? []
    : stringify(inOrderOf(body, like)).trimEnd().split("\n")

/** With its keys in the order of the other: what is signed is in an order of its own, which nobody wrote. */
const inOrderOf = (value: unknown, model: unknown): unknown => {
  if (Array.isArray(value)) {
    const models: ReadonlyArray<unknown> = Array.isArray(model) ? model : []
    return value.map((one, index) => inOrderOf(one, models[index]))
  }
  if (!isMapping(value) || !isMapping(model)) return value
  const keys = new Set([...Object.keys(model).filter((key) => key in value), ...Object.keys(value)])
  return Object.fromEntries(Array.from(keys, (key) => [key, inOrderOf(value[key], model[key])]))
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What of its body would be other than it is, one line each; `colour` as everywhere. */
export const renderDiff = (
  before: Written["body"],
  after: Written["body"],
  colour: boolean
): ReadonlyArray<string> =>
  diffLines(linesOf(before, after), linesOf(after)).map(({ sign, text }) =>
    tinted(`${sign} ${text}`, sign === "+" ? "good" : sign === "-" ? "bad" : undefined, colour)
  )

/** Who wrote a version, and where. */
export const byWhom = ({ author, node }: Pick<SettingStatus, "author" | "node">): string =>
  plainLine(`${author} on ${node}`)

/** What it says, on one line as long as a table has room for. */
export const inShort = (body: Written["body"]): string => {
  if (body === null) return "deleted"
  const text = stringify(body, { collectionStyle: "flow", lineWidth: 0 }).trim()
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
