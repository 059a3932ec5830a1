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

const linesOf = (body: Written["body"]): ReadonlyArray<string> =>
  body === null || Object.keys(body).length === 0 ? [] : stringify(body).trimEnd().split("\n")

/** What of its body would be other than it is, one line each; `colour` as everywhere. */
export const renderDiff = (
  before: Written["body"],
  after: Written["body"],
  colour: boolean
): ReadonlyArray<string> =>
  diffLines(linesOf(before), linesOf(after)).map(({ sign, text }) =>
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
