/**
 * A config file's text: the value it means, and where in the text each part of it stands. JSON is
 * read by the same parser (YAML 1.2 contains it), so its problems have lines and columns too.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument
} from "yaml"
import type { Problem, ProblemPath } from "../model/Problem.ts"
import type { Position } from "./ConfigProblem.ts"
import { yamlMistakes } from "./YamlMistake.ts"

export interface ConfigText {
  readonly value: unknown
  /** Nothing stands in it, comments apart. */
  readonly empty: boolean
  /** Where a key or value stands; the nearest enclosing one when it is not written out. */
  readonly locate: (path: ProblemPath, about: Problem["about"]) => Position | undefined
}

export interface TextProblem {
  readonly message: string
  readonly position: Position | undefined
}

const offsetOf = (
  document: Document,
  path: ProblemPath,
  about: Problem["about"]
): number | undefined => {
  let node: unknown = document.contents
  let offset = isNode(node) ? node.range?.[0] : undefined
  for (const [depth, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    const last = depth === path.length - 1
    let child: unknown
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => String(isScalar(item.key) ? item.key.value : item.key) === String(key)
      )
      if (pair === undefined) return offset
      const at = isNode(pair.key) ? pair.key.range?.[0] : undefined
      if (last && about === "key") return at ?? offset
      child = pair.value
      offset = at ?? offset
    } else if (isSeq(node)) {
      child = node.items[Number(key)]
    }
    if (!isNode(child)) return offset
    node = child
    // An empty value has a range too, but behind its key, often on the next line.
    const [from, to] = child.range ?? [0, 0]
    if (to > from) offset = from
  }
  return offset
}

/** A few lines of aliases of aliases could mean more than memory holds. */
const maxAliases = 100

/** Never throws: a text that is not YAML gives its problems, every one with its position. */
export const parseConfigText = (text: string): ConfigText | ReadonlyArray<TextProblem> => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true })
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const mistakes = yamlMistakes(text, document)
  if (mistakes.length > 0) {
    return mistakes.map(({ message, offset }) => ({ message, position: position(offset) }))
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: maxAliases })
  } catch {
    const message = `aliases (*name) stand within each other and make more than ${maxAliases} values; write them out`
    return [{ message, position: undefined }]
  }
  return {
    // An empty file means: every default.
    value: value ?? {},
    empty: value === null || value === undefined,
    locate: (path, about) => {
      const offset = offsetOf(document, path, about)
      return offset === undefined ? undefined : position(offset)
    }
  }
}
