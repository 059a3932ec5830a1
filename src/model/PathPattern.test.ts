import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  coversPaths,
  formatPathPattern,
  type PathPattern,
  parsePathPattern
} from "./PathPattern.ts"

const read = (text: string): PathPattern => {
  const pattern = parsePathPattern(text)
  if (typeof pattern === "string") throw new Error(`${text} ${pattern}`)
  return pattern
}

describe("a pattern of paths", () => {
  it.each<[string, ReadonlyArray<string | null>, boolean, string]>([
    ["/", [""], false, "/"],
    ["/charge", ["charge"], false, "/charge"],
    ["/charge/", ["charge", ""], false, "/charge/"],
    ["/orders/{id}", ["orders", null], false, "/orders/{id}"],
    [
      "/orders/{order}/lines/{line}",
      ["orders", null, "lines", null],
      false,
      "/orders/{id}/lines/{id2}"
    ],
    ["/*", [], true, "/*"],
    ["/admin/*", ["admin"], true, "/admin/*"],
    ["/{id}/*", [null], true, "/{id}/*"],
    ["/café", ["café"], false, "/caf%C3%A9"],
    ["/caf%c3%a9", ["café"], false, "/caf%C3%A9"],
    ["/a b", ["a b"], false, "/a%20b"],
    ["/%2A%7Bx%7D%25", ["*{x}%"], false, "/%2A%7Bx%7D%25"]
  ])("%s", (text, segments, open, written) => {
    expect(read(text)).toEqual({ segments, open })
    expect(formatPathPattern(read(text))).toBe(written)
    expect(read(written)).toEqual(read(text))
  })

  it.each([
    ["charge", "does not begin with /"],
    ["", "does not begin with /"],
    ["/a?b", "has a ?"],
    ["/a//b", "has //"],
    ["//*", "has //"],
    ["/../a", "has a segment . or .."],
    ["/a;b", "has a ;"],
    ["/%61", "has an escape of a character that needs none"],
    ["/a%2Fb", "has an escaped slash"],
    ["/a*", "has a*; * stands at the end"],
    ["/*/a", "has *; * stands at the end"],
    ["/a{id}", "has a{id}; {id} stands for a whole segment"],
    ["/{}", "has {}; write {id}"],
    ["/{a b}", "has {a b}; write {id}"],
    ["/\ud800", "has escapes that are not UTF-8"],
    [`/${"a".repeat(1_024)}`, "is longer than 1024 characters"],
    ["/a".repeat(65), "has more than 64 segments"]
  ])("%j: %s", (text, message) => {
    expect(parsePathPattern(text)).toContain(message)
  })

  it("covers another when it meets what that meets", () => {
    const segment = fc.constantFrom("a", "b", "{id}")
    const patterns = fc
      .tuple(fc.array(segment, { minLength: 1, maxLength: 3 }), fc.constantFrom("", "/", "/*"))
      .map(([segments, end]) => read(`/${segments.join("/")}${end}`))
    const paths = fc.array(fc.constantFrom("a", "b", ""), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(patterns, patterns, paths, (outer, inner, path) => {
        if (coversPaths(outer, inner) && meets(inner, path)) expect(meets(outer, path)).toBe(true)
      }),
      { numRuns: 1_000 }
    )
    expect(coversPaths(read("/*"), read("/a/{id}"))).toBe(true)
    expect(coversPaths(read("/a/*"), read("/a/b/*"))).toBe(true)
    expect(coversPaths(read("/a/{id}"), read("/a/b"))).toBe(true)
    expect(coversPaths(read("/a/*"), read("/a"))).toBe(false)
    expect(coversPaths(read("/a"), read("/a/*"))).toBe(false)
  })
})

const meets = ({ open, segments }: PathPattern, path: ReadonlyArray<string>): boolean =>
  (open ? path.length > segments.length : path.length === segments.length) &&
  segments.every((one, index) => (one === null ? path[index] !== "" : one === path[index]))
