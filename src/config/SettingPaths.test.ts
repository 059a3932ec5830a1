import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import { Effect, Either } from "effect"
import { afterAll, beforeAll, expect, test } from "vitest"
import { filesOf } from "./SettingPaths.ts"

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "skein-paths-"))
  for (const name of [
    ...["rules/b.yaml", "rules/a.json", "rules/read.me", "rules/types.d.ts"],
    ...["rules/.a.yaml", "rules/.git/config.yaml", "rules/shop/c.yaml", "rules/shop/deep/d.ts"],
    "rules/shop/node_modules/x/index.js",
    ...["nested/shop/c.yaml", "nested/.d.yaml"]
  ]) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), "")
  }
  symlinkSync("..", join(directory, "rules/shop/up"))
  symlinkSync("../a.json", join(directory, "rules/shop/e.json"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const found = async (path: string, recursive = false) => {
  const short = (text: string) => text.replaceAll(`${directory}/`, "")
  const read = await Effect.runPromise(Effect.either(filesOf(join(directory, path), { recursive })))
  return Either.match(read, {
    onLeft: ({ message }) => short(message),
    onRight: ({ files, skipped }) => ({
      files: files.map((file) => relative(directory, file)),
      skipped: skipped.map(short)
    })
  })
}

test("a directory is what is directly in it, and what else was there is said", async () => {
  expect(await found("rules")).toEqual({
    files: ["rules/a.json", "rules/b.yaml"],
    skipped: ["rules/.a.yaml is hidden", "rules/shop is a directory, which only -R takes, too"]
  })
})

test("recursive takes its directories, but neither hidden ones, nor packages, nor links, which may go in circles", async () => {
  expect(await found("rules", true)).toEqual({
    files: [
      ...["rules/a.json", "rules/b.yaml", "rules/shop/c.yaml"],
      ...["rules/shop/deep/d.ts", "rules/shop/e.json"]
    ],
    skipped: [
      "rules/.a.yaml is hidden",
      "rules/shop/up is a link to a directory, which is not followed"
    ]
  })
})

test("a hidden file that is named is meant", async () => {
  expect(await found("rules/.a.yaml")).toEqual({ files: ["rules/.a.yaml"], skipped: [] })
})

test("where nothing is left, it is said what would be there", async () => {
  expect(await found("nowhere")).toBe("nowhere: there is no such file or directory")
  expect(await found("nested")).toBe(
    "nested: has no file in it whose name ends in .yaml, .yml, .json or .ts; nested/.d.yaml is hidden; nested/shop is a directory, which only -R takes, too"
  )
})
