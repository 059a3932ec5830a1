/**
 * `skein up`: runs a node until it is told to stop. SIGTERM and SIGINT drain it first; a second
 * one does not wait. SIGHUP reads the config again.
 */
import module from "node:module"
import { resolve } from "node:path"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Console, Effect, Option, Runtime } from "effect"
import { environmentOverrides } from "../config/ConfigEnvironment.ts"
import { type ConfigOverride, readConfig } from "../config/ConfigFile.ts"
import { collectAtRest } from "../request/RestCollection.ts"
import { doneWhenInterrupted, warn, wrongUsage } from "./CommandFailed.ts"
import { span } from "./Figures.ts"
import { requireRuntime } from "./HostChecks.ts"
import { joinToken } from "./JoinToken.ts"
import { configOption, environment } from "./NodeAddress.ts"
import { loadNode, type RunningNode } from "./NodeProgram.ts"
import { dropUnusedCode, freeCompilationsAtOnce } from "./ProcessMemory.ts"

export const upOptions = {
  config: configOption,
  dataDir: Options.text("data-dir").pipe(
    Options.withPseudoName("directory"),
    Options.withDescription("Instead of the config's node.dataDir (also: SKEIN_DATA_DIR)"),
    Options.optional
  ),
  admin: Options.text("admin").pipe(
    Options.withPseudoName("host:port"),
    Options.withDescription("Instead of the config's admin (also: SKEIN_ADMIN)"),
    Options.optional
  )
}

/** An invite token, in a way that nobody else on the host sees. */
export const tokenFileOption = Options.text("token-file").pipe(
  Options.withPseudoName("file"),
  Options.withDescription(
    "A file with the token, for its owner's eyes; - is standard input (also: SKEIN_TOKEN)"
  ),
  Options.optional
)

export interface UpChoice {
  readonly config: Option.Option<string>
  readonly dataDir: Option.Option<string>
  readonly admin: Option.Option<string>
  /** The token itself. */
  readonly join: Option.Option<string>
  readonly tokenFile: Option.Option<string>
}

/** Under each other, behind their name. */
const lines = (name: string, ...values: ReadonlyArray<string>) =>
  values.map((value, index) => `  ${(index === 0 ? name : "").padEnd(9)}  ${value}`)

const startBlock = (node: RunningNode): string => {
  const { addresses, admin, attach, listening, mesh, name, names, peer, proxy, threads } = node
  // What others are told is of interest when it is not what is listened on.
  const announced = addresses.join() === listening.join() ? [] : addresses
  return [
    `${name} is up in mesh ${mesh.name}`,
    ...lines("peer", peer),
    ...lines("mesh", mesh.id),
    ...lines("listens", ...listening),
    ...lines("announces", ...announced),
    ...lines(
      "threads",
      threads === 0 ? "none of their own for requests" : `${threads} for requests`
    ),
    ...lines("admin", admin ?? "off"),
    ...(proxy === undefined
      ? []
      : lines("proxy", `${proxy} (curl -x ${proxy} http://SERVICE.mesh/)`)),
    ...(names === undefined
      ? []
      : lines(
          "names",
          `${names.address} (*.${names.suffix}; for all programs: skein dns install)`
        )),
    ...lines("attach", ...attach.map(({ address, as }) => `${address} (programs, as ${as})`)),
    ...(admin === undefined ? [] : lines("invite", `skein invite --admin ${admin}`))
  ].join("\n")
}

const on = (signal: NodeJS.Signals, handler: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => process.on(signal, handler)),
    () => Effect.sync(() => process.removeListener(signal, handler))
  )

/** The first signal ends the command, whose finalizers drain; from then on a signal means now. */
const stopAtOnceWhenAskedAgain = Effect.gen(function* () {
  const stop = () => {
    process.stderr.write("stopped at once; what was in flight is lost\n")
    process.exit(1)
  }
  yield* on("SIGINT", stop)
  yield* on("SIGTERM", stop)
})

const reload = (node: RunningNode) =>
  node.reload.pipe(
    Effect.flatMap(({ changes, warnings }) =>
      Effect.zipRight(
        Effect.logInfo(
          `reloaded: ${changes.length === 0 ? "nothing changed" : changes.join("; ")}`
        ),
        Effect.forEach(warnings, (line) => Effect.logWarning(line), { discard: true })
      )
    ),
    Effect.catchAll(({ message }) => Effect.logError(`not reloaded, nothing changed: ${message}`))
  )

const drained = (node: RunningNode) =>
  Effect.scoped(
    Effect.gen(function* () {
      const deadline = span(node.drainDeadline())
      yield* Console.error(`draining (at most ${deadline}); a second signal stops at once`)
      yield* stopAtOnceWhenAskedAgain
      yield* node.drain
    })
  )

/**
 * Compiled code is kept when a process ends (main.ts), which one that is killed never does in order: so
 * it is kept once the node has been at work for a while, with what joining and meeting others have had
 * compiled. What is kept already is not written again.
 */
const keepCompiledCode = Effect.sync(() => module.flushCompileCache?.()).pipe(
  Effect.delay("10 seconds"),
  Effect.forkScoped
)

let wasUp = false

/** Whether this process has run a node, and no more than its options or a config that is wrong. */
export const nodeWasUp = (): boolean => wasUp

export const runUp = (choice: UpChoice) =>
  Effect.gen(function* () {
    yield* requireRuntime(process.versions)
    const settings = yield* environment
    const path = Option.orElse(choice.config, () => settings.config)
    if (Option.isNone(path)) {
      return yield* wrongUsage("say which config to run on: --config FILE, or SKEIN_CONFIG")
    }
    const overrides: ReadonlyArray<ConfigOverride> = [
      ...environmentOverrides(settings),
      ...Option.toArray(choice.dataDir).map((value) => ({
        path: ["node", "dataDir"],
        value,
        source: "--data-dir"
      })),
      ...Option.toArray(choice.admin).map((value) => ({
        path: ["admin"],
        value,
        source: "--admin"
      }))
    ]
    const { config, warnings } = yield* readConfig(path.value, overrides)
    yield* warn(warnings)
    const join = yield* joinToken(choice)
    const runNode = yield* loadNode
    const node = yield* runNode({
      config,
      configPath: resolve(path.value),
      overrides,
      join
    })
    const runFork = Runtime.runFork(yield* Effect.runtime())
    yield* on("SIGHUP", () => runFork(reload(node)))
    yield* Console.error(startBlock(node))
    yield* Effect.sync(() => {
      wasUp = true
      freeCompilationsAtOnce()
      dropUnusedCode()
      collectAtRest()
    })
    yield* keepCompiledCode
    yield* Effect.onInterrupt(node.stopped, () => drained(node))
    yield* Console.error(`${node.name} has stopped`)
  }).pipe(Effect.scoped, doneWhenInterrupted)

export const up = Command.make(
  "up",
  {
    ...upOptions,
    join: Options.text("join").pipe(
      Options.withPseudoName("token"),
      Options.withDescription(
        "An invite token: join this mesh first. Ignored once joined to it. Others on the host see it in the list of processes for a moment: better is --token-file"
      ),
      Options.optional
    ),
    tokenFile: tokenFileOption
  },
  runUp
).pipe(Command.withDescription("Run a node"))
