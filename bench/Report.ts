/** What several rounds say together: medians and how far they lie apart. */

/** One way to the upstream with one number of connections: the figures of each round. */
export interface Series {
  readonly path: "direct" | "mesh"
  readonly connections: number
  readonly requestsPerSecond: Array<number>
  /** Milliseconds. */
  readonly p50: Array<number>
  readonly p99: Array<number>
  /** Of both nodes together, per request; empty when it cannot be measured. */
  readonly cpuMicros: Array<number>
}

export interface BenchResult {
  readonly bench: string
  /** RFC 3339, UTC. */
  readonly at: string
  readonly runtime: string
  readonly processor: string
  readonly secondsPerRound: number
  readonly series: ReadonlyArray<Series>
}

export const median = (values: ReadonlyArray<number>): number => {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** (largest − smallest) / median: what must be beaten before a difference means anything. */
export const spread = (values: ReadonlyArray<number>): number =>
  values.length === 0 ? Number.NaN : (Math.max(...values) - Math.min(...values)) / median(values)

const find = (result: BenchResult, path: Series["path"], connections: number): Series | undefined =>
  result.series.find((series) => series.path === path && series.connections === connections)

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`
const orDash = (value: number, digits: number): string =>
  Number.isNaN(value) ? "–" : value.toFixed(digits)

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join("  ")
    )
    .join("\n")
}

/** Text for people: medians with spread, then mesh against direct. */
export const describeResult = (result: BenchResult): string => {
  const rows: Array<ReadonlyArray<string>> = [
    ["path", "connections", "requests/s", "spread", "p50 ms", "p99 ms", "CPU µs/request", "spread"]
  ]
  for (const series of result.series) {
    const cpu = series.cpuMicros
    rows.push([
      series.path,
      String(series.connections),
      orDash(median(series.requestsPerSecond), 0),
      percent(spread(series.requestsPerSecond)),
      orDash(median(series.p50), 2),
      orDash(median(series.p99), 2),
      orDash(median(cpu), 1),
      cpu.length === 0 ? "–" : percent(spread(cpu))
    ])
  }
  const ratios = result.series
    .filter((series) => series.path === "mesh")
    .flatMap((mesh) => {
      const direct = find(result, "direct", mesh.connections)
      if (direct === undefined) return []
      const rate = median(mesh.requestsPerSecond) / median(direct.requestsPerSecond)
      const added = median(mesh.p50) - median(direct.p50)
      return [
        `${mesh.connections} connections: ${rate.toFixed(3)} of the direct rate, ${added.toFixed(2)} ms more at the median`
      ]
    })
  return `${table(rows)}\n\n${ratios.join("\n")}`
}

/** How `now` differs from an earlier run; what lies within the spread is said to be noise. */
export const compareResults = (before: BenchResult, now: BenchResult): string => {
  const rows: Array<ReadonlyArray<string>> = [["", "before", "now", "change", ""]]
  for (const series of now.series) {
    const old = find(before, series.path, series.connections)
    if (old === undefined) continue
    for (const [name, key, digits] of [
      ["requests/s", "requestsPerSecond", 0],
      ["p50 ms", "p50", 2],
      ["CPU µs", "cpuMicros", 1]
    ] as const) {
      if (series[key].length === 0 || old[key].length === 0) continue
      const change = median(series[key]) / median(old[key]) - 1
      const noise = Math.abs(change) <= Math.max(spread(series[key]), spread(old[key]))
      rows.push([
        `${series.path}, ${series.connections} connections, ${name}`,
        orDash(median(old[key]), digits),
        orDash(median(series[key]), digits),
        `${change >= 0 ? "+" : ""}${(change * 100).toFixed(1)} %`,
        noise ? "within spread" : ""
      ])
    }
  }
  return table(rows)
}
