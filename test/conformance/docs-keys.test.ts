/** Where following the docs leaves keys in a checkout, git must not see them. */
import { execFileSync, spawnSync } from "node:child_process"
import { copyFileSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, normalize } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")

/** Data directories a document has its reader make, as paths within the checkout. */
const dataDirs = (file: string): ReadonlyArray<string> => {
  const text = readFileSync(join(root, file), "utf8")
  const said = [...text.matchAll(/--data-dir[ =]([^\s"\\]+)/g)].map(([, path = ""]) => path)
  // In a config it counts from the config's own place: README keeps those of its tour in tour/.
  const written = [...text.matchAll(/dataDir: "?([^\s,"]+)/g)].map(([, path = ""]) =>
    file.endsWith(".yaml") ? join(dirname(file), path) : path.replace(/^\.\/(?=[ab]$)/, "./tour/")
  )
  return [...said, ...written].filter((path) => !path.startsWith("/")).map(normalize)
}

const documents = globSync(["*.md", "docs/*.md", "mesh-nodes/*/*.{md,yaml}"], { cwd: root })
const places = [...new Set(documents.flatMap(dataDirs))]

describe("what following the docs leaves in a checkout", () => {
  let repository: string
  beforeAll(() => {
    repository = mkdtempSync(join(tmpdir(), "skein-ignored-"))
    execFileSync("git", ["init", "--quiet", repository])
    copyFileSync(join(root, ".gitignore"), join(repository, ".gitignore"))
  })
  afterAll(() => rmSync(repository, { recursive: true, force: true }))

  const ignored = (path: string): boolean =>
    spawnSync("git", ["-C", repository, "check-ignore", "--quiet", path]).status === 0

  it("the documents name places", () => {
    expect(places).toContain("tour/a")
    expect(places).toContain("mesh-nodes/first-node/data")
  })

  it.each(places)("%s is no business of git", (place) => {
    for (const name of ["root.key", "node.key", "certificate"]) {
      expect(ignored(join(place, name)), join(place, name)).toBe(true)
    }
  })

  it("and a key is not, wherever somebody put it", () => {
    expect(ignored("root.key")).toBe(true)
    expect(ignored("elsewhere/node.key")).toBe(true)
    expect(ignored("src/config/HostPort.ts")).toBe(false)
  })
})
