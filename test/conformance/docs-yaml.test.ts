/** What the documents show as a config or a setting is one, values and all: nobody types what a node refuses. */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { parse } from "yaml"
import { makeNodeConfig } from "../../src/config/NodeConfig.ts"
import { loadSettings } from "../../src/config/SettingFiles.ts"

const root = join(import.meta.dirname, "..", "..")
const documents = globSync(["*.md", "docs/*.md", "examples/*/*.md", "mesh-nodes/*/*.md"], {
  cwd: root
})

const blocks = documents.flatMap((file) =>
  Array.from(
    readFileSync(join(root, file), "utf8").matchAll(/^```yaml\n([\s\S]*?)^```$/gm),
    ([, text = ""], index) => ({ name: `${file} #${index + 1}`, text })
  )
)

/** Prometheus' and Grafana's files stand in the documents, too. */
const ofOthers = /^(#.*\n)*(scrape_configs|apiVersion):/
/** A file that says no more than of which kind it is shows how an editor is told so. */
const settings = blocks.filter(({ text }) => /^kind: \w+\n(?!$)/m.test(text))
const configs = blocks.filter(({ text }) => !/^kind: /m.test(text) && !ofOthers.test(text))

describe("what the documents show", () => {
  const directory = mkdtempSync(join(tmpdir(), "skein-docs-yaml-"))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it("is found", () => {
    expect(configs.length).toBeGreaterThan(20)
    expect(settings.length).toBeGreaterThan(1)
  })

  it.each(configs)("$name is a config", ({ text }) => {
    makeNodeConfig(parse(text))
  })

  it.each(settings)("$name is a setting", async ({ text }) => {
    const file = join(directory, "shown.yaml")
    writeFileSync(file, text)
    const { documents } = await Effect.runPromise(loadSettings([file]))
    expect(documents).toHaveLength(1)
  })
})
