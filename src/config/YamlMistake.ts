/**
 * What a YAML parser refuses, as a person can mend it: what stands there, what was expected. The
 * parser speaks of its grammar ("implicit keys need to be on a single line"), which says little to
 * whoever left out a colon; so the place is looked at again here.
 */
import { type Document, isScalar, Lexer, visit, type YAMLParseError } from "yaml"
import { quote } from "../schema/ExplainIssue.ts"

/** `offset`: in the text. */
export interface YamlMistake {
  readonly message: string
  readonly offset: number
}

type Complaint = Pick<YAMLParseError, "code" | "message" | "pos">

/** Where things stand, as people count. */
const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length
const columnOf = (text: string, offset: number): number =>
  offset - (text.lastIndexOf("\n", offset - 1) + 1) + 1
const restOfLine = (text: string, offset: number): string =>
  text.slice(offset).split("\n", 1)[0]!.trimEnd()
const wholeLine = (text: string, offset: number): string =>
  restOfLine(text, offset - columnOf(text, offset) + 1)

/** The lexer marks what is no character of the text by these. */
const marks = /^[\u0002\u0018\u001f]$/

/** The text's tokens up to an offset. */
const tokens = function* (text: string, end: number) {
  let offset = 0
  for (const token of new Lexer().lex(text)) {
    if (marks.test(token)) continue
    if (offset >= end) return
    yield { token, offset }
    offset += token.length
  }
}

/** The innermost bracket that is open at an offset. */
const openBracket = (text: string, at: number): number | undefined => {
  const open: Array<number> = []
  for (const { token, offset } of tokens(text, at)) {
    if (token === "[" || token === "{") open.push(offset)
    else if (token === "]" || token === "}") open.pop()
  }
  return open.at(-1)
}

const lastQuoted = (text: string, mark: string): number | undefined => {
  let found: number | undefined
  for (const { token, offset } of tokens(text, text.length)) {
    if (token.startsWith(mark)) found = offset
  }
  return found
}

const unclosed = (text: string, offset: number): YamlMistake => {
  const from = openBracket(text, offset)
  const opening = from === undefined ? "[" : text[from]!
  const closing = opening === "{" ? "}" : "]"
  const where =
    from === undefined ? "" : ` of line ${lineOf(text, from)}, column ${columnOf(text, from)}`
  const message = `expected ${closing} before this, to close the ${opening}${where}${
    text.slice(offset).trim() === ""
      ? "; the file ends without it"
      : "; if this line belongs between them, indent it"
  }`
  return { message, offset }
}

const spaces = (count: number): string => (count === 1 ? "1 space" : `${count} spaces`)

/** A key's column in its line; behind the dash where it begins an item of a list. */
const keyColumn = (line: string): number => /^ *(- +)*/.exec(line)![0].length

/** A line that is indented as no key above it is. */
const misaligned = (text: string, at: number): YamlMistake => {
  const line = wholeLine(text, at)
  const own = keyColumn(line)
  const above = text.slice(0, at).split("\n").slice(0, -1).reverse()
  const found: Array<string> = []
  let least = Number.POSITIVE_INFINITY
  for (const one of above) {
    const column = keyColumn(one)
    const key = /^[^\s:#]+(?=:( |$))/.exec(one.slice(column))?.[0]
    if (key === undefined || column >= least) continue
    least = column
    found.push(`${key} (${spaces(column)})`)
    if (column === 0) break
  }
  const offset = at - columnOf(text, at) + 1 + own
  const aligned = found.slice(0, 3).join(" or ")
  const mend = aligned === "" ? "align it with the keys it belongs to" : `align it with ${aligned}`
  return { message: `indented by ${spaces(own)}, as no key above it is; ${mend}`, offset }
}

/** A text that a colon should have made a key, or two that stand in one place. */
const notAKey = (text: string, offset: number): YamlMistake => {
  const line = wholeLine(text, offset)
  const rest = restOfLine(text, offset)
  const dash = /^ *-([^\s-][^\s:]*):( |$)/.exec(line)?.[1]
  if (dash !== undefined) {
    const message = `expected a space behind the dash; write - ${dash}: …`
    return { message, offset: offset - columnOf(text, offset) + 1 + line.indexOf("-") }
  }
  const glued = /^([A-Za-z][\w-]*):(\S.*)$/.exec(rest)
  if (glued !== null) {
    const message = `expected a space behind the colon; write ${glued[1]}: ${glued[2]}`
    return { message, offset }
  }
  if (/: |:$/.test(rest)) {
    const message = `expected one value, and there is a second colon in ${quote(rest)}; put the value in quotes, or begin it on a line of its own`
    return { message, offset }
  }
  const before = line.slice(0, columnOf(text, offset) - 1)
  const key = /([^\s:{[,]+): +$/.exec(before)?.[1]
  if (key !== undefined) {
    const message = `expected nothing deeper below ${key}, which has the value ${quote(rest)}; the next line is indented too far, or the value is to go`
    return { message, offset }
  }
  return { message: `expected a colon behind ${quote(rest)}; write ${rest}: and its value`, offset }
}

/** A key a second time, with the place of the first. */
const twice = (text: string, offset: number, document: Document): YamlMistake => {
  let message = "this key stands twice; keep one of them"
  visit(document, {
    Map: (_, map) => {
      const keys = map.items.map(({ key }) => key).filter((key) => isScalar(key))
      const second = keys.find(({ range }) => range?.[0] === offset)
      if (second === undefined) return undefined
      const first = keys.find(({ value }) => value === second.value)
      const line = lineOf(text, first?.range?.[0] ?? offset)
      message = `${String(second.value)} stands here a second time, and in line ${line} already; keep one of them`
      return visit.BREAK
    }
  })
  return { message, offset }
}

/** What stands there, in quotes. */
const wordAt = (text: string, offset: number): string => {
  const word = /^("[^"\n]*"|[^\s,\]}]+|.)?/.exec(restOfLine(text, offset))?.[0] ?? ""
  return word.startsWith('"') ? word.slice(0, 60) : quote(word)
}

/** One complaint of the parser in plain words. */
const inWords = (text: string, complaint: Complaint, document: Document): YamlMistake => {
  const { code, message } = complaint
  const [offset] = complaint.pos
  const here = (words: string): YamlMistake => ({ message: words, offset })
  switch (code) {
    case "TAB_AS_INDENT":
      return here("expected spaces, and there is a tab; indent with spaces alone")
    case "DUPLICATE_KEY":
      return twice(text, offset, document)
    case "BAD_INDENT":
      if (message.startsWith("Flow")) return unclosed(text, offset)
      return message.includes("sequence")
        ? here("this dash is indented otherwise than the one above it; align the dashes of a list")
        : misaligned(text, offset)
    case "MULTILINE_IMPLICIT_KEY":
    case "BLOCK_AS_IMPLICIT_KEY":
      return notAKey(text, offset)
    case "BLOCK_IN_FLOW":
      if (/^- /.test(restOfLine(text, offset))) {
        return here("expected a list in brackets: between { } or [ ] it is written [x, y]")
      }
      return here("expected a comma: between { } or [ ] entries stand like { a: 1, b: 2 }, [x, y]")
    case "BAD_SCALAR_START":
      return here(`expected a value, and none begins with ${text[offset]}; put it in quotes`)
    case "BAD_DQ_ESCAPE": {
      const escape = /sequence (\S+)/.exec(message)?.[1] ?? "\\"
      return here(`${escape} means nothing between double quotes; use single ones`)
    }
    case "BAD_ALIAS":
      return here('expected a name behind * or &; a text that begins with one is written "*"')
    case "MULTIPLE_DOCS":
      return here("expected the end of the file: a config is one document; leave --- out")
    case "TAG_RESOLVE_FAILED":
      return here(`${wordAt(text, offset)} is a tag that means nothing here; leave it out`)
    case "MISSING_CHAR":
      return missing(text, offset, message)
    case "UNEXPECTED_TOKEN":
      return unexpected(text, offset, message)
    default:
      return here(`this is no YAML: ${message.replace(/\.$/, "")}`)
  }
}

const missing = (text: string, offset: number, message: string): YamlMistake => {
  const mark = /^Missing closing (['"])/.exec(message)?.[1]
  if (mark !== undefined) {
    const at = lastQuoted(text, mark) ?? offset
    return { message: `this ${mark} is never closed; write ${mark} behind the text`, offset: at }
  }
  if (message.startsWith("Implicit map keys")) return notAKey(text, offset)
  if (message.startsWith("Sequence item")) {
    return { message: "expected a dash and a space: an item of a list begins with - ", offset }
  }
  const sign = message.startsWith("Missing , or :") ? "a colon or a comma" : "a comma"
  return message.startsWith("Missing ,")
    ? { message: `expected ${sign} before ${wordAt(text, offset)}`, offset }
    : { message: `this is no YAML: ${message}`, offset }
}

const unexpected = (text: string, offset: number, message: string): YamlMistake => {
  const found = text[offset] ?? ""
  if (found === "]" || found === "}") {
    const opening = found === "]" ? "[" : "{"
    return { message: `${found} closes nothing; leave it out, or write ${opening} before`, offset }
  }
  if (message.startsWith("Unexpected ,") || message.startsWith("Unexpected empty")) {
    return { message: "expected an entry before the comma; leave one of them out", offset }
  }
  const word = wordAt(text, offset)
  return { message: `expected a comma or a new entry, and there is ${word}`, offset }
}

/** Every mistake, the first of each line: the others there only follow from it. */
export const yamlMistakes = (text: string, document: Document): ReadonlyArray<YamlMistake> => {
  const tags = document.warnings.filter(({ code }) => code === "TAG_RESOLVE_FAILED")
  const found = [...document.errors, ...tags].map((one) => inWords(text, one, document))
  found.sort((a, b) => a.offset - b.offset)
  const lines = new Set<number>()
  const firsts = found.filter(({ offset }) => {
    const line = lineOf(text, offset)
    return !lines.has(line) && lines.add(line)
  })
  return firsts.length > 0 ? firsts : unknownAliases(document)
}

/** `*name` without a `&name` before it, which the parser lets pass. */
const unknownAliases = (document: Document): ReadonlyArray<YamlMistake> => {
  const found: Array<YamlMistake> = []
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return
      const message = `*${alias.source} repeats what &${alias.source} names, which stands nowhere before; a text that begins with * is put in quotes`
      found.push({ message, offset: alias.range?.[0] ?? 0 })
    }
  })
  return found
}
