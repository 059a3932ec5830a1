/** What `npm run` knows, `deno task` knows, and does the same. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import manifest from "../../package.json" with { type: "json" }

const root = join(import.meta.dirname, "..", "..")
const { tasks }: { tasks: Record<string, string> } = JSON.parse(
  readFileSync(join(root, "deno.json"), "utf8")
)

/** On Deno these run on Deno; the rest is for those who work on Skein, and runs on Node. */
const onDeno: ReadonlySet<string> = new Set(["skein", "demo"])
/** What npm itself calls. */
const hooks: ReadonlySet<string> = new Set(["prepare"])

const scripts = Object.entries(manifest.scripts).filter(([name]) => !hooks.has(name))

describe("deno.json", () => {
  it.each(scripts.filter(([name]) => !onDeno.has(name)))(
    "has the task %s of npm",
    (name, script) => {
      // A bare `node` would be the package's program, which Deno takes for JavaScript.
      expect(tasks[name]).toBe(script.replace(/(^|&& )node /g, "$1./node_modules/.bin/node "))
    }
  )

  it("has no other tasks than the commands of Skein", () => {
    const more = Object.keys(tasks).filter((name) => !scripts.some(([script]) => script === name))
    expect(more.toSorted()).toEqual(["join", "up"])
  })

  it.each(Object.entries(tasks))("%s runs what is there", (_name, task) => {
    const files = task.match(/\b(src|test|bench|build)\/\S+\.ts\b/g) ?? []
    for (const file of files) expect(existsSync(join(root, file)), file).toBe(true)
  })
})
