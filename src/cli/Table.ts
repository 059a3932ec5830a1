/** Rows under aligned columns. Colour is for a terminal only, and never the only sign. */
import { plainLine } from "../model/PlainLine.ts"

export type Tone = "good" | "warn" | "bad" | "dim" | "head"

const codes: Record<Tone, string> = { good: "32", warn: "33", bad: "31", dim: "2", head: "1" }

export const tinted = (text: string, tone: Tone | undefined, colour: boolean): string =>
  colour && tone !== undefined && text !== "" ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  readonly align?: "left" | "right"
  readonly tone?: (row: Row) => Tone | undefined
}

/** Ends with a newline. Without rows it says `empty`. */
export const renderTable = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  rows: ReadonlyArray<Row>,
  options: { readonly colour: boolean; readonly empty: string }
): string => {
  if (rows.length === 0) return `${options.empty}\n`
  const cells = rows.map((row) => columns.map(({ cell }) => plainLine(cell(row))))
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((line) => line[index]!.length))
  )
  const line = (texts: ReadonlyArray<string>, tone: (index: number) => Tone | undefined) =>
    texts
      .map((text, index) => {
        const right = columns[index]!.align === "right"
        const last = index === texts.length - 1
        const padded = right
          ? text.padStart(widths[index]!)
          : text.padEnd(last ? 0 : widths[index]!)
        return tinted(padded, tone(index), options.colour)
      })
      .join("  ")
  const head = line(
    columns.map(({ title }) => title),
    () => "head"
  )
  const body = rows.map((row, at) => line(cells[at]!, (index) => columns[index]!.tone?.(row)))
  return `${[head, ...body].join("\n")}\n`
}

/** Name and value per line, values aligned. */
export const renderPairs = (
  pairs: ReadonlyArray<readonly [name: string, value: string, tone?: Tone | undefined]>,
  options: { readonly colour: boolean }
): string => {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs
    .map(
      ([name, value, tone]) =>
        `${tinted(name.padEnd(width), "head", options.colour)}  ${tinted(plainLine(value), tone, options.colour)}\n`
    )
    .join("")
}
