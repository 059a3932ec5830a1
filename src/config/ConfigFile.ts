/**
 * From a path to a config a node can run on: read, decode, check, apply overrides. Either a whole
 * config or every problem it has; nothing in between.
 */
import { basename, dirname, resolve } from "node:path"
import { Effect, Either } from "effect"
import type { ProblemPath } from "../model/Problem.ts"
import { ConfigError, type PlacedProblem } from "./ConfigProblem.ts"
import {
  type FileWords,
  isModuleName,
  isTextName,
  type RawConfig,
  readModule,
  readText,
  unreadable
} from "./ConfigSource.ts"
import { decodeNodeConfig, type NodeConfig } from "./NodeConfig.ts"
import { portWarnings } from "./PolicyReach.ts"
import { programsFrom } from "./ProgramsConfig.ts"
import { unknownUsers } from "./SystemUsers.ts"
import { withCertificates } from "./TlsFiles.ts"

/** Said on the command line or in the environment; stronger than the file. */
export interface ConfigOverride {
  readonly path: ProblemPath
  readonly value: unknown
  /** `--data-dir`, `SKEIN_ADMIN`: named in problems. */
  readonly source: string
}

const configWords: FileWords = { option: "--config FILE", define: "defineConfig" }

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A copy with one value replaced; a parent that is no mapping is left for the Schema to refuse. */
const withValue = (target: unknown, path: ProblemPath, value: unknown): unknown => {
  const [key, ...rest] = path
  if (key === undefined) return value
  if (target !== undefined && !isRecord(target)) return target
  return { ...target, [key]: withValue(target?.[key], rest, value) }
}

const startsWith = (path: ProblemPath, prefix: ProblemPath): boolean =>
  prefix.every((key, index) => path[index] === key)

/** Decodes a value as if it were the content of `source`. */
export const decodeConfig = (
  raw: RawConfig,
  source: string,
  overrides: ReadonlyArray<ConfigOverride> = []
): Either.Either<NodeConfig, ConfigError> => {
  const value = overrides.reduce(
    (whole, { path, value }) => withValue(whole, path, value),
    raw.value
  )
  return Either.mapLeft(decodeNodeConfig(value), (found) => {
    const problems = found.map((problem): PlacedProblem => {
      const by = overrides.findLast(({ path }) => startsWith(problem.path, path))
      return by === undefined
        ? { ...problem, source, position: raw.locate(problem.path, problem.about) }
        : { ...problem, source: by.source, position: undefined }
    })
    const place = ({ position }: PlacedProblem) => position ?? { line: 0, column: 0 }
    problems.sort((a, b) => place(a).line - place(b).line || place(a).column - place(b).column)
    return new ConfigError({ code: "config_invalid", problems })
  })
}

/** Relative paths in a config mean: from where the config is. */
const anchored = (config: NodeConfig, base: string, dataDirBase: string): NodeConfig => {
  const { accessLog } = config.telemetry
  const { audit } = config
  return {
    ...config,
    audit:
      audit === "off" || audit.file === undefined || audit.file === "off"
        ? audit
        : { ...audit, file: resolve(base, audit.file) },
    node: { ...config.node, dataDir: resolve(dataDirBase, config.node.dataDir) },
    telemetry: {
      ...config.telemetry,
      accessLog: accessLog.includes("/") ? resolve(base, accessLog) : accessLog
    }
  }
}

export interface ReadConfig {
  readonly config: NodeConfig
  /** What is right and yet may not be meant, one line each. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Reads `skein.yaml`, `.yml`, `.json`, `.ts`, `.mts`, `.js` or `.mjs`. Paths in the result are
 * absolute: relative ones in the file count from the file, those in overrides from the current
 * directory.
 */
export const readConfig = (
  path: string,
  overrides: ReadonlyArray<ConfigOverride> = []
): Effect.Effect<ReadConfig, ConfigError> =>
  Effect.gen(function* () {
    const full = resolve(path)
    const text = isTextName(full)
    if (!text && !isModuleName(full)) {
      return yield* unreadable(
        path,
        `${basename(path)} is not a config file: its name must end in .yaml, .yml, .json or .ts`
      )
    }
    const raw = yield* text ? readText(full, configWords) : readModule(full, configWords)
    const written = yield* decodeConfig(raw, path, overrides)
    const certified = withCertificates(written, dirname(full))
    const { programs, problems: misplaced } = programsFrom(written.programs, dirname(full))
    const config = { ...certified.config, programs }
    const problems = [...certified.problems, ...misplaced]
    if (problems.length > 0) {
      const placed = problems.map((problem): PlacedProblem => {
        const position = raw.locate(problem.path, problem.about)
        return { ...problem, source: path, position }
      })
      return yield* new ConfigError({ code: "config_invalid", problems: placed })
    }
    const moved = overrides.some(
      ({ path: [first, second] }) => first === "node" && second === "dataDir"
    )
    const warnings = [
      ...(raw.empty === true
        ? ["nothing stands in it, so every default holds and no service is offered"]
        : []),
      ...portWarnings(config),
      ...unknownUsers(config)
    ]
    return {
      config: anchored(config, dirname(full), moved ? process.cwd() : dirname(full)),
      warnings: warnings.map((warning) => `${path}: ${warning}`)
    }
  })

/** The same without what may not be meant. */
export const loadConfig = (
  path: string,
  overrides: ReadonlyArray<ConfigOverride> = []
): Effect.Effect<NodeConfig, ConfigError> =>
  Effect.map(readConfig(path, overrides), ({ config }) => config)
