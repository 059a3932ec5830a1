/** Lines of the audit log for people: when, what, whom it is about, by whom and from where. */

import { Either, Schema } from "effect"
import { plainLine } from "../model/PlainLine.ts"
import { counted, span } from "./Figures.ts"
import { type Tone, tinted } from "./Table.ts"

const Text = Schema.optional(Schema.String)

/** What later versions say besides is passed over. */
const Row = Schema.Struct({
  time: Schema.String,
  node: Schema.String,
  event: Schema.String,
  by: Text,
  from: Text,
  about: Text,
  code: Text,
  message: Text,
  count: Schema.optional(Schema.Number),
  withinMs: Schema.optional(Schema.Number),
  more: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
})
type Row = typeof Row.Type

const decode = Schema.decodeUnknownEither(Schema.parseJson(Row))

/** The rows of a text; a line that is none stands as it is. */
export const readAuditRows = (text: string): ReadonlyArray<Row | string> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Either.getOrElse(decode(line), () => line))

const toneOf = (event: string): Tone =>
  /refused|denied|overused|lost/.test(event)
    ? "bad"
    : /changed|revoked|forgotten/.test(event)
      ? "warn"
      : "good"

const valueOf = (value: unknown): string =>
  Array.isArray(value) ? value.join(",") || "none" : String(value)

/** What goes on is told with its count, behind the first time, which was told at once. */
const countOf = ({ count, withinMs }: Row): string | undefined =>
  count === undefined
    ? undefined
    : withinMs === undefined
      ? `(${counted(count, "time")})`
      : `(${count} more within ${span(withinMs)})`

const describe = (row: Row): string => {
  const { about, by, code, from, message, more } = row
  return [
    about,
    by === undefined ? undefined : `by ${by}`,
    from === undefined ? undefined : `from ${from}`,
    code,
    message,
    ...Object.entries(more ?? {}).map(([name, value]) => `${name} ${valueOf(value)}`),
    countOf(row)
  ]
    .filter((part) => part !== undefined)
    .join("  ")
}

export const renderAudit = (rows: ReadonlyArray<Row | string>, colour: boolean): string =>
  rows
    .map((row) => {
      if (typeof row === "string") return `${plainLine(row)}\n`
      const event = tinted(row.event.padEnd(15), toneOf(row.event), colour)
      return `${row.time}  ${event}  ${plainLine(describe(row))}\n`
    })
    .join("")
