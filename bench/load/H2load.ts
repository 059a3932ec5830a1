/** h2load as the load: one thread, a number of connections, so many requests at a time on each. */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { runWell } from "../../test/fixtures/Processes.ts"
import { quantile } from "../Statistics.ts"
import { grpcAnswer, grpcPath, grpcRequest } from "./GrpcMessages.ts"

export interface StreamLoad {
  readonly path: string
  readonly connections: number
  /** At a time, on each connection. */
  readonly streams: number
  /** Requests per second, all connections together; absent: as many as go. */
  readonly rate?: number
  /** Of the request. */
  readonly body?: Buffer
  /** Name and value, beside `:authority`. */
  readonly headers?: ReadonlyArray<readonly [string, string]>
  /** Bytes of each answer: an error of gRPC has the status of a success, and no message. */
  readonly answerBytes: number
}

/** Unary calls of gRPC. */
export const grpcCalls = (load: Pick<StreamLoad, "connections" | "streams" | "rate">) => ({
  ...load,
  path: grpcPath,
  body: grpcRequest,
  headers: [
    ["content-type", "application/grpc"],
    ["te", "trailers"]
  ] as const,
  answerBytes: grpcAnswer.length
})

export interface H2loadTarget {
  readonly h2load: string
  /** host:port */
  readonly entry: string
  readonly host: string
  readonly seconds: number
  /** Of this run's own, for what the load reads and writes. */
  readonly directory: string
}

export interface H2loadReport {
  readonly requests: number
  readonly errors: number
  /** Bytes of bodies. */
  readonly data: number
}

const number = (text: string, pattern: RegExp): number => {
  const found = pattern.exec(text)?.[1]
  if (found === undefined) throw new Error(`h2load made no report:\n${text.slice(-2_000)}`)
  return Number(found)
}

/** What h2load prints. Answers of 2xx may be more than are done, and without all of their bytes are errors. */
export const parseReport = (text: string, answerBytes: number): H2loadReport => {
  const done = number(text, /^requests: .* (\d+) done,/m)
  const well = number(text, /^status codes: (\d+) 2xx,/m)
  const data = number(text, /^traffic: .* \((\d+)\) data$/m)
  const whole = Math.floor(data / answerBytes)
  return { requests: done, errors: Math.max(done - well, done - whole, 0), data }
}

/** Milliseconds that each answer took, sorted, from h2load's log: start, status and µs in columns. */
export const parseLog = (log: string): ReadonlyArray<number> =>
  log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Number(line.split("\t")[2]) / 1_000)
    .sort((a, b) => a - b)

export const h2loadArguments = (
  load: StreamLoad,
  target: Omit<H2loadTarget, "h2load" | "directory">,
  files: { readonly body: string; readonly log: string }
): ReadonlyArray<string> => [
  ...["-t", "1", "-c", String(load.connections), "-m", String(load.streams)],
  ...["-D", String(Math.ceil(target.seconds))],
  ...(load.rate === undefined ? [] : ["--rps", String(load.rate / load.connections)]),
  ...["-H", `:authority: ${target.host}`, "--log-file", files.log],
  ...(load.headers ?? []).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
  ...(load.body === undefined ? [] : ["-d", files.body]),
  `http://${target.entry}${load.path}`
]

export interface H2loadResult extends H2loadReport {
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

export const runH2load = async (load: StreamLoad, target: H2loadTarget): Promise<H2loadResult> => {
  const files = { body: join(target.directory, "body"), log: join(target.directory, "h2load.log") }
  if (load.body !== undefined) writeFileSync(files.body, load.body)
  const { stdout } = await runWell(target.h2load, h2loadArguments(load, target, files), {
    what: `h2load against ${target.entry}`
  })
  const report = parseReport(stdout, load.answerBytes)
  if (report.requests === 0) {
    throw new Error(`${target.entry} answered no request within ${target.seconds} s`)
  }
  const times = parseLog(readFileSync(files.log, "utf8"))
  rmSync(files.log)
  return { ...report, p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}
