/**
 * Whether a change made something worse. Machines and their moments differ, so what is compared
 * is how far apart two peers were in one run with how far apart they were in another.
 */
import { findRow, isSkein, type Measure, type Result, type Row } from "./Result.ts"
import { table } from "./ResultTable.ts"
import { median, ratios, spread } from "./Statistics.ts"

export interface Finding {
  readonly case: string
  readonly label: string
  readonly digits: number
  /** Over the reference, or as measured where the question has none. */
  readonly before: number
  readonly now: number
  /** Share by which it is worse; negative: better. */
  readonly worse: number
  /** What `worse` must exceed: the wider of both runs' spreads, or what the measure tolerates. */
  readonly noise: number
  readonly regressed: boolean
}

export interface Comparison {
  readonly findings: ReadonlyArray<Finding>
  /** Cases of the baseline that this run could not judge, and why. */
  readonly missing: ReadonlyArray<string>
}

/** The figures that are compared: over the reference, or as measured. */
const standing = (
  result: Result,
  row: Row,
  measure: Measure
): ReadonlyArray<number> | undefined => {
  const values = row.rounds[measure.key]
  if (result.reference === undefined) return values
  const reference = findRow(result, row.case, result.reference)?.rounds[measure.key]
  return values === undefined || reference === undefined ? undefined : ratios(values, reference)
}

const find = (
  before: ReadonlyArray<number>,
  now: ReadonlyArray<number>,
  name: string,
  measure: Measure,
  least: number
): Finding => {
  const change = median(now) / median(before)
  const worse = measure.better === "lower" ? change - 1 : 1 / change - 1
  const noise = Math.max(spread(before), spread(now), least)
  return {
    case: name,
    label: measure.label,
    digits: measure.digits,
    before: median(before),
    now: median(now),
    worse,
    noise,
    regressed: worse > noise
  }
}

/** Judges Skein's rows; peers are what they are. */
export const compareResults = (before: Result, now: Result): Comparison => {
  const findings: Array<Finding> = []
  const missing: Array<string> = []
  for (const row of now.rows) {
    if (!isSkein(row)) continue
    const name = row.peer === "skein" ? row.case : `${row.case}, ${row.peer}`
    const old = findRow(before, row.case, row.peer)
    if (old === undefined) {
      missing.push(`${name}: not in the baseline`)
      continue
    }
    if (row.errors > 0) missing.push(`${name}: ${row.errors} requests failed`)
    for (const measure of now.measures) {
      if (measure.judged === false) continue
      const then = standing(before, old, measure)
      const today = standing(now, row, measure)
      if (then === undefined || today === undefined) {
        missing.push(`${name}, ${measure.label}: no ${now.reference ?? "figures"} in one run`)
      } else {
        findings.push(find(then, today, name, measure, measure.judged))
      }
    }
  }
  return { findings, missing }
}

export const hasRegressed = ({ findings }: Comparison): boolean =>
  findings.some(({ regressed }) => regressed)

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const verdict = ({ worse, noise, regressed }: Finding): string => {
  if (regressed) return "WORSE"
  return worse < -noise ? "better" : "within spread"
}

export const describeComparison = (before: Result, now: Result, found: Comparison): string => {
  const unit = now.reference === undefined ? "" : ` / ${now.reference}`
  const rows = found.findings.map((it) => {
    const digits = now.reference === undefined ? it.digits : 3
    return [
      it.case,
      `${it.label}${unit}`,
      it.before.toFixed(digits),
      it.now.toFixed(digits),
      `${it.worse > 0 ? "+" : ""}${percent(it.worse)}`,
      `±${percent(it.noise)}`,
      verdict(it)
    ]
  })
  return [
    `skein against the baseline of ${before.at} (${before.code}); + is worse`,
    table([["case", "measure", "before", "now", "change", "spread", ""], ...rows]),
    ...found.missing.map((text) => `not judged: ${text}`)
  ].join("\n")
}
