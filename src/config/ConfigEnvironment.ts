/**
 * What the environment may say: where the config is, and the few values that differ between
 * otherwise equal hosts. Weaker than options, stronger than the file.
 */
import {
  Config,
  type Effect,
  ConfigError as EffectConfigError,
  Either,
  LogLevel,
  Option,
  Schema
} from "effect"
import { explainInLine } from "../schema/ExplainIssue.ts"
import type { ConfigOverride } from "./ConfigFile.ts"

const text = (name: string) => Config.option(Config.nonEmptyString(name))

const levels = {
  trace: LogLevel.Trace,
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  none: LogLevel.None
} as const

const LevelName = Schema.Literal("trace", "debug", "info", "warning", "error", "none")
const decodeLevel = Schema.decodeUnknownEither(LevelName)

const logLevel = Config.nonEmptyString("SKEIN_LOG_LEVEL").pipe(
  Config.mapOrFail((text) =>
    Either.mapBoth(decodeLevel(text.toLowerCase()), {
      onLeft: ({ issue }) =>
        EffectConfigError.InvalidData(["SKEIN_LOG_LEVEL"], explainInLine(issue)),
      onRight: (name) => levels[name]
    })
  ),
  Config.option
)

const environment = Config.all({
  /** Path of the config file. */
  config: text("SKEIN_CONFIG"),
  /** Instead of `node.dataDir`; relative to the current directory. */
  dataDir: text("SKEIN_DATA_DIR"),
  /** Instead of `admin`: host:port or unix:/path. */
  admin: text("SKEIN_ADMIN"),
  /** Least level that is logged: trace, debug, info (default), warning, error, none. */
  logLevel
})

export type ConfigEnvironment = Effect.Effect.Success<typeof environment>

export const readEnvironment: Effect.Effect<ConfigEnvironment, EffectConfigError.ConfigError> =
  environment

/** `SKEIN_LOG_LEVEL: "loud" is not one of trace, …` */
export const describeEnvironmentError = (error: EffectConfigError.ConfigError): string => {
  switch (error._op) {
    case "And":
    case "Or":
      return `${describeEnvironmentError(error.left)}; ${describeEnvironmentError(error.right)}`
    default:
      return `${error.path.at(-1) ?? "the environment"}: ${error.message}`
  }
}

/** The environment's part of a config, to be given to `loadConfig`. */
export const environmentOverrides = ({
  dataDir,
  admin
}: ConfigEnvironment): ReadonlyArray<ConfigOverride> => [
  ...Option.toArray(dataDir).map((value) => ({
    path: ["node", "dataDir"],
    value,
    source: "SKEIN_DATA_DIR"
  })),
  ...Option.toArray(admin).map((value) => ({ path: ["admin"], value, source: "SKEIN_ADMIN" }))
]
