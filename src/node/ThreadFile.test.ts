import { existsSync } from "node:fs"
import { expect, it } from "vitest"
import { threadFile } from "./ThreadFile.ts"

it("is among the sources while they run as they are", () => {
  const file = threadFile()
  expect(file.pathname).toMatch(/\/src\/request\/thread\.ts$/)
  expect(existsSync(file)).toBe(true)
})

it("is beside the command in the build, also when seen from a chunk of it", () => {
  const seen = [
    "file:///opt/skein/dist/skein.js",
    "file:///opt/skein/dist/chunks/node-5X.js",
    // A directory of that name further up says nothing.
    "file:///opt/chunks/skein/dist/skein.js"
  ]
  expect(seen.map((from) => threadFile(from).href)).toEqual([
    "file:///opt/skein/dist/request.js",
    "file:///opt/skein/dist/request.js",
    "file:///opt/chunks/skein/dist/request.js"
  ])
})
