/**
 * What stands in a file that a person wrote for Skein: YAML or JSON, with places, or the default export of
 * a module. Configs and mesh-wide settings are read alike.
 */
import { readFile, stat } from "node:fs/promises"
import { extname } from "node:path"
import { pathToFileURL } from "node:url"
import { Effect, Either } from "effect"
import type { ProblemPath } from "../model/Problem.ts"
import { ConfigError, type Position } from "./ConfigProblem.ts"
import { parseConfigText } from "./ConfigText.ts"
import { defaultExport, type ModuleBroken, modulePatience } from "./ModuleThread.ts"

export const isTextName = (path: string): boolean =>
  [".yaml", ".yml", ".json"].includes(extname(path))

export const isModuleName = (path: string): boolean =>
  [".ts", ".mts", ".js", ".mjs"].includes(extname(path))

/** What a file means, and where in it each part stands. */
export interface RawConfig {
  readonly value: unknown
  readonly empty?: boolean
  readonly locate: (path: ProblemPath, about: "key" | "value") => Position | undefined
}

export const unreadable = (file: string, message: string): ConfigError =>
  new ConfigError({
    code: "config_unreadable",
    problems: [{ path: [], about: "value", message, source: file, position: undefined }]
  })

/** How such a file is named on the command line, and what a module makes its value by. */
export interface FileWords {
  readonly option: string
  readonly define: string
}

const reasonOf = (cause: unknown, { option }: FileWords): string => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  if (code === "ENOENT") return `there is no such file; name one with ${option}`
  if (code === "EACCES") return "may not be read by this user; check its owner and mode"
  if (code === "EISDIR") return "is a directory; name the file in it"
  return `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
}

/** What stands in it, as it stands there. */
export const readPlain = (path: string, words: FileWords): Effect.Effect<string, ConfigError> =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (cause) => unreadable(path, reasonOf(cause, words))
  })

export const parseSource = (
  text: string,
  source: string
): Either.Either<RawConfig, ConfigError> => {
  const parsed = parseConfigText(text)
  return "locate" in parsed
    ? Either.right(parsed)
    : Either.left(
        new ConfigError({
          code: "config_syntax",
          problems: parsed.map((problem) => ({ ...problem, path: [], about: "value", source }))
        })
      )
}

export const readText = (path: string, words: FileWords): Effect.Effect<RawConfig, ConfigError> =>
  Effect.flatMap(readPlain(path, words), (text) => parseSource(text, path))

/** Node reads TypeScript from 22.18 on. */
const moduleReasonOf = ({ code, message }: ModuleBroken): string => {
  switch (code) {
    case "ERR_UNKNOWN_FILE_EXTENSION":
      return `is TypeScript, which Node ${process.versions.node} does not read (22.18 and newer do); write it as .mjs or .yaml`
    case "DataCloneError":
      return `says more than plain data (${message})`
    case "ended":
    case "slow":
      return message
    default:
      return `cannot be loaded: ${message}`
  }
}

/** A module is loaded again each time, with what it imports. */
export const readModule = (
  path: string,
  words: FileWords,
  patience = modulePatience
): Effect.Effect<RawConfig, ConfigError> =>
  Effect.gen(function* () {
    yield* Effect.tryPromise({
      try: () => stat(path),
      catch: (cause) => unreadable(path, reasonOf(cause, words))
    })
    const said = yield* Effect.mapError(
      defaultExport(pathToFileURL(path).href, patience),
      (broken) => unreadable(path, moduleReasonOf(broken))
    )
    if (said === undefined) {
      return yield* unreadable(
        path,
        `has no default export; write export default ${words.define}({ … })`
      )
    }
    return { value: said.value, locate: () => undefined }
  })
