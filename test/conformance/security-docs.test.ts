/**
 * docs/security.md says of each attack which test shows that it fails: those tests are there, under the names that
 * it gives, and no attack is without one.
 */
import { existsSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { describe, expect, it } from "vitest"

const docs = join(import.meta.dirname, "..", "..", "docs")
const page = readFileSync(join(docs, "security.md"), "utf8")

/** Rows of the tables below the heading: attack, defence, what shows it, what remains. */
const rows = page
  .slice(page.indexOf("## Attacks and the tests"), page.indexOf("\n## What remains"))
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| attack |"))
  .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| ?| ?\|$/g, "").trim()))

/** A test file by the name that the page gives it: `[Name](path)` first, and then `Name` alone. */
const files = new Map(
  Array.from(page.matchAll(/\[(\w[\w-]*)\]\((\.\.\/[^)]*\.test\.ts)\)/g), ([, name, path]) => [
    name ?? "",
    join(docs, path ?? "")
  ])
)

interface Shown {
  readonly file: string
  readonly tests: ReadonlyArray<string>
}

const shownBy = (cell: string): ReadonlyArray<Shown> => {
  const names = [...files.keys()].sort((a, b) => b.length - a.length).join("|")
  const found = Array.from(cell.matchAll(new RegExp(`\\b(${names})\\b(?:\\]\\([^)]*\\))?`, "g")))
  return found.map((match, index) => {
    const rest = cell.slice(match.index + match[0].length, found[index + 1]?.index)
    const tests = Array.from(rest.matchAll(/"([^"]+)"/g), ([, test]) => test ?? "")
    return { file: files.get(match[1] ?? "") ?? "", tests }
  })
}

describe("docs/security.md", () => {
  it("has attacks from outside, from members, and from callers", () => {
    expect(rows.length).toBeGreaterThan(35)
    for (const row of rows) expect(row).toHaveLength(4)
    const named = rows.flatMap(([, , cell = ""]) => shownBy(cell).flatMap(({ tests }) => tests))
    expect(named.length).toBeGreaterThan(45)
  })

  it.each(rows.map((row) => [row[0] ?? "", row[2] ?? ""] as const))(
    "names tests that there are: %s",
    (_attack, cell) => {
      const shown = shownBy(cell)
      expect(shown.length).toBeGreaterThan(0)
      for (const { file, tests } of shown) {
        expect(existsSync(file), file).toBe(true)
        const text = readFileSync(file, "utf8").replaceAll(/\s+/g, " ")
        for (const test of tests) {
          // Names that are cut end with an ellipsis.
          const [begin = ""] = test.split("…")
          expect(text, `${basename(file)} has no test "${test}"`).toContain(begin)
        }
      }
    }
  )
})
