import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Effect, Either } from "effect"
import { afterAll, beforeAll, expect, test } from "vitest"
import { readModule } from "./ConfigSource.ts"
import { loadSettings } from "./SettingFiles.ts"

let directory = ""
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "skein-module-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const words = { option: "--config FILE", define: "defineConfig" }

/** What it says, or why it cannot be used, without where the file is. */
const read = async (name: string, text: string, patience?: number) => {
  const path = join(directory, name)
  writeFileSync(path, text)
  const read = await Effect.runPromise(Effect.either(readModule(path, words, patience)))
  return Either.match(read, {
    onLeft: ({ message }) => message.split("\n").at(-1)?.trim().replace(`${path}: `, ""),
    onRight: ({ value }) => value
  })
}

test("a module says plain data, and says something else when what it imports has changed", async () => {
  const helper = join(directory, "names.mjs")
  writeFileSync(helper, "export const name = 'one'\n")
  const text =
    "import { name } from './names.mjs'\nexport default { name, at: undefined, many: [1, null] }\n"
  expect(await read("plain.mjs", text)).toEqual({ name: "one", at: undefined, many: [1, null] })
  writeFileSync(helper, "export const name = 'two'\n")
  expect(await read("plain.mjs", text)).toMatchObject({ name: "two" })
  expect(await read("typed.ts", "const a: number = 1\nexport default { a }\n")).toEqual({ a: 1 })
})

test("what a module prints is for people: standard output is the command's own", () => {
  const path = join(directory, "talks.mjs")
  writeFileSync(
    path,
    "console.log('by console')\nprocess.stdout.write('as it is\\n')\nexport default { a: 1 }\n"
  )
  const modules = join(import.meta.dirname, "../../node_modules")
  const effect = pathToFileURL(join(modules, "effect/dist/esm/index.js")).href
  const tested = pathToFileURL(join(import.meta.dirname, "ModuleThread.ts")).href
  const command = join(directory, "command.mjs")
  writeFileSync(
    command,
    `import { Effect } from "${effect}"
    import { defaultExport } from "${tested}"
    const said = await Effect.runPromise(defaultExport("${pathToFileURL(path).href}"))
    console.log(JSON.stringify(said?.value))
    `
  )
  const { stderr, stdout } = spawnSync(process.execPath, [command], { encoding: "utf8" })
  expect(stdout).toBe('{"a":1}\n')
  expect(stderr.split("\n").sort()).toEqual(["", "as it is", "by console"])
})

test.each([
  ["process.exit(0)", /^is over \(exit code 0\).*process\.exit/],
  ["process.exit(3)", /^is over \(exit code 3\)/],
  ["await new Promise(() => {})", /^is over \(exit code \d+\).*awaits what never comes/],
  ["throw new Error('no')", /^cannot be loaded: Error: no$/],
  ["setTimeout(() => { throw new Error('late') }); await new Promise(() => {})", /Error: late$/],
  ["export default { go: () => 1 }", /^says more than plain data/],
  ["export const a = 1", /^has no default export; write export default defineConfig/],
  ["import './not-there.mjs'", /^cannot be loaded: .*Cannot find module/]
])("%s is a mistake that is told, and ends nothing else", async (text, told) => {
  expect(await read("odd.mjs", `${text}\n`)).toMatch(told)
})

test.each(["setInterval(() => {}, 1_000)\nawait new Promise(() => {})", "for (;;);"])(
  "%s is given up after a bounded time",
  async (text) => {
    expect(await read("slow.mjs", text, 300)).toBe(
      "has said nothing for 0.3 s: it waits for something, or never ends"
    )
  }
)

test("a setting file that ends the process is told with all other mistakes", async () => {
  writeFileSync(join(directory, "exits.ts"), "process.exit(0)\nexport default {}\n")
  writeFileSync(join(directory, "wrong.yaml"), "kind: polcy\nname: x\n")
  const loaded = await Effect.runPromise(
    Effect.flip(loadSettings([join(directory, "exits.ts"), join(directory, "wrong.yaml")]))
  )
  expect(loaded.problems.map(({ message }) => message)).toEqual([
    expect.stringContaining("process.exit"),
    expect.stringContaining("did you mean policy?")
  ])
})
