/**
 * Which node a command talks to: --admin, else SKEIN_ADMIN, else the `admin` of the config named by
 * --config or SKEIN_CONFIG, else the default port of this host.
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import { Effect, Either, Option, Schema } from "effect"
import {
  type ConfigEnvironment,
  describeEnvironmentError,
  readEnvironment
} from "../config/ConfigEnvironment.ts"
import { loadConfig } from "../config/ConfigFile.ts"
import type { ConfigError } from "../config/ConfigProblem.ts"
import type { AdminAddress } from "../config/HostPort.ts"
import { AdminListen } from "../config/NodeConfig.ts"
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
    "The node to ask, as host:port or unix:/path (default: SKEIN_ADMIN, the config's admin, 127.0.0.1:4191)"
  ),
  Options.optional
)

export const nodeOptions = { admin: adminOption, config: configOption }

export interface NodeChoice {
  readonly admin: Option.Option<AdminAddress>
  readonly config: Option.Option<string>
}

/** The environment; what it says wrongly is wrong usage. */
export const environment: Effect.Effect<ConfigEnvironment, CommandFailed> = Effect.mapError(
  readEnvironment,
  (error) => wrongUsage(describeEnvironmentError(error))
)

export const chosenNode = (
  choice: NodeChoice
): Effect.Effect<AdminAddress, CommandFailed | ConfigError> =>
  Effect.gen(function* () {
    if (Option.isSome(choice.admin)) return choice.admin.value
    const { admin, config } = yield* environment
    if (Option.isSome(admin)) {
      return yield* Either.mapLeft(Schema.decodeEither(AdminListen)(admin.value), ({ issue }) =>
        wrongUsage(`SKEIN_ADMIN: ${explainInLine(issue)}`)
      )
    }
    const file = Option.orElse(choice.config, () => config)
    if (Option.isNone(file)) return defaultAdmin
    const chosen = (yield* loadConfig(file.value)).admin
    if (chosen === "off") {
      return yield* failCommand(
        `${file.value} has admin: off, so its node cannot be asked or told anything; give it an address like 127.0.0.1:4191`
      )
    }
    return chosen.listen
  })
