import * as fc from "fast-check"
import { expect, test } from "vitest"
import { diffLines } from "./LineDiff.ts"

const shown = (before: string, after: string) =>
  diffLines(before.split(""), after.split("")).map(({ sign, text }) => `${sign}${text}`.trim())

test("what stays stands once, what goes before what comes", () => {
  expect(shown("abcd", "axcd")).toEqual(["a", "-b", "+x", "c", "d"])
  expect(shown("ab", "ab")).toEqual(["a", "b"])
  expect(diffLines([], ["a"])).toEqual([{ sign: "+", text: "a" }])
})

test("both texts can be read from it", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 })
  fc.assert(
    fc.property(text, text, (before, after) => {
      const lines = diffLines(before, after)
      const without = (sign: string) =>
        lines.filter((line) => line.sign !== sign).map((line) => line.text)
      expect(without("+")).toEqual(before)
      expect(without("-")).toEqual(after)
    })
  )
})
