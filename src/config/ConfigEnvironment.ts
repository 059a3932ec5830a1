/**
 * What the environment may say: where the config is, and the few values that differ between
 * otherwise equal hosts. Weaker than options, stronger than the file.
 */
import { Config, type Effect, type ConfigError as EffectConfigError, Option } from "effect"
import type { ConfigOverride } from "./ConfigFile.ts"

const text = (name: string) => Config.option(Config.nonEmptyString(name))

const environment = Config.all({
  /** Path of the config file. */
  config: text("SKEIN_CONFIG"),
  /** Instead of `node.dataDir`; relative to the current directory. */
  dataDir: text("SKEIN_DATA_DIR"),
  /** Instead of `admin`: host:port or unix:/path. */
  admin: text("SKEIN_ADMIN"),
  /** Least level that is logged: trace, debug, info (default), warning, error, none. */
  logLevel: Config.option(Config.logLevel("SKEIN_LOG_LEVEL"))
})

export type ConfigEnvironment = Effect.Effect.Success<typeof environment>

export const readEnvironment: Effect.Effect<ConfigEnvironment, EffectConfigError.ConfigError> =
  environment

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
