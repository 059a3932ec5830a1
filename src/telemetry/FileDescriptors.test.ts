import { closeSync, openSync } from "node:fs"
import { expect, test } from "vitest"
import { descriptorLimit, limitIn, openDescriptors } from "./FileDescriptors.ts"

test("what is opened is counted, and what is closed is not", () => {
  const before = openDescriptors() ?? Number.NaN
  const files = [openSync("/dev/null", "r"), openSync("/dev/null", "r")]
  expect(openDescriptors()).toBe(before + 2)
  for (const file of files) closeSync(file)
  expect(openDescriptors()).toBe(before)
  expect(descriptorLimit()).toBeGreaterThan(before)
})

test("the limit is the soft one; no limit is none", () => {
  const limits = (soft: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             7                    7                    processes \nMax open files            ${soft}                 4096                 files     \n`
  expect(limitIn(limits("64"))).toBe(64)
  expect(limitIn(limits("unlimited"))).toBeUndefined()
})
