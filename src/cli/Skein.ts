/** The `skein` command: its subcommands, and how it meets its terminal. */
import { stripVTControlCharacters } from "node:util"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import { Effect, Logger } from "effect"
import { softwareVersion } from "../node/Version.ts"
import { access } from "./access.ts"
import { actors } from "./actors.ts"
import { apply } from "./apply.ts"
import { audit } from "./audit.ts"
import { awaitService } from "./await.ts"
import { reportFailure, wrongUsage } from "./CommandFailed.ts"
import { readCommandLine } from "./CommandLine.ts"
import { commandTree } from "./CommandTree.ts"
import { config } from "./config.ts"
import { deleteSetting } from "./delete.ts"
import { demo } from "./demo.ts"
import { diff } from "./diff.ts"
import { dns } from "./dns.ts"
import { doctor } from "./doctor.ts"
import { drain } from "./drain.ts"
import { tellErrors } from "./ErrorLog.ts"
import { endpoints } from "./endpoints.ts"
import { forget } from "./forget.ts"
import { get } from "./get.ts"
import { renderHelp } from "./Help.ts"
import { history } from "./history.ts"
import { init } from "./init.ts"
import { invite } from "./invite.ts"
import { join } from "./join.ts"
import { leave } from "./leave.ts"
import { links } from "./links.ts"
import { members } from "./members.ts"
import { environment } from "./NodeAddress.ts"
import { peers } from "./peers.ts"
import { policy } from "./policy.ts"
import { reload } from "./reload.ts"
import { revoke } from "./revoke.ts"
import { rollback } from "./rollback.ts"
import { root } from "./root.ts"
import { services } from "./services.ts"
import { status } from "./status.ts"
import { up } from "./up.ts"
import { print, useColour } from "./View.ts"

const commands = [
  demo,
  init,
  up,
  join,
  invite,
  revoke,
  root,
  dns,
  forget,
  status,
  members,
  peers,
  services,
  endpoints,
  actors,
  links,
  access,
  awaitService,
  apply,
  get,
  diff,
  deleteSetting,
  history,
  rollback,
  policy,
  drain,
  leave,
  reload,
  audit,
  doctor,
  config
] as const

const skein = Command.make("skein").pipe(
  Command.withDescription("A service mesh without control plane"),
  Command.withSubcommands(commands)
)

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

/** What can be said better than the library does is said here; the rest it carries out. */
const carryOut = (argv: ReadonlyArray<string>) =>
  Effect.suspend(() => {
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
export const runSkein = (argv: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { logLevel } = yield* environment
    const ran = carryOut(argv)
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
