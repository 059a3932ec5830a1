/**
 * From what Schema says is wrong to what a person needs to be told. All knowledge of keys and
 * words comes from the Schema's own AST: a key added to the Schema is known here at once.
 */
import { inspect } from "node:util"
import { SchemaAST as AST, Effect, ParseResult } from "effect"
import { nearest } from "../model/NearestKey.ts"
import { formatPath, type Problem, type ProblemPath } from "../model/Problem.ts"
import {
  annotated,
  asMapping,
  describe,
  described,
  literalsOf,
  missedKeys,
  missedWords,
  presentTypes
} from "./SchemaWords.ts"

/** JSON, and what JSON has no word for as the language writes it: NaN, 5n, a cycle. */
const written = (value: unknown): string => {
  if (typeof value === "number") return String(value)
  if (typeof value === "bigint") return `${value}n`
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return inspect(value, { breakLength: Number.POSITIVE_INFINITY })
  }
}

/** Characters of a value in a message. */
const maxQuoted = 60

/** A value as it is quoted in a message, cut at 60 characters. */
export const quote = (value: unknown): string => {
  const text = written(value)
  return text.length > maxQuoted ? `${text.slice(0, maxQuoted - 1)}…` : text
}

const missedWord = (ast: AST.AST, actual: unknown): string | undefined => {
  const words = annotated(ast, AST.getAnnotation<ReadonlyMap<unknown, string>>(missedWords))
  return words?.get(actual)
}

/** The message a Schema carries for exactly this failure, when it was given one. */
const ownMessage = (issue: ParseResult.ParseIssue): string | undefined => {
  if ((issue._tag === "Type" || issue._tag === "Unexpected") && issue.message !== undefined) {
    return issue.message
  }
  if (!("ast" in issue)) return undefined
  const make = annotated(issue.ast, AST.getMessageAnnotation)
  if (make === undefined) return undefined
  const made = make(issue)
  if (typeof made === "string") return made
  return Effect.isEffect(made)
    ? Effect.runSync(made)
    : Effect.isEffect(made.message)
      ? Effect.runSync(made.message)
      : made.message
}

const mismatch = (ast: AST.AST, actual: unknown): Pick<Problem, "message" | "suggestion"> => {
  if (actual === null || actual === undefined || actual === "") {
    return { message: `is empty; expected ${describe(ast)}` }
  }
  const missed = missedWord(ast, actual)
  if (missed !== undefined) return { message: `${quote(actual)} ${missed}` }
  const literals = literalsOf(ast)?.map(String)
  const meant =
    typeof actual === "string" && literals !== undefined ? nearest(actual, literals) : undefined
  const alone = AST.isTupleType(ast) && typeof actual !== "object"
  const mapping = typeof actual === "string" ? asMapping(ast, actual) : undefined
  const whole = alone ? `[${quote(actual)}]` : mapping
  const hint =
    meant !== undefined ? `; did you mean ${meant}?` : whole === undefined ? "" : `; write ${whole}`
  return { message: `${shown(ast, actual)} is not ${describe(ast)}${hint}`, suggestion: meant }
}

/** Of a long list nothing is seen but its beginning, and one that is judged as a whole may be read already. */
const shown = (ast: AST.AST, actual: unknown): string => {
  if (!Array.isArray(actual) || actual.length === 0) return quote(actual)
  const isLong = written(actual).length > maxQuoted
  return isLong || AST.isRefinement(ast) ? listOf(actual.length) : quote(actual)
}

const listOf = (length: number): string =>
  length === 1 ? "a list of one entry" : `a list of ${length} entries`

/** A wrong value; a message that came with the Schema wins, and always shows the value. */
const told = (
  issue: ParseResult.Type,
  path: ProblemPath,
  message: string | undefined,
  /** As it was written; the issue may have it decoded. */
  actual: unknown = issue.actual
): Problem => {
  const own = message ?? ownMessage(issue)
  if (own === undefined || issue.actual === null || issue.actual === undefined) {
    return { path, about: "value", ...mismatch(issue.ast, issue.actual) }
  }
  const value = quote(actual)
  // What is said of a mapping or a list as such need not repeat all of it.
  const shown =
    typeof actual === "object"
      ? own.includes(value) || !AST.isStringKeyword(AST.encodedAST(issue.ast))
      : own.includes(value) || own.includes(String(actual))
  return { path, about: "value", message: shown ? own : `${value}: ${own}` }
}

const keysOf = (ast: AST.AST): ReadonlyArray<string> =>
  AST.isTypeLiteral(ast) ? ast.propertySignatures.map(({ name }) => String(name)) : []

const leavesOf = (ast: AST.AST): ReadonlyArray<AST.AST> =>
  AST.isUnion(ast)
    ? ast.types.flatMap(leavesOf)
    : AST.isRefinement(ast)
      ? leavesOf(ast.from)
      : [ast]

const missedKey = (ast: AST.AST, key: string): string | undefined => {
  const values = AST.isTypeLiteral(ast) ? ast.propertySignatures.map(({ type }) => type) : []
  return values
    .flatMap(leavesOf)
    .map((type) => annotated(type, AST.getAnnotation<ReadonlyMap<string, string>>(missedKeys)))
    .find((words) => words?.has(key))
    ?.get(key)
}

/** A key that has no place in a mapping: unknown, or not fit to be a name. */
const wrongKey = (parent: AST.AST, path: ProblemPath, key: string): Problem => {
  const at = { path: [...path, key], about: "key" } as const
  const index = AST.isTypeLiteral(parent) ? parent.indexSignatures[0] : undefined
  if (index !== undefined) {
    const make = annotated(index.parameter, AST.getMessageAnnotation)
    const reason =
      make === undefined
        ? describe(index.parameter)
        : String(make({ _tag: "Type", ast: index.parameter, actual: key, message: undefined }))
    return { ...at, message: `${quote(key)} cannot be a key here: ${reason}` }
  }
  const missed = missedKey(parent, key)
  if (missed !== undefined) return { ...at, message: `${key} ${missed}` }
  const known = keysOf(parent)
  const meant = nearest(key, known)
  return meant === undefined
    ? { ...at, message: `unknown key ${key}; known here: ${known.join(", ")}` }
    : { ...at, message: `unknown key ${key}; did you mean ${meant}?`, suggestion: meant }
}

/** A missing key that an unknown one beside it was meant to be is one mistake, not two. */
const withoutEchoes = (problems: ReadonlyArray<Problem>): ReadonlyArray<Problem> => {
  const meant = new Set(
    problems.flatMap(({ about, path, suggestion }) =>
      about === "key" && suggestion !== undefined
        ? [JSON.stringify([...path.slice(0, -1), suggestion])]
        : []
    )
  )
  return problems.filter(
    ({ message, path }) => !(message.startsWith("is missing") && meant.has(JSON.stringify(path)))
  )
}

/** A key that another variant of the same value has is known, but not with the keys beside it. */
const fitted = (
  union: AST.Union,
  path: ProblemPath,
  problems: ReadonlyArray<Problem>
): ReadonlyArray<Problem> => {
  const keys = presentTypes(union).flatMap((type) => keysOf(AST.encodedAST(type)))
  return problems.map((problem) => {
    const key = String(problem.path.at(-1))
    if (problem.about !== "key" || problem.path.length !== path.length + 1) return problem
    if (!keys.includes(key)) return problem
    const message = problem.message.replace(
      `unknown key ${key}`,
      `${key} does not go with the rest`
    )
    return { ...problem, message }
  })
}

/**
 * What tells mappings apart is looked at before all else, so a misspelt one is told as missing: it
 * stands there under another name.
 */
const misnamed = (
  union: AST.Union,
  actual: unknown,
  path: ProblemPath,
  problems: ReadonlyArray<Problem>
): ReadonlyArray<Problem> => {
  if (typeof actual !== "object" || actual === null || Array.isArray(actual)) return problems
  const known = new Set(presentTypes(union).flatMap((type) => keysOf(AST.encodedAST(type))))
  const unknown = Object.keys(actual).filter((key) => !known.has(key))
  return problems.map((problem) => {
    const missing = String(problem.path.at(-1))
    const own = problem.path.length === path.length + 1
    if (!own || !problem.message.startsWith("is missing")) return problem
    const key = unknown.find((key) => nearest(key, [...known]) === missing)
    if (key === undefined) return problem
    const message = `unknown key ${key}; did you mean ${missing}?`
    return { path: [...path, key], about: "key", message, suggestion: missing }
  })
}

const partsOf = ({ issues }: ParseResult.Composite): ReadonlyArray<ParseResult.ParseIssue> =>
  "_tag" in issues ? [issues] : issues

/**
 * Of a union's failed branches the one the writer most likely meant: it got further into the
 * value, and has less wrong with it.
 */
const likeliest = (issue: ParseResult.Composite, path: ProblemPath): ReadonlyArray<Problem> => {
  const issues = partsOf(issue).filter(
    (part) => !(part._tag === "Type" && AST.isUndefinedKeyword(part.ast))
  )
  if (issues.length === 1) return explain(issues[0]!, path)
  const branches = issues.map((branch) => explain(branch, path))
  const deep = branches.filter((problems) =>
    problems.every((problem) => problem.path.length > path.length)
  )
  if (deep.length > 0) {
    const cost = (problems: ReadonlyArray<Problem>) =>
      problems.reduce((sum, { suggestion }) => sum + (suggestion === undefined ? 2 : 1), 0)
    return deep.reduce((best, other) => (cost(other) < cost(best) ? other : best))
  }
  // A branch that knew what it was looking at says it best, when only one does.
  const knowing = issues.filter((branch) => leafMessage(branch) !== undefined)
  const [best] = knowing.filter((branch) => typeof issue.actual === "string" || isWhole(branch))
  if (knowing.length === 1 && best !== undefined) return explain(best, path)
  return [{ path, about: "value", ...mismatch(issue.ast, issue.actual) }]
}

/** Of the right shape, and refused by a rule about all of it. */
const isWhole = (issue: ParseResult.ParseIssue): boolean =>
  issue._tag === "Refinement" && issue.kind === "Predicate"

const leafMessage = (issue: ParseResult.ParseIssue): string | undefined => {
  const own = ownMessage(issue)
  if (own !== undefined) return own
  if (issue._tag === "Composite" && AST.isUnion(issue.ast)) {
    const known = partsOf(issue).flatMap((part) => leafMessage(part) ?? [])
    return known.length === 1 ? known[0] : undefined
  }
  return issue._tag === "Refinement" || issue._tag === "Transformation"
    ? leafMessage(issue.issue)
    : undefined
}

/** Every problem in a failed decoding, in the order of the Schema. */
export const explain = (
  issue: ParseResult.ParseIssue,
  path: ProblemPath = []
): ReadonlyArray<Problem> => {
  switch (issue._tag) {
    case "Composite": {
      if (AST.isUnion(issue.ast)) {
        const found = misnamed(issue.ast, issue.actual, path, likeliest(issue, path))
        return fitted(issue.ast, path, found)
      }
      return withoutEchoes(
        partsOf(issue).flatMap((part) =>
          part._tag === "Pointer" && part.issue._tag === "Unexpected"
            ? [wrongKey(issue.ast, path, String(part.path))]
            : explain(part, path)
        )
      )
    }
    case "Pointer": {
      const keys: ReadonlyArray<PropertyKey> = Array.isArray(issue.path)
        ? issue.path.flat()
        : [issue.path]
      return explain(issue.issue, [
        ...path,
        ...keys.map((key) => (typeof key === "symbol" ? String(key) : key))
      ])
    }
    case "Refinement": {
      if (issue.issue._tag !== "Type") return explain(issue.issue, path)
      // Where nothing stands, what was expected is known best by who asks the most.
      const { actual, ast, message } = issue.issue
      const empty = actual === null || actual === undefined
      const asks = empty && !AST.isTupleType(ast) && described(issue.ast) !== undefined
      const leaf = new ParseResult.Type(asks ? issue.ast : ast, actual, message)
      return [told(leaf, path, ownMessage(issue), issue.actual)]
    }
    case "Transformation":
      if (issue.issue._tag !== "Type" || issue.kind !== "Encoded") return explain(issue.issue, path)
      return [told(new ParseResult.Type(issue.ast, issue.actual), path, ownMessage(issue.issue))]
    case "Missing":
      return [{ path, about: "value", message: `is missing; expected ${describe(issue.ast.type)}` }]
    case "Type":
      return [told(issue, path, undefined)]
    case "Unexpected":
    case "Forbidden":
      return [{ path, about: "value", message: issue.message ?? "is not allowed here" }]
  }
}

/** All of it on one line, for where there is no file to point into. */
export const explainInLine = (issue: ParseResult.ParseIssue): string =>
  explain(issue)
    .map(({ path, message }) => (path.length === 0 ? message : `${formatPath(path)}: ${message}`))
    .join("; ")
