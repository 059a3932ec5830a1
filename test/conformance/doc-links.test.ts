/** What a page of the docs links to is there: the file in the checkout, and the heading in it. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")
const pages = globSync(["*.md", "docs/*.md", "{bench,examples/*,mesh-nodes/*}/*.md"], { cwd: root })

const read = (path: string): string => readFileSync(join(root, path), "utf8")
const withoutCode = (text: string): string =>
  text
    .replaceAll(/^ *```[\s\S]*?^ *```$/gm, "")
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()]/g, "_"))

/** As GitHub makes them of headings. */
const anchorOf = (heading: string): string =>
  heading
    .replaceAll(/`/g, "")
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-")

const anchorsIn = (path: string): ReadonlySet<string> =>
  new Set(
    [
      ...read(path)
        .replaceAll(/^ *```[\s\S]*?^ *```$/gm, "")
        .matchAll(/^#+ (.*)$/gm)
    ].map(([, heading = ""]) => anchorOf(heading))
  )

/** To files of the checkout. */
const linksIn = (path: string): ReadonlyArray<string> =>
  Array.from(withoutCode(read(path)).matchAll(/\]\(([^)\s]+)\)/g), ([, to = ""]) => to).filter(
    (to) => !/^[a-z]+:/.test(to)
  )

const wrongIn = (page: string): ReadonlyArray<string> =>
  linksIn(page).flatMap((link) => {
    const [file = "", anchor] = link.split("#")
    const to = file === "" ? page : normalize(join(dirname(page), file))
    if (!existsSync(join(root, to))) return [`${link}: there is no ${to}`]
    if (anchor === undefined || !to.endsWith(".md")) return []
    return anchorsIn(to).has(anchor) ? [] : [`${link}: ${to} has no such heading`]
  })

describe("links in the docs", () => {
  it.each(pages)("of %s lead somewhere", (page) => {
    expect(wrongIn(page)).toEqual([])
  })

  it("are looked at", () => {
    expect(pages.length).toBeGreaterThan(20)
    expect(linksIn("README.md").length).toBeGreaterThan(20)
    expect(anchorsIn("README.md")).toContain("five-minutes")
    expect(anchorOf("What `skein audit` shows, in C++")).toBe("what-skein-audit-shows-in-c")
  })
})
