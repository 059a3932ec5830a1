import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { editDistance, nearest } from "./NearestKey.ts"

describe("editDistance", () => {
  it.each([
    ["", "", 0],
    ["abc", "", 3],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
    ["retires", "retries", 1],
    ["perTry", "perTyr", 1]
  ])("%s → %s is %d", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance)
  })

  it("is symmetric, zero for equals only, and at most the longer length", () => {
    const word = fc.string({ maxLength: 8 })
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b)
        expect(editDistance(b, a)).toBe(distance)
        expect(distance === 0).toBe(a === b)
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length))
      })
    )
  })
})

describe("nearest", () => {
  const known = ["timeout", "retry", "retries", "breaker", "perTry", "tcp", "http"]
  it.each([
    ["retires", "retries"],
    ["timout", "timeout"],
    ["per_try", "perTry"],
    ["PERTRY", "perTry"],
    ["tpc", "tcp"],
    ["htttp", "http"],
    ["circuit", undefined],
    ["x", undefined],
    ["tls", undefined]
  ])("%s → %s", (word, meant) => {
    expect(nearest(word, known)).toBe(meant)
  })
})
