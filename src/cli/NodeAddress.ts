/**
 * Which node a command talks to: --admin, else --data-dir, else the node of the config named by --config;
 * else SKEIN_ADMIN, the node of SKEIN_CONFIG, that of SKEIN_DATA_DIR, else who is found on this
 * host. A node on this host is asked at the socket in its data directory.
 */
import { accessSync, constants } from "node:fs"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import { Effect, Either, Option, Schema } from "effect"
import { controlSocket } from "../admin/ControlPlace.ts"
import {
  type ConfigEnvironment,
  describeEnvironmentError,
  readEnvironment
} from "../config/ConfigEnvironment.ts"
import { loadConfig } from "../config/ConfigFile.ts"
import type { ConfigError } from "../config/ConfigProblem.ts"
import { AdminListen } from "../config/GuardedListen.ts"
import type { AdminAddress } from "../config/HostPort.ts"
import { explainInLine } from "../schema/ExplainIssue.ts"
import { type CommandFailed, failCommand, wrongUsage } from "./CommandFailed.ts"

export const defaultAdmin: AdminAddress = { host: "127.0.0.1", port: 4191 }

/** An option's text through a Schema, with the Schema's own words when it does not fit. */
export const readAs =
  <A, I extends string>(schema: Schema.Schema<A, I>, option: string) =>
  (text: string): Effect.Effect<A, ValidationError.ValidationError> =>
    Either.mapLeft(Schema.decodeUnknownEither(schema)(text), ({ issue }) =>
      ValidationError.invalidValue(HelpDoc.p(`${option}: ${explainInLine(issue)}`))
    )

// Not Options.file: it takes a directory that this user may not enter for a defect, and whoever reads
// the file says more about why it cannot.
export const configOption = Options.text("config").pipe(
  Options.withPseudoName("file"),
  Options.withAlias("c"),
  Options.withDescription("The config file (default: SKEIN_CONFIG)"),
  Options.optional
)

export const adminOption = Options.text("admin").pipe(
  Options.withPseudoName("host:port"),
  Options.mapEffect(readAs(AdminListen, "--admin")),
  Options.withDescription(
    "The node to ask, as host:port or unix:/path (default: SKEIN_ADMIN, the config's node, 127.0.0.1:4191)"
  ),
  Options.optional
)

const dataDirOption = Options.text("data-dir").pipe(
  Options.withPseudoName("directory"),
  Options.withDescription(
    "The node to ask, by its data directory on this host (also: SKEIN_DATA_DIR)"
  ),
  Options.optional
)

export const nodeOptions = { admin: adminOption, config: configOption, dataDir: dataDirOption }

export interface NodeChoice {
  readonly admin: Option.Option<AdminAddress>
  readonly config: Option.Option<string>
  readonly dataDir: Option.Option<string>
}

/** The environment; what it says wrongly is wrong usage. */
export const environment: Effect.Effect<ConfigEnvironment, CommandFailed> = Effect.mapError(
  readEnvironment,
  (error) => wrongUsage(describeEnvironmentError(error))
)

/** Whether this user may open the socket, if anybody listens there. */
export const mayOpen = (path: string): "yes" | "missing" | "forbidden" => {
  try {
    accessSync(path, constants.W_OK)
    return "yes"
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    return code === "ENOENT" || code === "ENOTDIR" ? "missing" : "forbidden"
  }
}

const nodeOfConfig = (
  file: string,
  dataDir: Option.Option<string>
): Effect.Effect<AdminAddress, CommandFailed | ConfigError> =>
  Effect.gen(function* () {
    const { admin, node } = yield* loadConfig(file)
    if (admin === "off") {
      return yield* failCommand(
        `${file} has admin: off, so its node cannot be asked or told anything; give it an address like 127.0.0.1:4191`
      )
    }
    const path = controlSocket(Option.getOrElse(dataDir, () => node.dataDir))
    return "host" in admin.listen && mayOpen(path) === "yes" ? { path } : admin.listen
  })

/** The node that was named; none: nobody said which. */
export const namedNode = (
  choice: NodeChoice
): Effect.Effect<Option.Option<AdminAddress>, CommandFailed | ConfigError> =>
  Effect.gen(function* () {
    if (Option.isSome(choice.admin)) return choice.admin
    if (Option.isSome(choice.dataDir)) {
      return Option.some({ path: controlSocket(choice.dataDir.value) })
    }
    // What was typed for this command goes before what was set for all of them.
    if (Option.isSome(choice.config)) {
      return Option.some(yield* nodeOfConfig(choice.config.value, Option.none()))
    }
    const { admin, config, dataDir } = yield* environment
    if (Option.isSome(admin)) {
      const read = Either.mapLeft(Schema.decodeEither(AdminListen)(admin.value), ({ issue }) =>
        wrongUsage(`SKEIN_ADMIN: ${explainInLine(issue)}`)
      )
      return Option.some(yield* read)
    }
    if (Option.isSome(config)) return Option.some(yield* nodeOfConfig(config.value, dataDir))
    return Option.map(dataDir, (directory) => ({ path: controlSocket(directory) }))
  })
