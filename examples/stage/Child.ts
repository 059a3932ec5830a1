/** Programs and nodes as child processes that end with the scope they were started in. */
import { type ChildProcess, spawn } from "node:child_process"
import { Effect, type Scope } from "effect"
import { StepFailed } from "./StepFailed.ts"

/** The runtime we are running on, as it runs a script. */
const ownRuntime: ReadonlyArray<string> = [
  process.execPath,
  ...("Deno" in globalThis ? ["run", "-A"] : [])
]

/** Time to end by itself after SIGTERM, ms. */
const grace = 4_000

/** Characters of output kept, for when something goes wrong. */
const keptOutput = 20_000

export interface Child {
  readonly name: string
  readonly pid: number | undefined
  /** The end of what it wrote, stdout and stderr together. */
  readonly output: () => string
  /** Undefined while it runs. */
  readonly ended: () => string | undefined
  /** Ends it at once, as a crash would. */
  readonly kill: Effect.Effect<void>
}

interface ChildOptions {
  readonly name: string
  readonly script: string
  readonly args?: ReadonlyArray<string>
  /** What runs the script, word by word. Default: the runtime we run on. */
  readonly runtime?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

const start = ({ name, script, args = [], runtime = ownRuntime, env }: ChildOptions) => {
  const [command = script, ...words] = [...runtime, script, ...args]
  const child = spawn(command, words, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env }
  })
  let output = ""
  const take = (text: string): void => {
    output = (output + text).slice(-keptOutput)
  }
  child.stdout.setEncoding("utf8").on("data", take)
  child.stderr.setEncoding("utf8").on("data", take)
  child.on("error", (cause) => take(`${cause.message}\n`))
  return { name, child, output: () => output }
}

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null || child.pid === undefined

/** Sends a signal and waits for the end; SIGKILL when it takes longer than the grace. */
const end = (child: ChildProcess, signal: NodeJS.Signals): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (hasEnded(child)) {
      resume(Effect.void)
      return
    }
    const timer = setTimeout(() => child.kill("SIGKILL"), grace)
    child.once("exit", () => {
      clearTimeout(timer)
      resume(Effect.void)
    })
    child.kill(signal)
  })

/** A child that runs on. */
export const startChild = (options: ChildOptions): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => start(options)),
    ({ child }) => end(child, "SIGTERM")
  ).pipe(
    Effect.map(({ name, child, output }) => ({
      name,
      pid: child.pid,
      output,
      ended: () =>
        hasEnded(child) ? `${name} ended with ${child.signalCode ?? child.exitCode}` : undefined,
      kill: end(child, "SIGKILL")
    }))
  )

/** What a child wrote: its data, and all that it said. */
interface Written {
  readonly stdout: string
  readonly output: string
}

/** A child that is expected to end by itself, with 0. */
export const runChild = (options: ChildOptions): Effect.Effect<Written, StepFailed> =>
  Effect.async<Written, StepFailed>((resume) => {
    const { child, output } = start(options)
    let stdout = ""
    child.stdout.on("data", (text: string) => {
      stdout += text
    })
    child.once("error", (cause) =>
      resume(new StepFailed({ message: `${options.name} cannot be started: ${cause.message}` }))
    )
    child.once("close", (code) =>
      resume(
        code === 0
          ? Effect.succeed({ stdout: stdout.trim(), output: output() })
          : new StepFailed({ message: `${options.name} ended with ${code}:\n${output()}` })
      )
    )
    return end(child, "SIGKILL")
  })

/** A child that speaks for itself, to whoever we speak to. It is expected to end with 0. */
export const runOn = ({
  name,
  script,
  args = [],
  runtime = ownRuntime,
  env
}: ChildOptions): Effect.Effect<void, StepFailed> =>
  Effect.async<void, StepFailed>((resume) => {
    const [command = script, ...words] = [...runtime, script, ...args]
    const child = spawn(command, words, { stdio: "inherit", env: { ...process.env, ...env } })
    const fail = (why: string): void => resume(new StepFailed({ message: `${name} ${why}` }))
    child.once("error", ({ message }) => fail(`cannot be started: ${message}`))
    child.once("close", (code) => (code === 0 ? resume(Effect.void) : fail(`ended with ${code}`)))
    return end(child, "SIGTERM")
  })
