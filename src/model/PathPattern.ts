/**
 * Paths as rules name them: `/charge` (that one), `/orders/{id}` (any one segment), `/admin/*` (all
 * that lies under it). Compared with what PathReading.ts makes of a request's path.
 */
import { PathReading, pathTroubles } from "./PathReading.ts"

export interface PathPattern {
  /** Segment by segment, as it is compared; null: any one segment. `/` is one empty segment. */
  readonly segments: ReadonlyArray<string | null>
  /** All that lies under them, and not the path itself. */
  readonly open: boolean
}

/** Of one pattern. */
export const pathPatternLimits = { characters: 1_024, segments: 64 } as const

/** The pattern, or what is wrong with the text. */
export const parsePathPattern = (text: string): PathPattern | string => {
  if (!text.startsWith("/")) return "does not begin with /"
  if (text.length > pathPatternLimits.characters) {
    return `is longer than ${pathPatternLimits.characters} characters`
  }
  if (text.includes("?")) {
    return "has a ?; rules are about paths, and what follows a ? is not looked at"
  }
  const written = text.slice(1).split("/")
  if (written.length > pathPatternLimits.segments) {
    return `has more than ${pathPatternLimits.segments} segments`
  }
  const open = written.at(-1) === "*"
  const segments: Array<string | null> = []
  for (const [index, segment] of (open ? written.slice(0, -1) : written).entries()) {
    if (/^\{[^{}]*\}$/.test(segment)) {
      if (!/^\{[A-Za-z_][\w-]*\}$/.test(segment)) return `has ${segment}; write {id} or the like`
      segments.push(null)
      continue
    }
    if (/[{}]/.test(segment)) {
      return `has ${segment}; {id} stands for a whole segment, and braces themselves are %7B and %7D`
    }
    if (segment.includes("*")) {
      return `has ${segment}; * stands at the end, for all that lies under what is before: /orders/*`
    }
    if (segment === "" && (open || index < written.length - 1)) {
      return `has ${pathTroubles.slashes}: no request with it gets so far`
    }
    const literal = readSegment(segment)
    if (typeof literal !== "string") return literal.wrong
    segments.push(literal)
  }
  return { segments, open }
}

const readSegment = (segment: string): string | { readonly wrong: string } => {
  const reading = new PathReading()
  reading.read(`/${segment.replace(/[^\x21-\x7e]/gu, escaped)}`)
  if (reading.trouble === undefined) return reading.text.slice(1, reading.end)
  return { wrong: `has ${pathTroubles[reading.trouble]}: no request with it gets so far` }
}

const escaped = (character: string): string =>
  // Half a surrogate pair has no escape, and no request has it.
  character.isWellFormed() ? encodeURIComponent(character) : "%FF"

/** The shortest text that is read as this pattern. */
export const formatPathPattern = ({ open, segments }: PathPattern): string => {
  const names = segments.map((segment, index) =>
    segment === null ? `{${placeholder(segments, index)}}` : writtenSegment(segment)
  )
  return `/${[...names, ...(open ? ["*"] : [])].join("/")}`
}

/** `id`, and where there are several `id2`, `id3`. */
const placeholder = (segments: PathPattern["segments"], index: number): string => {
  const before = segments.slice(0, index).filter((segment) => segment === null).length
  return before === 0 ? "id" : `id${before + 1}`
}

const writtenSegment = (segment: string): string =>
  segment.replace(/[^A-Za-z0-9._~!$&'()+,=:@|"<>^`[\]-]/gu, (character) =>
    character === "*" ? "%2A" : encodeURIComponent(character)
  )

/** Whatever `inner` meets, `outer` meets too. */
export const coversPaths = (outer: PathPattern, inner: PathPattern): boolean => {
  const { length } = outer.segments
  const under = outer.open
    ? inner.segments.length > length || (inner.open && inner.segments.length === length)
    : !inner.open && inner.segments.length === length
  if (!under) return false
  return outer.segments.every((segment, index) => {
    const other = inner.segments[index]
    // A placeholder takes no empty segment.
    return segment === null ? other !== "" : segment === other
  })
}
