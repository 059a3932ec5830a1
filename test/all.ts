/**
 * The one test command. Runs every check in order, cheap ones first, and ends with the line
 * `N passed, N failed`: each test counts one, and so does each check that is not a test runner.
 * `npm test -- --only unit,types` runs some of them.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"

interface Tally {
  passed: number
  failed: number
  /** What failed and how, to be told again at the end: who has only that shall know it. */
  failures?: ReadonlyArray<string>
}

/** As much of vitest's JSON report as is read here. */
interface Report {
  readonly numPassedTests: number
  readonly numTotalTests: number
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: ReadonlyArray<string>
    }>
  }>
}

const root = join(import.meta.dirname, "..")
const bin = (name: string): string => join(root, "node_modules", ".bin", name)
const scratch = mkdtempSync(join(tmpdir(), "skein-test-"))

const run = (command: string, args: ReadonlyArray<string>): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "inherit", "inherit"],
      cwd: root
    })
    child.on("error", (cause) => {
      console.error(`cannot run ${command}: ${cause.message}`)
      resolve(127)
    })
    child.on("exit", (code, signal) => {
      if (signal !== null) console.error(`${command} ${args[0]} was ended by ${signal}`)
      resolve(code ?? 1)
    })
  })

const check = async (command: string, ...args: ReadonlyArray<string>): Promise<Tally> => {
  const code = await run(command, args)
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

/** Left to itself vitest leaves one processor alone, which of two is half. */
const workers = ["--minWorkers=1", "--maxWorkers=2"]

/** The first lines of a message: what was expected, and where in this project. */
const beginning = (message: string | undefined): string =>
  (message ?? "")
    .split("\n")
    .filter((line) => !/node_modules|node:internal|at new Promise/.test(line))
    .slice(0, 12)
    .join("\n")
    .slice(0, 1_500)

/** Each test of a report that failed, and each file of which tests could not be run. */
const failuresOf = (report: Report): Array<string> =>
  report.testResults.flatMap((file) => {
    const path = relative(root, file.name)
    const tests = file.assertionResults
    const failed = tests.filter(({ status }) => status === "failed")
    const notRun = tests.filter(({ status }) => status !== "failed" && status !== "passed")
    return [
      ...failed.map(
        ({ failureMessages, fullName }) =>
          `${path} > ${fullName}\n${beginning(failureMessages?.[0])}`
      ),
      ...(notRun.length > 0 || (failed.length === 0 && file.status !== "passed")
        ? [`${path}: ${notRun.length} tests were not run\n${beginning(file.message)}`]
        : [])
    ]
  })

/** Counts come from the report; a runner that dies without one, or runs nothing, has failed. */
const vitest = async (project: string, ...options: ReadonlyArray<string>): Promise<Tally> => {
  const report = join(scratch, `${project}.json`)
  const code = await run(process.execPath, [
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    "--project",
    project,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...options
  ])
  try {
    const told: Report = JSON.parse(readFileSync(report, "utf8"))
    const passed = told.numPassedTests
    const failed = told.numTotalTests - passed // skipped ones too: nothing here may skip
    return { passed, failed: code !== 0 && failed === 0 ? 1 : failed, failures: failuresOf(told) }
  } catch (cause) {
    console.error(`${project}: no report (${cause})`)
    return { passed: 0, failed: 1 }
  }
}

/** Most of them share the modules of their worker (vitest.config.ts). */
const unit = async (): Promise<Tally> => {
  const [most, apart] = [await vitest("unit", "--no-isolate", ...workers), await vitest("apart")]
  return {
    passed: most.passed + apart.passed,
    failed: most.failed + apart.failed,
    failures: [...(most.failures ?? []), ...(apart.failures ?? [])]
  }
}

const examples = ["--all", "--once", "--languages", "typescript"]

const steps: ReadonlyArray<readonly [name: string, step: () => Promise<Tally>]> = [
  ["format", () => check(bin("biome"), "check", "--error-on-warnings", ".")],
  ["types", () => check(bin("tsc"))],
  ["levels", () => check(process.execPath, "test/levels.ts")],
  ["build", () => check(process.execPath, "build/build.ts")],
  ["unit", () => unit()],
  // They wait for processes most of their time, so one more than there are processors.
  ["integration", () => vitest("integration", "--minWorkers=1", "--maxWorkers=3")],
  ["timed", () => vitest("timed")],
  ["demo", () => check(process.execPath, "dist/skein.js", "demo", "--once")],
  // The shop of gRPC in the one language that is always there; in four it is among the long tests.
  ["examples", () => check(process.execPath, "examples/main.ts", ...examples)]
]

const only = process.argv.indexOf("--only")
const wanted = only === -1 ? undefined : new Set((process.argv[only + 1] ?? "").split(","))
const results: Array<readonly [string, Tally, number]> = []
for (const [name, step] of steps) {
  if (wanted !== undefined && !wanted.has(name)) continue
  console.log(`\n── ${name}`)
  const started = performance.now()
  results.push([name, await step(), performance.now() - started])
}
rmSync(scratch, { recursive: true, force: true })

for (const [name, tally] of results) {
  for (const failure of tally.failures ?? []) console.log(`\n── failed: ${name}: ${failure}`)
}

console.log("")
let passed = 0
let failed = 0
for (const [name, tally, took] of results) {
  passed += tally.passed
  failed += tally.failed
  const seconds = (took / 1_000).toFixed(1)
  console.log(`${name}: ${tally.passed} passed, ${tally.failed} failed (${seconds} s)`)
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
