import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Effect, Either } from "effect"
import { afterAll, beforeAll, expect, test } from "vitest"
import { loadSettings } from "./SettingFiles.ts"

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "skein-settings-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const write = (files: Readonly<Record<string, string>>) => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
}
const load = (...names: ReadonlyArray<string>) =>
  Effect.runPromise(Effect.either(loadSettings(names.map((name) => join(directory, name)))))
const shown = async (...names: ReadonlyArray<string>) =>
  Either.match(await load(...names), {
    onLeft: ({ message }) => message.replaceAll(`${directory}/`, "").split("\n"),
    onRight: ({ documents }) =>
      documents.map(({ body, kind, name, why }) => ({ body, kind, name, why }))
  })

const payments = { kind: "policy", name: "payments", why: undefined, body: { retry: "off" } }

test("YAML, JSON and modules say the same, alone and in a directory", async () => {
  write({
    "same/1.yaml": "kind: policy\nname: payments\nretry: off\n",
    "same/2.json": `{ "kind": "policy", "name": "orders", "retry": "off" }`,
    "same/3.mjs": `export default { kind: "policy", name: "ledger", retry: "off", timeout: undefined }`,
    "same/4.mjs": `export default [{ kind: "policy", name: "a", retry: "off" }, { kind: "policy", name: "b", retry: "off" }]`,
    "same/read.me": "not a setting"
  })
  expect(await shown("same")).toEqual(
    ["payments", "orders", "ledger", "a", "b"].map((name) => ({ ...payments, name }))
  )
  expect(await shown("same/1.yaml", "same/2.json")).toHaveLength(2)
})

test("a file may hold several documents, with what each is for", async () => {
  write({
    "several.yaml":
      "# of the shop\n---\nkind: policy\nname: payments\nwhy: it is slow\nretry: off\n---\n- { kind: policy, name: a }\n- { kind: policy, name: b }\n"
  })
  expect(await shown("several.yaml")).toEqual([
    { ...payments, why: "it is slow" },
    { ...payments, name: "a", body: {} },
    { ...payments, name: "b", body: {} }
  ])
})

test("every mistake of all files is told, at its place", async () => {
  write({
    "bad/1.yaml":
      "kind: polcy\nname: x\n---\nkind: policy\nname: Pay\nretires: off\ntimeout: { request: 2sec }\n",
    "bad/2.yaml": "kind: policy\nname: x\nwhy: [much]\n---\nretry: off\n",
    "bad/3.yaml": "kind: policy\nname: [x\n",
    "bad/4.yaml": "just text\n",
    "bad/5.mjs": "export const none = 1",
    "bad/6.yaml": "# nothing\n"
  })
  const all = await shown(
    "bad/1.yaml",
    "bad/2.yaml",
    "bad/3.yaml",
    "bad/4.yaml",
    "bad/5.mjs",
    "bad/6.yaml"
  )
  expect(all).toEqual([
    'bad/1.yaml:1:7: kind: "polcy" is no kind of settings; did you mean policy?',
    expect.stringMatching(/^bad\/1\.yaml:5:7: name: a setting's name is/),
    "bad/1.yaml:6:1: retires: unknown key retires; did you mean retry?",
    expect.stringMatching(/^bad\/1\.yaml:7:21: timeout\.request: "2sec" is not a duration/),
    expect.stringMatching(/^bad\/2\.yaml:3:6: why: \["much"\] is not a text/),
    expect.stringMatching(/^bad\/2\.yaml:5:1: kind: is missing; expected one of .*policy/),
    "bad/2.yaml:5:1: name: is missing; expected a name",
    expect.stringMatching(/^bad\/3\.yaml:3:1: expected ]/),
    expect.stringMatching(/^bad\/4\.yaml:1:1: "just text" is not a setting/),
    "bad/5.mjs: has no default export; write export default defineSetting({ … })",
    "bad/6.yaml: nothing stands in it"
  ])
})

test("what cannot be a file of settings is said", async () => {
  write({ "none/read.me": "" })
  expect(await shown("none")).toEqual([
    "none: has no file in it whose name ends in .yaml, .yml, .json or .ts"
  ])
  expect(await shown("missing.yaml")).toEqual(["missing.yaml: there is no such file or directory"])
  expect(await shown("none/read.me")).toEqual([
    expect.stringContaining("is neither a directory nor a file")
  ])
})

test("one name that stands twice is a mistake", async () => {
  write({
    "twice/1.yaml": "kind: policy\nname: payments\n",
    "twice/2.yaml": "kind: policy\nname: payments\nretry: off\n"
  })
  const [line] = await shown("twice")
  expect(line).toMatch(
    /^twice\/2\.yaml: name: policy payments stands here, and in .*twice\/1\.yaml/
  )
})

test("a module may say nothing that JSON has no word for", async () => {
  write({
    "odd.mjs": `export default { kind: "policy", name: "payments", timeout: { request: Number.NaN } }`
  })
  expect(await shown("odd.mjs")).toEqual([expect.stringContaining("odd.mjs: timeout.request")])
})
