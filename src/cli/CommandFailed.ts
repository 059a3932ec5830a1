/**
 * How a command ends when it does not succeed, and what is said then. Exit codes: 0 done, 1
 * failed, 2 wrong usage, 130 interrupted.
 */
import * as ValidationError from "@effect/cli/ValidationError"
import { Cause, Console, Data, Effect, type Exit } from "effect"
import { ConfigError } from "../config/ConfigProblem.ts"
import { plainLine } from "../model/PlainLine.ts"

export class CommandFailed extends Data.TaggedError("CommandFailed")<{
  readonly message: string
  /** Default 1. */
  readonly exitCode?: 1 | 2
  /** Everything was already said (a report with ×): say nothing more. */
  readonly silent?: boolean
}> {}

export const failCommand = (message: string): CommandFailed => new CommandFailed({ message })

/** What the environment or the options say cannot be meant. */
export const wrongUsage = (message: string): CommandFailed =>
  new CommandFailed({ message, exitCode: 2 })

/** What is no failure and may yet not be meant. */
export const warn = (lines: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.forEach(lines, (line) => Console.error(`warning: ${plainLine(line)}`), { discard: true })

/** A token is a secret, wherever it was typed. */
export const hideTokens = (text: string): string => text.replace(/skein1\.[\w-]+/g, "skein1.…")

/** The failure as lines for people; undefined when it was shown already. */
export const describeFailure = (error: unknown): string | undefined => {
  const text = describe(error)
  return text === undefined ? undefined : hideTokens(text)
}

const describe = (error: unknown): string | undefined => {
  // The parser of the command line prints what it rejects itself.
  if (ValidationError.isValidationError(error)) return undefined
  if (error instanceof CommandFailed && error.silent === true) return undefined
  if (error instanceof ConfigError) {
    const count = error.problems.length
    const { what = "the config" } = error
    const head = count === 1 ? `${what} cannot be used` : `${what} has ${count} problems`
    return `skein: ${head}\n${error.message.replaceAll(/^/gm, "  ")}`
  }
  if (!(error instanceof Error)) return `skein: ${String(error)}`
  const hint = "hint" in error && typeof error.hint === "string" ? `\n  ${error.hint}` : ""
  return `skein: ${error.message}${hint}`
}

/** Says on stderr why a command failed. A defect is shown whole: it is a bug to be reported. */
export const reportFailure = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.isInterruptedOnly(cause)) return Effect.void
  const failure = Cause.failureOption(cause)
  if (failure._tag === "None") {
    return Console.error(`skein: a bug in Skein; please report it:\n${Cause.pretty(cause)}`)
  }
  const text = describeFailure(failure.value)
  return text === undefined ? Effect.void : Console.error(text)
}

/** For commands that only ever end by Ctrl-C or SIGTERM: that is success, exit code 0. */
export const doneWhenInterrupted = <A, E, R>(
  command: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.onInterrupt(command, () =>
    Effect.sync(() => {
      process.exitCode = 0
    })
  )

export const exitCodeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (exit._tag === "Success") return 0
  if (Cause.isInterruptedOnly(exit.cause)) return process.exitCode === 0 ? 0 : 130
  const error = Cause.squash(exit.cause)
  if (ValidationError.isValidationError(error)) return 2
  return error instanceof CommandFailed ? (error.exitCode ?? 1) : 1
}
