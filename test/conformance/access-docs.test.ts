/** docs/access.md tells the truth, as far as a program can tell. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { lintKinds } from "../../src/node/AccessLint.ts"
import { AccessBook } from "../../src/request/access/AccessBook.ts"
import { AccessBody, AccessRule, accessSetting } from "../../src/schema/AccessSchema.ts"
import { httpCall } from "../../src/testing/InboundFixture.ts"

const root = join(import.meta.dirname, "../..")
const docs = readFileSync(join(root, "docs/access.md"), "utf8")

const Document = Schema.Struct({
  kind: Schema.Literal("access"),
  name: Schema.String
})

const documents = [...docs.matchAll(/^( *)```yaml\n([\s\S]*?)^ *```/gm)].map(
  ([, indent = "", text = ""]): unknown =>
    parse(text.replaceAll(new RegExp(`^${indent}`, "gm"), ""))
)

const rows = (head: string): ReadonlyArray<ReadonlyArray<string>> => {
  const [, body = ""] = docs.split(`${head}\n|---`)
  return body
    .split("\n")
    .slice(1)
    .filter((_, index, lines) => lines.slice(0, index + 1).every((line) => line.startsWith("|")))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim())
    )
}

describe("docs/access.md", () => {
  it("has documents that are taken", () => {
    expect(documents).toHaveLength(2)
    for (const document of documents) {
      expect(Schema.is(Document)(document)).toBe(true)
      const { kind: _, name, ...body } = Object(document)
      expect(() => accessSetting(name, Schema.decodeUnknownSync(AccessBody)(body))).not.toThrow()
    }
  })

  it("names every key of a rule", () => {
    const named = rows("| key | meaning |").flatMap(([key = ""]) => key.replaceAll("`", ""))
    expect(named.toSorted()).toEqual(Object.keys(AccessRule.from.fields).toSorted())
  })

  it("names every kind of finding", () => {
    for (const kind of lintKinds) expect(docs).toContain(`\`${kind}\``)
  })

  it("lists only paths that are refused", () => {
    const examples = rows("| in the path | why |").flatMap(([cell = ""]) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, text = ""]) => text)
    )
    expect(examples.length).toBeGreaterThan(12)
    const book = new AccessBook(() => "")
    const everything = { service: "payments", allow: [{ from: "*", path: "/*" }] }
    book.set([accessSetting("a", Schema.decodeUnknownSync(AccessBody)(everything))])
    for (const example of examples) {
      const target = example.startsWith("/") ? example : `/a${example}`
      expect([example, book.decide(httpCall({ target }), 0)?.rule]).toEqual([example, "ambiguous"])
    }
  })

  it("points at what is there", () => {
    const files = [...docs.matchAll(/\]\((\.\.\/[^)#]+)\)/g)].map(([, file = ""]) => file)
    expect(files.length).toBeGreaterThan(8)
    expect(files.filter((file) => !existsSync(join(root, "docs", file)))).toEqual([])
    // A test that is quoted exists under this name.
    for (const [, file = "", name = ""] of docs.matchAll(/\]\((\.\.\/[^)]+)\) › "([^"]+)"/g)) {
      expect(readFileSync(join(root, "docs", file), "utf8")).toContain(`"${name}`)
    }
  })
})
