/** wrk as the load: one thread, a number of connections, one kind of request. */
import { join } from "node:path"
import { Schema } from "effect"
import { runWell } from "../../test/fixtures/Processes.ts"

const script = join(import.meta.dirname, "wrk-report.lua")

export interface Load {
  readonly path: string
  readonly connections: number
  /** Name and value, beside Host. */
  readonly headers?: ReadonlyArray<readonly [string, string]>
  readonly method?: string
  /** Length of the request's body. */
  readonly bodyBytes?: number
}

export interface LoadTarget {
  readonly wrk: string
  /** host:port */
  readonly entry: string
  readonly host: string
  readonly seconds: number
}

const Report = Schema.Struct({
  requests: Schema.NonNegativeInt,
  durationUs: Schema.Positive,
  p50Us: Schema.NonNegative,
  p99Us: Schema.NonNegative,
  errors: Schema.Record({
    key: Schema.Literal("connect", "read", "write", "status", "timeout"),
    value: Schema.NonNegativeInt
  })
})

const decodeReport = Schema.decodeSync(Schema.parseJson(Report))

/** The line that `wrk-report.lua` writes. */
export const parseReport = (stdout: string): typeof Report.Type => {
  const line = stdout.split("\n").find((text) => text.startsWith("report "))
  if (line === undefined) throw new Error(`wrk made no report:\n${stdout}`)
  return decodeReport(line.slice("report ".length))
}

export interface LoadResult {
  readonly requests: number
  readonly errors: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

export const wrkArguments = (load: Load, target: LoadTarget): ReadonlyArray<string> => [
  ...["--threads", "1", "--connections", String(load.connections)],
  ...[
    "--duration",
    `${Math.ceil(target.seconds)}s`,
    "--timeout",
    "10s",
    "--header",
    `Host: ${target.host}`
  ],
  ...(load.headers ?? []).flatMap(([name, value]) => ["--header", `${name}: ${value}`]),
  ...["--script", script, `http://${target.entry}${load.path}`, "--"],
  ...[load.method ?? "GET", ...(load.bodyBytes === undefined ? [] : [String(load.bodyBytes)])]
]

export const runWrk = async (load: Load, target: LoadTarget): Promise<LoadResult> => {
  const { stdout } = await runWell(target.wrk, wrkArguments(load, target), {
    what: `wrk against ${target.entry}`
  })
  const report = parseReport(stdout)
  if (report.requests === 0) {
    throw new Error(`${target.entry} answered no request within ${target.seconds} s`)
  }
  return {
    requests: report.requests,
    errors: Object.values(report.errors).reduce((sum, count) => sum + count, 0),
    seconds: report.durationUs / 1e6,
    p50: report.p50Us / 1_000,
    p99: report.p99Us / 1_000
  }
}
