/** Of the `skein` command what runs a node, and no more: what such a process need not load. */
import * as Command from "@effect/cli/Command"
import { join } from "./join.ts"
import { runCommandLine } from "./RunSkein.ts"
import { up } from "./up.ts"

const commands = [up, join] as const

const skein = Command.make("skein").pipe(Command.withSubcommands(commands))

/** Runs a command line that begins with one of them. */
export const runSkeinNode = (argv: ReadonlyArray<string>) =>
  runCommandLine({ skein, commands }, argv)
