/** What a Schema accepts, in words: all of it comes from its AST. */
import { SchemaAST as AST, Option } from "effect"

export const annotated = <A>(ast: AST.Annotated, get: (ast: AST.Annotated) => Option.Option<A>) =>
  Option.getOrUndefined(get(ast))

/** A union's members without the `undefined` that makes a key optional. */
export const presentTypes = (ast: AST.Union): ReadonlyArray<AST.AST> =>
  ast.types.filter((type) => !AST.isUndefinedKeyword(type))

/** The literals a Schema accepts, if it accepts nothing else: for "expected one of …". */
export const literalsOf = (ast: AST.AST): ReadonlyArray<AST.LiteralValue> | undefined => {
  if (AST.isLiteral(ast)) return [ast.literal]
  if (!AST.isUnion(ast)) return undefined
  const parts = presentTypes(ast).map(literalsOf)
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined
}

const listed = (words: ReadonlyArray<string>, last: string): string =>
  words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1)}`

/**
 * Annotation of a Schema of words: those a person may well expect to find among them, each with
 * what to say of it.
 */
export const missedWords = Symbol.for("skein/missedWords")

/** Annotation of a value: keys that a person may well write instead of its own, each with what to say of it. */
export const missedKeys = Symbol.for("skein/missedKeys")

/** The description a Schema carries, unless it is one that the library made and nobody speaks so. */
export const described = (ast: AST.AST): string | undefined => {
  const text = annotated(ast, AST.getDescriptionAnnotation)
  if (text === undefined || text.startsWith("a string matching the pattern")) return undefined
  return text
    .replace("a non empty string", "text")
    .replace("an array of at least 1 item(s)", "a list with at least one entry")
    .replace(/^an array of (.*) item\(s\)$/, "a list of $1 entries")
}

/**
 * Where one of several mappings may stand, and a word that tells them apart stands alone: how that
 * one is written. `round_robin` → `{ kind: round_robin }`, `tcp` → `{ tcp: {} }`.
 */
export const asMapping = (ast: AST.AST, word: string): string | undefined => {
  if (!AST.isUnion(ast)) return undefined
  for (const type of presentTypes(ast)) {
    const shape = AST.encodedAST(type)
    if (!AST.isTypeLiteral(shape)) continue
    for (const { name, type } of shape.propertySignatures) {
      if (name === word && AST.isTypeLiteral(type)) return `{ ${word}: {} }`
      if (AST.isLiteral(type) && type.literal === word) return `{ ${String(name)}: ${word} }`
    }
  }
  return undefined
}

/** What a value of this Schema looks like, in words. */
export const describe = (ast: AST.AST): string => {
  const encoded = AST.isTransformation(ast)
    ? (annotated(ast, AST.getDescriptionAnnotation) ?? ast.from)
    : ast
  if (typeof encoded === "string") return encoded
  const literals = literalsOf(encoded)
  if (literals !== undefined)
    return literals.length === 1 ? String(literals[0]) : `one of ${literals.join(", ")}`
  switch (encoded._tag) {
    case "TypeLiteral": {
      const keys = encoded.propertySignatures.map(({ name }) => String(name))
      return keys.length === 0 ? "a mapping" : `a mapping with ${listed(keys, "and")}`
    }
    case "TupleType":
      return "a list"
    case "Union":
      return (
        annotated(encoded, AST.getDescriptionAnnotation) ??
        listed([...new Set(presentTypes(encoded).map(describe))], "or")
      )
    case "Transformation":
      return describe(encoded)
    case "Refinement":
      return described(encoded) ?? describe(encoded.from)
    case "StringKeyword":
      return (
        annotated(encoded, AST.getDescriptionAnnotation)?.replace(/^a string$/, "text") ?? "text"
      )
    case "NumberKeyword":
      return "a number"
    case "BooleanKeyword":
      return "true or false"
    default:
      return String(encoded)
  }
}
