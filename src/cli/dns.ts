/** `skein dns …`: has this host's own resolver ask the node for the names of services. */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { dirname, join } from "node:path"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Console, Effect, Option } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import type { NodeStatus } from "../admin/NodeModel.ts"
import { loadConfig } from "../config/ConfigFile.ts"
import { reasonOf } from "../model/Reason.ts"
import { chosenNode } from "./ChosenNode.ts"
import { failCommand } from "./CommandFailed.ts"
import { lookedUp, serviceToTry, toldByNode } from "./NameCheck.ts"
import { nameServerOf } from "./NameServer.ts"
import { configOption, environment, type NodeChoice, nodeOptions } from "./NodeAddress.ts"
import {
  installed,
  planInstall,
  planRemove,
  type ResolverFacts,
  type ResolverPlan
} from "./ResolverSetup.ts"
import { renderPairs } from "./Table.ts"
import { print, useColour } from "./View.ts"

const rootOption = Options.directory("root").pipe(
  Options.withPseudoName("dir"),
  Options.withDescription(
    "The host's files are under this directory, as in an image; nothing is reloaded then"
  ),
  Options.withDefault("/")
)
const printOption = Options.boolean("print").pipe(
  Options.withDescription("Say what would be done, and do nothing")
)

/** Where it is there, and not a link of an image that leads to a file of this host. */
const placeOf = (root: string, path: string): string | undefined => {
  const place = join(root, path)
  if (!existsSync(place)) return undefined
  return root === "/" || realpathSync(place).startsWith(join(realpathSync(root), "/"))
    ? place
    : undefined
}

const factsOf = (root: string): ResolverFacts => ({
  platform: process.platform,
  exists: (path) => placeOf(root, path) !== undefined,
  read: (path) => {
    const file = placeOf(root, path)
    return file === undefined ? undefined : readFileSync(file, "utf8")
  },
  list: (path) => {
    const directory = placeOf(root, path)
    return directory === undefined ? [] : readdirSync(directory)
  }
})

const namesOf = (choice: NodeChoice) =>
  Effect.gen(function* () {
    const address = yield* chosenNode(choice)
    const report = yield* withAdmin(address, (client) =>
      Effect.all({ status: client.views.status({}), services: client.views.services({}) })
    )
    const { names, node } = report.status
    if (names === null) {
      return yield* failCommand(
        `${node} answers no names: write dns: {} in its config, and restart it`
      )
    }
    return { ...report, names }
  })

const named = ({ forwards, address, suffix }: NonNullable<NodeStatus["names"]>) => ({
  server: nameServerOf(address),
  suffix,
  forwards
})

const described = ({ path, reload, text }: ResolverPlan): string => {
  const what =
    text === undefined ? `rm ${path}` : `${path}:\n${text.replace(/^/gm, "  ").trimEnd()}`
  return reload === undefined ? `${what}\n` : `${what}\n${reload.join(" ")}\n`
}

const carryOut = (plan: ResolverPlan, root: string) =>
  Effect.try({
    try: () => {
      const file = join(root, plan.path)
      if (plan.text === undefined) rmSync(file)
      else {
        const isNew = !existsSync(file)
        const made = mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, plan.text)
        // Resolvers read it as users of their own, whatever the umask of whoever installs.
        if (made !== undefined) chmodSync(dirname(file), 0o755)
        if (isNew) chmodSync(file, 0o644)
      }
    },
    catch: (cause) => {
      const denied = cause instanceof Error && "code" in cause && cause.code === "EACCES"
      return failCommand(
        `${plan.path}: ${reasonOf(cause)}${denied ? "; this needs root: sudo skein dns …, or --print and do it yourself" : ""}`
      )
    }
  }).pipe(Effect.zipRight(root === "/" ? reloaded(plan) : Effect.void))

/** What a command said that failed. */
const saidBy = (cause: unknown): string => {
  const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : ""
  return said === "" ? reasonOf(cause) : `${reasonOf(cause)} (${said.replaceAll(/\s+/g, " ")})`
}

/** Has the resolver read what was written: not undone when that fails, as it counts at its next start anyway. */
const reloaded = ({ path, reload, text }: ResolverPlan) => {
  const [command, ...args] = reload ?? []
  if (command === undefined) return Effect.void
  return Effect.try({
    try: () => void execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] }),
    catch: (cause) => {
      const done = text === undefined ? "taken away" : "written"
      return failCommand(
        `${path} is ${done}, and counts when what resolves names here is started again, which did not work: ${saidBy(cause)}; do it as this host does, and see skein dns status`
      )
    }
  })
}

const install = Command.make(
  "install",
  { ...nodeOptions, root: rootOption, print: printOption },
  (choice) =>
    Effect.gen(function* () {
      const { names } = yield* namesOf(choice)
      const plan = planInstall(factsOf(choice.root), named(names))
      if (typeof plan === "string") return yield* failCommand(plan)
      if (choice.print) return yield* print(described(plan))
      yield* carryOut(plan, choice.root)
      yield* Console.error(
        `${plan.kind} asks ${names.address} for *.${names.suffix} from now on (${plan.path}); skein dns status says whether names lead somewhere`
      )
    })
).pipe(Command.withDescription("Have this host's resolver ask the node for names of services"))

/** The node may be gone by then: its config, or nothing, says what its names end in. */
const suffixOf = (choice: {
  readonly config: Option.Option<string>
  readonly suffix: Option.Option<string>
}) =>
  Effect.gen(function* () {
    if (Option.isSome(choice.suffix)) return choice.suffix.value
    const { config } = yield* environment
    const path = Option.orElse(choice.config, () => config)
    const read = Option.isSome(path) ? (yield* loadConfig(path.value)).dns : undefined
    return read?.suffix ?? "mesh"
  })

const remove = Command.make(
  "remove",
  {
    config: configOption,
    root: rootOption,
    print: printOption,
    suffix: Options.text("suffix").pipe(
      Options.withDescription("The domain of the node's names (default: the config's, or mesh)"),
      Options.optional
    )
  },
  (choice) =>
    Effect.gen(function* () {
      const suffix = yield* suffixOf(choice)
      const plans = planRemove(factsOf(choice.root), suffix)
      if (plans.length === 0) {
        return yield* Console.error(`nothing of *.${suffix} is installed on this host`)
      }
      for (const plan of plans) {
        if (choice.print) yield* print(described(plan))
        else {
          yield* carryOut(plan, choice.root)
          yield* Console.error(`${plan.kind} asks no node for *.${suffix} any more (${plan.path})`)
        }
      }
    })
).pipe(Command.withDescription("Undo what install did, and nothing else"))

/** Where a name leads for programs, which may ask others than the node. */
const led = (
  host: string,
  found: string | Error,
  told: { readonly address: string } | Error
): string => {
  if (told instanceof Error) return `${host} has no address at the node: ${told.message}`
  if (found instanceof Error) {
    return `${host} leads nowhere for programs of this host: ${found.message}`
  }
  return found === told.address
    ? `${host} is ${found}, as programs of this host see it`
    : `${host} is ${found} for programs of this host, who ask somebody else: the node says ${told.address}`
}

const status = Command.make("status", { ...nodeOptions, root: rootOption }, (choice) =>
  Effect.gen(function* () {
    const { names, services } = yield* namesOf(choice)
    const service = serviceToTry(services)
    const host = service === undefined ? undefined : `${service}.${names.suffix}`
    const answer =
      host === undefined
        ? "no service of HTTP to try it with"
        : led(host, yield* lookedUp(host), yield* toldByNode(names.address, host))
    yield* print(
      renderPairs(
        [
          ["server", `${names.address}, for *.${names.suffix}`],
          ["installed", installed(factsOf(choice.root), named(names)) ?? "no: skein dns install"],
          ["names", answer],
          ["listening", `${names.listening} of ${services.length} services were asked for by name`]
        ],
        { colour: useColour() }
      )
    )
  })
).pipe(Command.withDescription("Whether names lead somewhere on this host"))

export const dns = Command.make("dns").pipe(
  Command.withDescription(
    "Call services by names like payments.mesh, from every program of this host"
  ),
  Command.withSubcommands([install, status, remove])
)
