/**
 * docs/simulator.md has every export of `skein/testing`, its programs compile, and print what it says.
 * That they do so as installed is test/integration/package.test.ts.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import * as simulator from "../../src/testing/simulator/mod.ts"
import { programsOf } from "../fixtures/Docs.ts"

const root = join(import.meta.dirname, "../..")
const entry = join(root, "src/testing/simulator/mod.ts")
const page = readFileSync(join(root, "docs/simulator.md"), "utf8")

/** Types too, which are gone at run time. */
const exported = [...readFileSync(entry, "utf8").matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
  .flatMap(([, names = ""]) => names.split(","))
  .map((name) => name.replace(/\btype /, "").trim())
  .filter((name) => name !== "")

describe("docs/simulator.md", () => {
  it("lists every export once, and nothing else", () => {
    const table = page.slice(page.indexOf("## Every export"))
    const listed = [...table.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell = ""]) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name)
    )
    expect(exported).toEqual(expect.arrayContaining(Object.keys(simulator)))
    expect(listed.toSorted()).toEqual(exported.toSorted())
  })

  it("names the invariants there are", () => {
    const [, named = ""] = /`invariants` are those that most ask for: ([^|]*)/.exec(page) ?? []
    const names = [...named.matchAll(/`(\w+)`/g)].map(([, name]) => name)
    expect(names).toEqual(Object.keys(simulator.invariants))
  })

  it("points at what is there", () => {
    const targets = [...page.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(
      ([, target = ""]) => target
    )
    expect(targets.length).toBeGreaterThan(2)
    for (const target of targets) expect(existsSync(join(root, "docs", target)), target).toBe(true)
  })
})

describe("its programs", () => {
  const directory = mkdtempSync(join(tmpdir(), "skein-simulator-"))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  const programs = programsOf("docs/simulator.md")
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }')
  for (const { file, text } of programs) writeFileSync(join(directory, file), text)

  it("compile, as those of a project that has installed the package", () => {
    const compilerOptions = { paths: { "skein/testing": [entry] } }
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({ extends: join(root, "tsconfig.json"), include: ["*.ts"], compilerOptions })
    )
    const tsc = join(root, "node_modules/typescript/bin/tsc")
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", directory], {
      encoding: "utf8"
    })
    expect(stdout).toBe("")
    expect(status).toBe(0)
  }, 60_000)

  it.each(programs)(
    "$file prints what it says",
    ({ file, output, text }) => {
      // By the sources, so that it holds before the build.
      writeFileSync(join(directory, file), text.replace('"skein/testing"', JSON.stringify(entry)))
      const { stderr, stdout } = spawnSync(process.execPath, [join(directory, file)], {
        cwd: directory,
        encoding: "utf8"
      })
      expect(stderr).toBe("")
      expect(stdout).toBe(output)
    },
    60_000
  )
})
