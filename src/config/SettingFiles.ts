/**
 * From files and directories to mesh-wide settings: read as configs are, with every mistake at its place, and
 * all of them before anything is set. A file holds one document, several parted by `---`, or a list.
 */
import { Effect, Either } from "effect"
import { nearest } from "../model/NearestKey.ts"
import type { Problem, ProblemPath } from "../model/Problem.ts"
import { type SettingBody, settingLimits } from "../model/Setting.ts"
import { quote } from "../schema/ExplainIssue.ts"
import { bodyProblems, isOfNodes, kindNames, kindOf, nameProblem } from "../schema/SettingKinds.ts"
import { ConfigError, type PlacedProblem } from "./ConfigProblem.ts"
import {
  type FileWords,
  isModuleName,
  parseSource,
  type RawConfig,
  readModule,
  readPlain,
  unreadable
} from "./ConfigSource.ts"
import { type FoundFiles, filesOf, type PathChoice } from "./SettingPaths.ts"

/** What a person wants to hold in the mesh. */
export interface SettingDocument {
  readonly kind: string
  readonly name: string
  readonly why: string | undefined
  readonly body: SettingBody
  /** The file that says it. */
  readonly source: string
}

const words: FileWords = { option: "-f FILE or -f DIRECTORY", define: "defineSetting" }

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Each document of a text at the lines where it stands. */
const documentsIn = (text: string): ReadonlyArray<string> => {
  const parts: Array<string> = []
  let [lines, before] = [[] as string[], 0]
  const take = () => {
    if (lines.some((line) => /^\s*[^\s#]/.test(line))) {
      parts.push("\n".repeat(before) + lines.join("\n"))
    }
  }
  for (const [index, line] of text.split("\n").entries()) {
    if (!/^---(\s|$)/.test(line)) {
      lines.push(line)
      continue
    }
    take()
    lines = [line.slice(3).replace(/^/, "   ")]
    before = index
  }
  take()
  return parts
}

const read = (file: string): Effect.Effect<ReadonlyArray<RawConfig>, ConfigError> =>
  isModuleName(file)
    ? Effect.map(readModule(file, words), (raw) => [raw])
    : Effect.flatMap(readPlain(file, words), (text) => {
        const parts = documentsIn(text)
        return parts.length === 0
          ? Effect.fail(unreadable(file, "nothing stands in it"))
          : Either.all(parts.map((part) => parseSource(part, file)))
      })

const problem = (path: ProblemPath, message: string, suggestion?: string): Problem => ({
  ...{ path, about: "value", message, suggestion }
})

/** One of them, or every mistake in it; `at`: where it stands in its file. */
const decodeDocument = (
  value: unknown,
  at: ProblemPath,
  source: string
): Either.Either<SettingDocument, ReadonlyArray<Problem>> => {
  if (!isMapping(value)) {
    const message = `${quote(value)} is not a setting; write a mapping with kind, name and what it says`
    return Either.left([problem(at, message)])
  }
  const { kind, name, why, ...body } = value
  const problems: Array<Problem> = []
  const known = typeof kind === "string" && !isOfNodes(kind) ? kindOf(kind) : undefined
  if (known === undefined) {
    const kinds = kindNames()
    const near = typeof kind === "string" ? nearest(kind, kinds) : undefined
    const hint =
      near === undefined ? `; expected one of ${kinds.join(", ")}` : `; did you mean ${near}?`
    const what = kind === undefined ? "is missing" : `${quote(kind)} is no kind of settings`
    problems.push(problem([...at, "kind"], `${what}${hint}`, near))
  }
  const wrongName =
    name === undefined
      ? "is missing; expected a name"
      : typeof name !== "string"
        ? `${quote(name)} is not a name`
        : typeof kind === "string"
          ? nameProblem(kind, name)
          : undefined
  if (wrongName !== undefined) problems.push(problem([...at, "name"], wrongName))
  if (why !== undefined && (typeof why !== "string" || why.length > settingLimits.why)) {
    const message = `${quote(why)} is not a text of at most ${settingLimits.why} characters`
    problems.push(problem([...at, "why"], message))
  }
  if (known !== undefined) {
    for (const one of bodyProblems(known, body))
      problems.push({ ...one, path: [...at, ...one.path] })
  }
  if (problems.length > 0) return Either.left(problems)
  // Both were looked at above, and a body is what JSON makes of it: without keys that are undefined.
  const plain: SettingBody = JSON.parse(JSON.stringify(body))
  return Either.right({
    ...{ kind: String(kind), name: String(name), body: plain, source },
    why: typeof why === "string" ? why : undefined
  })
}

const decodeAll = (
  raw: RawConfig,
  source: string
): {
  readonly documents: ReadonlyArray<SettingDocument>
  readonly problems: ReadonlyArray<PlacedProblem>
} => {
  const values: ReadonlyArray<readonly [unknown, ProblemPath]> = Array.isArray(raw.value)
    ? raw.value.map((value, index) => [value, [index]])
    : [[raw.value, []]]
  const decoded = values.map(([value, at]) => decodeDocument(value, at, source))
  return {
    documents: decoded.flatMap((one) => (Either.isRight(one) ? [one.right] : [])),
    problems: decoded.flatMap((one) =>
      Either.isRight(one)
        ? []
        : one.left.map((found) => ({
            ...found,
            source,
            position: raw.locate(found.path, found.about)
          }))
    )
  }
}

const invalid = (problems: ReadonlyArray<PlacedProblem>, code: ConfigError["code"]) =>
  new ConfigError({ code, problems, what: "what is to be set" })

export interface LoadedSettings {
  readonly documents: ReadonlyArray<SettingDocument>
  /** Files and directories that were left out and may have been meant, one line each. */
  readonly skipped: ReadonlyArray<string>
}

/** All that stands in these files and directories, or every mistake in any of them. */
export const loadSettings = (
  paths: ReadonlyArray<string>,
  choice: PathChoice = {}
): Effect.Effect<LoadedSettings, ConfigError> =>
  Effect.gen(function* () {
    const skipped: Array<string> = []
    const documents: Array<SettingDocument> = []
    const problems: Array<PlacedProblem> = []
    let code: ConfigError["code"] = "config_invalid"
    for (const path of paths) {
      const found = yield* Effect.either(Effect.flatMap(filesOf(path, choice), readFiles))
      if (Either.isLeft(found)) {
        code = found.left.code
        problems.push(...found.left.problems)
        continue
      }
      skipped.push(...found.right.skipped)
      for (const { file, raw } of found.right.raws) {
        const decoded = decodeAll(raw, file)
        documents.push(...decoded.documents)
        problems.push(...decoded.problems)
      }
    }
    problems.push(...twice(documents))
    if (problems.length > 0) return yield* invalid(problems, code)
    return { documents, skipped }
  })

const readFiles = ({ files, skipped }: FoundFiles) =>
  Effect.map(
    Effect.forEach(files, (file) =>
      Effect.map(read(file), (raws) => raws.map((raw) => ({ file, raw })))
    ),
    (all) => ({ raws: all.flat(), skipped })
  )

/** Which of the two would hold nobody could say. */
const twice = (documents: ReadonlyArray<SettingDocument>): ReadonlyArray<PlacedProblem> => {
  const first = new Map<string, string>()
  return documents.flatMap(({ kind, name, source }) => {
    const key = `${kind} ${name}`
    const other = first.get(key)
    first.set(key, other ?? source)
    const message = `${key} stands here, and in ${other}; keep the one that is meant`
    return other === undefined
      ? []
      : [{ ...problem(["name"], message), source, position: undefined }]
  })
}
