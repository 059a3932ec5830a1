import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { PathReading, type PathTrouble, plainLetters } from "./PathReading.ts"

const read = (target: string): string | { readonly trouble: PathTrouble } => {
  const reading = new PathReading()
  reading.read(target)
  return reading.trouble === undefined
    ? reading.text.slice(0, reading.end)
    : { trouble: reading.trouble }
}

describe("the path of a request", () => {
  it.each([
    ["/", "/"],
    ["/charge", "/charge"],
    ["/charge?a=//../%2e%00;b", "/charge"],
    ["/charge/", "/charge/"],
    ["/a/.b/c./...", "/a/.b/c./..."],
    ["/a:b@c,d=e&f+g!$'()*", "/a:b@c,d=e&f+g!$'()*"],
    ["/a%3Ab%40c", "/a:b@c"],
    ["/a%20b", "/a b"],
    ["/100%25", "/100%"],
    ["/100%25zz", "/100%zz"],
    // The case of the digits says nothing.
    ["/caf%C3%A9", "/café"],
    ["/caf%c3%a9", "/café"],
    ["/cafe%CC%81", "/café"],
    ["/%7Bid%7d", "/{id}"],
    ["/%E6%97%A5%E6%9C%AC", "/日本"],
    // No path at all.
    ["*", ""],
    ["", ""]
  ])("%j is read as %j", (target, path) => {
    expect(read(target)).toBe(path)
  })

  it.each<[PathTrouble, ReadonlyArray<string>]>([
    ["slashes", ["//", "/a//b", "//a", "/a//", "/a//?b"]],
    ["dots", ["/.", "/..", "/a/./b", "/a/../b", "/../a", "/a/..", "/a/.?x", "/a/../"]],
    ["needless", ["/%2e%2e/a", "/%2E%2E", "/a/.%2e/b", "/%61dmin", "/ch%41rge", "/%7Ea", "/%2D"]],
    ["slash", ["/a%2fb", "/a%2Fb", "/..%2f", "/a%5cb", "/a%5Cb", "/%2F%2F"]],
    ["params", ["/a;x=1", "/a;/b", "/..;/a", "/;a"]],
    ["delimiter", ["/a%3bb", "/a%3Bx", "/a%3fb", "/a%23b"]],
    ["backslash", ["/a\\b", "/\\", "/..\\a"]],
    ["control", ["/a%00", "/%00", "/a%0d%0ab", "/a%1F", "/a%7f", "/a%C2%85"]],
    ["raw", ["/a\u0000", "/a b", "/a\u007f", "/é", "/a#b", "/a\tb", "/a\u0085"]],
    ["escape", ["/a%", "/a%2", "/a%zz", "/a%u0041", "/%%32e"]],
    ["twice", ["/%252e%252e", "/a%252fb", "/%2500", "/%25%32%65".replace("%32%65", "2e")]],
    [
      "utf8",
      [
        // Over-long: a slash and a dot in two bytes, a slash in three, NUL in two.
        ...["/a%c0%afb", "/%C0%AE%C0%AE", "/%e0%80%af", "/%c0%80"],
        // Bytes that begin nothing, are cut off, surrogates, beyond the last.
        ...["/%80", "/%C3", "/%C3a", "/%E6%97", "/%ED%A0%80", "/%F4%90%80%80", "/%FF", "/%FE"]
      ]
    ],
    [
      "lookalike",
      // Full-width slash and dot, one-dot leader, Greek question mark, kelvin, a/c in one character.
      ["/a%EF%BC%8Fb", "/%EF%BC%8E", "/%E2%80%A4", "/a%CD%BE", "/%E2%84%AAey", "/%E2%84%80"]
    ]
  ])("is not read where there is %s", (trouble, targets) => {
    expect(targets.map((target) => [target, read(target)])).toEqual(
      targets.map((target) => [target, { trouble }])
    )
  })

  /** What programs do to a path before they look at it, each of them somewhere. */
  const readings: ReadonlyArray<(path: string) => string> = [
    (path) => path.replace(/\/{2,}/g, "/"),
    (path) => path.replace(/;[^/]*/g, ""),
    (path) => path.replaceAll("\\", "/"),
    (path) => path.split("\u0000", 1)[0]!,
    // With a query, or a blank at the end would be dropped.
    (path) => new URL(`http://host${path}?`).pathname,
    (path) => path.normalize("NFKC"),
    (path) => decodeOnce(path)
  ]

  it("has the same segments in every program when it is read", () => {
    const piece = fc.constantFrom(
      ...["/", "//", ".", "..", ";", "%", "%2e", "%2F", "%5c", "\\", "%00", "%25", "2e", "%C3%A9"],
      ...["%c0%af", "%EF%BC%8F", "%3b", "%61", "a", "b", "%20", "%3A", "?", "#", "A"]
    )
    const paths = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join("")}`)
    const segments = (path: string) => path.split("?", 1)[0]!.split("/").length
    fc.assert(
      fc.property(paths, fc.shuffledSubarray([...readings]), (target, order) => {
        const text = read(target)
        if (typeof text !== "string") return
        const told = order.reduce((path, reading) => reading(path), target.split("?", 1)[0]!)
        expect(segments(told)).toBe(segments(text))
        // Decoded at last, it is what was compared.
        expect(decodeOnce(told).normalize("NFC")).toBe(text)
      }),
      { numRuns: 5_000 }
    )
  })

  it("has plain letters, which are the same in every form and are no lookalikes", () => {
    for (let code = 0x80; code < 0x10000; code++) {
      const letter = String.fromCharCode(code)
      if (!plainLetters.test(letter)) continue
      expect([letter, letter.normalize("NFC")]).toEqual([letter, letter])
      expect(letter.normalize("NFKC")).not.toMatch(/[\p{Cc}/\\.;?#%]/u)
      for (const other of ["a", "e", "가", "カ"]) {
        expect((other + letter).normalize("NFC")).toBe(other + letter)
      }
    }
  })

  it("is read once more as the same", () => {
    const reading = new PathReading()
    reading.read("/a//b")
    reading.read("/a?b")
    expect([reading.trouble, reading.end]).toEqual([undefined, 2])
    reading.read("*")
    expect(reading.end).toBe(0)
  })
})

/** Escape by escape, and those that are none left as they are. */
const decodeOnce = (path: string): string =>
  path.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    try {
      return decodeURIComponent(run)
    } catch {
      return run
    }
  })
