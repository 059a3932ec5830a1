/** Where following the docs leaves keys in a checkout, git must not see them. */
import { execFileSync, spawnSync } from "node:child_process"
import { copyFileSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, normalize } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")

/** Data directories that a document has its reader make by a command, as paths within the checkout. */
const commanded = (file: string): ReadonlyArray<string> =>
  Array.from(
    readFileSync(join(root, file), "utf8").matchAll(/--data-dir[ =]([^\s"\\]+)/g),
    ([, path = ""]) => path
  )

/** Those of the configs beside it, which count from there. README's tour keeps its own in tour/. */
const configured = (file: string): ReadonlyArray<string> =>
  Array.from(
    readFileSync(join(root, file), "utf8").matchAll(/dataDir: (\.\/[^\s,]+)/g),
    ([, path = ""]) =>
      file.endsWith(".yaml") ? join(dirname(file), path) : path.replace(/^\.\/(?=[ab]$)/, "./tour/")
  )

const documents = globSync(["*.md", "docs/*.md", "mesh-nodes/*/*.{md,yaml}"], { cwd: root })
const places = new Set(
  documents
    .flatMap((file) => [...commanded(file), ...configured(file)])
    .filter((path) => !path.startsWith("/"))
    .map(normalize)
)

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
    expect([...places]).toContain("tour/a")
    expect([...places]).toContain("mesh-nodes/first-node/data")
  })

  it.each([...places])("%s is no business of git", (place) => {
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
