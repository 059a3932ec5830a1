/**
 * One command per question, peers side by side in one run. See README.md.
 *
 *     npm run bench                     what there is to ask
 *     npm run bench -- http --quick
 *     npm run bench -- --compare        has anything become worse?
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { ChildEnded, describeEnd } from "../test/fixtures/ChildEnd.ts"
import { endedUnasked, stopAll } from "../test/fixtures/Processes.ts"
import { compareResults, describeComparison, hasRegressed } from "./Compare.ts"
import { Interrupted, unlessInterrupted } from "./Interruption.ts"
import { baseline, type CommandLine, readCommandLine, WrongUsage } from "./Options.ts"
import { threadsVariable } from "./peers/SkeinPair.ts"
import type { Bench, Question } from "./Question.ts"
import { access } from "./questions/Access.ts"
import { actors } from "./questions/Actors.ts"
import { bulk } from "./questions/Bulk.ts"
import { connections } from "./questions/Connections.ts"
import { fairness } from "./questions/Fairness.ts"
import { http } from "./questions/Http.ts"
import { grpc, http2 } from "./questions/Http2.ts"
import { idle } from "./questions/Idle.ts"
import { latency } from "./questions/Latency.ts"
import { policy } from "./questions/Policy.ts"
import { rpc } from "./questions/Rpc.ts"
import { soak } from "./questions/Soak.ts"
import { startup } from "./questions/Startup.ts"
import {
  decodeResults,
  encodeResults,
  NoResults,
  type Result,
  type ResultFile,
  withResult
} from "./Result.ts"
import { describeResult, markdownOf, table } from "./ResultTable.ts"
import { findTools, MissingTool } from "./Tools.ts"

const questions: ReadonlyArray<Question> = [
  http,
  http2,
  grpc,
  rpc,
  actors,
  latency,
  fairness,
  bulk,
  connections,
  policy,
  access,
  startup,
  idle,
  soak
]

const usage = (): string =>
  [
    "npm run bench -- QUESTION [--quick] [--rounds N] [--seconds N] [--minutes N] [--peers a,b]",
    "                 [--cases a,b] [--sources] [--compare [FILE]] [--save [FILE]]",
    "                 [--threads 1,2,4] [--peer-threads 1,2,4] [--nodes 3,16,30] [--profile DIR]",
    "                 [--markdown]",
    "",
    table(
      [
        ["question", "", "cases"],
        ...questions.map(({ name, asks, cases }) => [name, asks, cases.join(" ")])
      ],
      3
    )
  ].join("\n")

/** Which code ran: the commit, and whether something was not committed. */
const codeVersion = (): string => {
  try {
    const args = ["describe", "--always", "--dirty"]
    return execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" }).trim()
  } catch {
    return "unknown" // not a checkout
  }
}

const ask = async (question: Question, line: CommandLine): Promise<Result> => {
  if (process.platform !== "linux") {
    throw new WrongUsage("the bench reads processor time from /proc, which only Linux has")
  }
  const options = line.options(question)
  if (options.threads === undefined && process.env[threadsVariable] !== undefined) {
    throw new WrongUsage(
      `${threadsVariable} is set, and would change what is measured without the result saying so: unset it, or say --threads ${process.env[threadsVariable]}`
    )
  }
  await using stack = new AsyncDisposableStack()
  stack.defer(stopAll)
  const directory = mkdtempSync(join(tmpdir(), "skein-bench-"))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const bench: Bench = {
    options,
    tools: findTools(question.needs),
    directory,
    stack,
    say: (text) => process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
  }
  const { method, rows, absent } = await unlessInterrupted(question.answer(bench))
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")
  return {
    question: question.name,
    at: new Date().toISOString(),
    code: codeVersion(),
    runtime: `Node ${process.version}`,
    processor: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}`,
    method,
    ...(question.reference === undefined ? {} : { reference: question.reference }),
    measures: question.measures,
    rows,
    absent
  }
}

/** Every run is kept; results/ is not in git. */
const record = (result: Result): string => {
  const directory = join(import.meta.dirname, "results")
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `${result.question}-${result.at.replace(/[:.]/g, "-")}.json`)
  writeFileSync(file, encodeResults(withResult(undefined, result)))
  return file
}

/** What is kept in a file. */
const kept = (file: string): ResultFile => {
  try {
    return decodeResults(readFileSync(file, "utf8"))
  } catch (cause) {
    if (!(cause instanceof NoResults)) throw cause
    throw new WrongUsage(`${file} holds no results of a run: ${cause.message}`)
  }
}

const save = (file: string, result: Result): void => {
  const old = existsSync(file) ? kept(file) : undefined
  writeFileSync(file, `${encodeResults(withResult(old, result))}\n`)
}

/** What is kept, as README.md shows it. */
const keptTables = (file: string): string =>
  kept(file)
    .results.map(
      (result) =>
        `### ${result.question}\n\n${result.method}; ${result.code}\n\n${markdownOf(result)}`
    )
    .join("\n\n")

const readBaseline = (file: string, question: string): Result => {
  const found = kept(file).results.find((result) => result.question === question)
  if (found === undefined) throw new WrongUsage(`${file} has no result of ${question}`)
  return found
}

/** Programs that ended on their own: what failed after that, failed for it. `told`: was already. */
const tellEnds = (told?: string): void => {
  const crashed = endedUnasked().filter(({ code, command }) => code !== 0 && command !== told)
  for (const end of crashed.slice(-3)) console.error(`\nbefore that ${describeEnd(end)}`)
}

/** The exit code: 1 when something became worse. */
const main = async (): Promise<number> => {
  const line = readCommandLine(process.argv.slice(2))
  if (line.question === undefined) {
    console.log(line.markdown ? keptTables(baseline) : usage())
    return 0
  }
  const question = questions.find(({ name }) => name === line.question)
  if (question === undefined) throw new WrongUsage(`no question ${line.question}\n\n${usage()}`)
  const before = line.compare === undefined ? undefined : readBaseline(line.compare, question.name)
  const result = await ask(question, line)
  console.log(line.markdown ? markdownOf(result) : describeResult(result))
  tellEnds()
  console.log(`\nwritten to ${record(result)}`)
  if (line.save !== undefined) save(line.save, result)
  if (before === undefined) return 0
  const comparison = compareResults(before, result)
  console.log(`\n${describeComparison(before, result, comparison)}`)
  return hasRegressed(comparison) ? 1 : 0
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (cause: unknown) => {
    // Where these were found says nothing: what they say is all there is to know.
    const known = [MissingTool, WrongUsage, Interrupted, ChildEnded].some(
      (kind) => cause instanceof kind
    )
    console.error(known && cause instanceof Error ? cause.message : cause)
    tellEnds(cause instanceof ChildEnded ? cause.end.command : undefined)
    // The work that was left does not keep the process.
    if (cause instanceof Interrupted) process.exit(cause.exitCode)
    process.exitCode = cause instanceof WrongUsage ? 2 : 1
  }
)
