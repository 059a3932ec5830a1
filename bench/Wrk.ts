/** wrk as the load: one thread, a number of connections, one URL. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)
const script = join(import.meta.dirname, "wrk-report.lua")

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

export interface LoadOptions {
  readonly wrk: string
  readonly url: string
  readonly host: string
  readonly connections: number
  readonly seconds: number
}

interface WrkReport {
  readonly requests: number
  readonly durationUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly errors: Readonly<Record<"connect" | "read" | "write" | "status" | "timeout", number>>
}

/** The line that `wrk-report.lua` writes. */
export const parseReport = (stdout: string): WrkReport => {
  const line = stdout.split("\n").find((text) => text.startsWith("report "))
  if (line === undefined) throw new Error(`wrk made no report:\n${stdout}`)
  return JSON.parse(line.slice("report ".length))
}

/** Any failed request spoils the measurement, so it is an error. */
export const load = async (options: LoadOptions): Promise<LoadResult> => {
  const { stdout } = await run(options.wrk, [
    ...["--threads", "1", "--connections", String(options.connections)],
    ...["--duration", `${options.seconds}s`, "--timeout", "10s"],
    ...["--header", `Host: ${options.host}`, "--script", script, options.url]
  ])
  const report = parseReport(stdout)
  const failed = Object.values(report.errors).reduce((sum, count) => sum + count, 0)
  if (failed > 0) {
    throw new Error(`${failed} requests to ${options.url} failed: ${JSON.stringify(report.errors)}`)
  }
  return {
    requests: report.requests,
    seconds: report.durationUs / 1e6,
    p50: report.p50Us / 1_000,
    p99: report.p99Us / 1_000
  }
}
