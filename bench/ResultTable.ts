/** A result as text for people: medians, spread, and each row over its case's reference. */
import { findRow, type Measure, type Result, type Row } from "./Result.ts"
import { median, ratios, spread } from "./Statistics.ts"

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`

/** Columns as wide as their widest cell; names to the left, figures to the right. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>, names = 2): string => {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i < names ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

const figure = (values: ReadonlyArray<number> | undefined, digits: number): string =>
  values === undefined || values.length === 0 ? "–" : median(values).toFixed(digits)

/** `×1.23` of the reference; nothing for the reference itself or when one of both is missing. */
const over = (row: Row, reference: Row | undefined, measure: Measure): string => {
  const values = row.rounds[measure.key]
  const base = reference?.rounds[measure.key]
  if (values === undefined || base === undefined || reference === row) return ""
  const share = median(ratios(values, base))
  return Number.isFinite(share) ? `×${share.toFixed(2)}` : ""
}

/** Some row is divided by another of its own kind. */
const hasOwn = ({ rows }: Result): boolean => rows.some(({ over }) => over !== undefined)

const cells = (row: Row, result: Result): ReadonlyArray<string> => {
  const reference =
    result.reference === undefined ? undefined : findRow(result, row.case, result.reference)
  const own = row.over === undefined ? undefined : findRow(result, row.case, row.over)
  return result.measures.flatMap((measure) => {
    const values = row.rounds[measure.key]
    const cell = figure(values, measure.digits)
    if (measure.judged === false) return [cell]
    return [
      cell,
      ...(result.reference === undefined ? [] : [over(row, reference, measure)]),
      ...(hasOwn(result) ? [over(row, own, measure)] : []),
      values === undefined || values.length < 2 ? "" : `±${percent(spread(values))}`
    ]
  })
}

const heads = (result: Result): ReadonlyArray<string> =>
  result.measures.flatMap(({ label, judged }) => {
    if (judged === false) return [label]
    return [
      label,
      ...(result.reference === undefined ? [] : [`/ ${result.reference}`]),
      ...(hasOwn(result) ? ["/ own"] : []),
      "spread"
    ]
  })

const rowsOf = (result: Result): ReadonlyArray<ReadonlyArray<string>> => [
  ["case", "peer", ...heads(result), "errors"],
  ...result.rows.map((row, i) => [
    row.case === result.rows[i - 1]?.case ? "" : row.case,
    row.peer,
    ...cells(row, result),
    row.errors === 0 ? "" : `${row.errors} FAILED`
  ])
]

const absences = (result: Result): ReadonlyArray<string> =>
  result.absent.map(({ peer, why }) => `absent: ${peer}: ${why}`)

/** For the terminal. */
export const describeResult = (result: Result): string =>
  [
    `${result.question}: ${result.method}`,
    `${result.code}, ${result.runtime}, ${result.processor}, ${result.at}`,
    "",
    table(rowsOf(result)),
    ...absences(result)
  ].join("\n")

/** For documents. */
export const markdownOf = (result: Result): string => {
  const [head, ...rows] = rowsOf(result)
  const line = (row: ReadonlyArray<string>) => `| ${row.join(" | ")} |`
  const rule = (head ?? []).map((_, i) => (i < 2 ? "---" : "---:"))
  return [line(head ?? []), line(rule), ...rows.map(line), ...absences(result)].join("\n")
}
