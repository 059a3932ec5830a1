/** A command line: what it asks for, and how that meets its terminal. */
import { stripVTControlCharacters } from "node:util"
import type { CliApp } from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import type { ValidationError } from "@effect/cli/ValidationError"
import { Effect, Logger } from "effect"
import { softwareVersion } from "../node/Version.ts"
import { type CommandFailed, reportFailure, wrongUsage } from "./CommandFailed.ts"
import { readCommandLine } from "./CommandLine.ts"
import { commandTree } from "./CommandTree.ts"
import { tellErrors } from "./ErrorLog.ts"
import { renderHelp } from "./Help.ts"
import { environment } from "./NodeAddress.ts"
import { print, useColour } from "./View.ts"

/** Help and usage errors come coloured; into a file or a pipe they must not. */
const plainWhenPiped = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.consoleWith((console) => {
    const plain = (values: ReadonlyArray<unknown>) =>
      values.map((value) => (typeof value === "string" ? stripVTControlCharacters(value) : value))
    return Effect.withConsole(program, {
      ...console,
      log: (...values) => console.log(...(useColour() ? values : plain(values))),
      error: (...values) => console.error(...(process.stderr.isTTY ? values : plain(values)))
    })
  })

/** The command, and its subcommands. */
export interface Commands<R, E, A> {
  readonly skein: Command.Command<"skein", R, E, A>
  readonly commands: ReadonlyArray<
    Pick<Command.Command<string, never, never, unknown>, "descriptor">
  >
}

/** What can be said better than the library does is said here; the rest it carries out. */
const carryOut = <R, E, A>(
  { commands, skein }: Commands<R, E, A>,
  argv: ReadonlyArray<string>
): Effect.Effect<void, E | CommandFailed | ValidationError, R | CliApp.Environment> =>
  Effect.suspend((): ReturnType<typeof carryOut<R, E, A>> => {
    const tree = commandTree(
      skein.descriptor,
      commands.map(({ descriptor }) => descriptor)
    )
    const reading = readCommandLine(tree, argv.slice(2))
    switch (reading.kind) {
      case "help":
        return print(`${renderHelp(reading.command, softwareVersion, useColour())}\n`)
      case "mistake":
        return wrongUsage(reading.message)
      case "run":
        return Command.run(skein, { name: "Skein", version: softwareVersion, executable: "skein" })(
          argv
        )
    }
  })

/** Runs the command line. Fails with what the exit code is made of; everything was said already. */
export const runCommandLine = <R, E, A>(of: Commands<R, E, A>, argv: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { logLevel } = yield* environment
    const ran = carryOut(of, argv)
    return yield* logLevel._tag === "Some" ? Logger.withMinimumLogLevel(ran, logLevel.value) : ran
  }).pipe(
    Effect.tapErrorCause(reportFailure),
    plainWhenPiped,
    Effect.provide(CliConfig.layer({ isCaseSensitive: true })),
    // stdout is for data alone.
    Effect.provide(
      Logger.replace(Logger.defaultLogger, Logger.withConsoleError(tellErrors(Logger.logfmtLogger)))
    )
  )
