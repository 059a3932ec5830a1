/**
 * docs/library.md has every export of the library in its table, and it or docs/programs.md has it in a
 * program that compiles, and so do README's programs. That they run, as installed, is test/integration/package.test.ts.
 */
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import manifest from "../../package.json" with { type: "json" }
import * as library from "../../src/mod.ts"
import { programsOf } from "../fixtures/Docs.ts"

const root = join(import.meta.dirname, "../..")
const page = readFileSync(join(root, "docs/library.md"), "utf8")
const readme = readFileSync(join(root, "README.md"), "utf8")

/** Types too, which are gone at run time; each statement of mod.ts is one export. */
const exported = [
  ...readFileSync(join(root, "src/mod.ts"), "utf8").matchAll(
    /^export (?:type )?(?:\* as (\w+)|\{([^}]*)\}) from/gm
  )
].flatMap(([, namespace, names = ""]) =>
  namespace === undefined
    ? names
        .split(",")
        .map((name) =>
          name
            .replace(/^.*\bas /s, "")
            .replace(/\btype /, "")
            .trim()
        )
        .filter((name) => name !== "")
    : [namespace]
)

describe("docs/library.md", () => {
  const table = page.slice(page.indexOf("## Every export"))
  const listed = [...table.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name)
  )

  it("is read against all exports", () => {
    expect(exported).toEqual(expect.arrayContaining(Object.keys(library)))
    expect(exported).toContain("RunningNode")
  })

  it("lists every export once, and nothing else", () => {
    expect(listed.toSorted()).toEqual(exported.toSorted())
  })

  const programs = ["docs/library.md", "docs/programs.md"]
    .flatMap(programsOf)
    .map(({ text }) => text)
    .join("\n")
  it.each(exported)("uses %s in a program", (name) => {
    expect(programs).toMatch(new RegExp(`\\b${name}\\b`))
  })

  it("names the versions that package.json does", () => {
    const { effect, "@effect/platform": platform } = manifest.peerDependencies
    const least = (range: string) => /(\d+\.\d+)\.0/.exec(range)?.[1]
    for (const text of [page, readme]) {
      expect(text).toMatch(new RegExp(`\`effect\`\\s\\(?from ${least(effect)} on`))
      expect(text).toMatch(new RegExp(`\`@effect/platform\`\\s\\(?from ${least(platform)} on`))
      expect(text).toContain(`Node ${manifest.engines.node.replace(">=", "")} or newer`)
      expect(text).toContain(`${manifest.name}-${manifest.version}.tgz`)
    }
  })

  it("points at what is there", () => {
    const targets = [...page.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(
      ([, target = ""]) => target
    )
    expect(targets.length).toBeGreaterThan(2)
    for (const target of targets) expect(existsSync(join(root, "docs", target)), target).toBe(true)
  })
})

describe("the programs", () => {
  const directory = mkdtempSync(join(tmpdir(), "skein-library-"))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it("compile, as those of a project that has installed the package", () => {
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }')
    const all = [
      "README.md",
      "docs/library.md",
      "docs/programs.md",
      "docs/actors.md",
      "docs/workflows.md"
    ]
    const pages = all.map((path) => {
      const programs = programsOf(path)
      expect(programs.length).toBeGreaterThan(0)
      const folder = path.replaceAll(/\W/g, "-")
      mkdirSync(join(directory, folder))
      for (const { file, text } of programs) writeFileSync(join(directory, folder, file), text)
      return folder
    })
    const compilerOptions = {
      paths: {
        skein: [join(root, "src/mod.ts")],
        "skein/actors": [join(root, "src/actors.ts")],
        "skein/cluster": [join(root, "src/cluster.ts")],
        "skein/rpc": [join(root, "src/rpc.ts")]
      }
    }
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({ extends: join(root, "tsconfig.json"), include: pages, compilerOptions })
    )
    const tsc = join(root, "node_modules/typescript/bin/tsc")
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", directory], {
      encoding: "utf8"
    })
    expect(stdout).toBe("")
    expect(status).toBe(0)
  }, 60_000)
})
