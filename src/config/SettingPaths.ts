/**
 * Which files the words behind `-f` stand for: a file for itself, a directory for what is directly in it, in
 * the order of the names, and with `recursive` for what lies in its directories too. What is hidden (.git, the
 * copies that editors make) is not taken, and what was left out is told.
 */
import type { Dirent } from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { settingLimits } from "../model/Setting.ts"
import type { ConfigError } from "./ConfigProblem.ts"
import { isModuleName, isTextName, unreadable } from "./ConfigSource.ts"

export interface PathChoice {
  /** Directories within directories, too. Default: no. */
  readonly recursive?: boolean
}

export interface FoundFiles {
  readonly files: ReadonlyArray<string>
  /** What was left out and may have been meant, one line each. */
  readonly skipped: ReadonlyArray<string>
}

/** More than the mesh has room for are a mistake. */
const maxFiles = settingLimits.records

const endings = ".yaml, .yml, .json or .ts"

const isSettingFile = (name: string): boolean =>
  isTextName(name) || (isModuleName(name) && !name.endsWith(".d.ts"))

/** Undefined: it may not be looked at. */
const whatIs = async (
  path: string
): Promise<"directory" | "file" | "other" | "missing" | undefined> => {
  try {
    const found = await stat(path)
    return found.isDirectory() ? "directory" : found.isFile() ? "file" : "other"
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    return code === "ENOENT" ? "missing" : undefined
  }
}

export const filesOf = (
  path: string,
  choice: PathChoice = {}
): Effect.Effect<FoundFiles, ConfigError> =>
  Effect.gen(function* () {
    const what = yield* Effect.promise(() => whatIs(path))
    // Reading one that nobody writes to would wait for ever, whoever asks for it to end.
    if (what === "other") return yield* unreadable(path, "is neither a file nor a directory")
    if (what === "missing") return yield* unreadable(path, "there is no such file or directory")
    if (what !== "directory") {
      if (isSettingFile(path)) return { files: [path], skipped: [] }
      return yield* unreadable(
        path,
        `is neither a directory nor a file whose name ends in ${endings}`
      )
    }
    const { files, skipped } = yield* filesIn(path, choice)
    if (files.length > 0 && files.length <= maxFiles) return { files, skipped }
    return yield* unreadable(
      path,
      files.length === 0
        ? [`has no file in it whose name ends in ${endings}`, ...skipped.slice(0, 3)].join("; ")
        : `has ${files.length} files in it; ${maxFiles} are the limit`
    )
  })

const filesIn = (directory: string, choice: PathChoice): Effect.Effect<FoundFiles, ConfigError> =>
  Effect.gen(function* () {
    const entries = yield* Effect.tryPromise({
      try: () => readdir(directory, { withFileTypes: true }),
      catch: (cause) => unreadable(directory, `cannot be read: ${String(cause)}`)
    })
    const files: Array<string> = []
    const skipped: Array<string> = []
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(directory, entry.name)
      const isHidden = entry.name.startsWith(".")
      if (yield* Effect.promise(() => isDirectory(entry, path))) {
        // Modules are run as they are read, and nobody means those of packages.
        if (isHidden || entry.name === "node_modules") continue
        if (choice.recursive !== true) {
          skipped.push(`${path} is a directory, which only -R takes, too`)
        } else if (entry.isSymbolicLink()) {
          // It may lead to where it stands.
          skipped.push(`${path} is a link to a directory, which is not followed`)
        } else if (files.length <= maxFiles) {
          const inner = yield* filesIn(path, choice)
          files.push(...inner.files)
          skipped.push(...inner.skipped)
        }
      } else if (isSettingFile(entry.name)) {
        if (isHidden) skipped.push(`${path} is hidden`)
        else files.push(path)
      }
    }
    return { files, skipped }
  })

const isDirectory = async (entry: Dirent, path: string): Promise<boolean> =>
  entry.isDirectory() || (entry.isSymbolicLink() && (await whatIs(path)) === "directory")
