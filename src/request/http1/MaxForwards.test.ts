import { describe, expect, it } from "vitest"
import { maxForwards, withForwardsLeft } from "./MaxForwards.ts"

describe("maxForwards", () => {
  it.each([
    [[], undefined],
    [["Accept", "5"], undefined],
    [["Max-Forwards", "0"], 0],
    [["max-FORWARDS", "000"], 0],
    [["A", "b", "Max-Forwards", "12"], 12],
    [["Max-Forwards", "9".repeat(400)], Number.POSITIVE_INFINITY],
    [["Max-Forwards", ""], Number.NaN],
    [["Max-Forwards", "-1"], Number.NaN],
    [["Max-Forwards", "+1"], Number.NaN],
    [["Max-Forwards", "1.0"], Number.NaN],
    [["Max-Forwards", "0x1"], Number.NaN],
    [["Max-Forwards", "1, 1"], Number.NaN],
    [["Max-Forwards", "1", "max-forwards", "1"], Number.NaN],
    [["Max-Forwards", "x", "max-forwards", "1"], Number.NaN]
  ])("of %j is %d", (fields, left) => {
    expect(maxForwards(fields)).toBe(left)
  })
})

describe("withForwardsLeft", () => {
  it("counts one down and changes nothing else", () => {
    const fields = Object.freeze(["A", "b", "Max-Forwards", "007", "C", ""])
    expect(withForwardsLeft(fields, 7)).toEqual(["A", "b", "Max-Forwards", "6", "C", ""])
    expect(withForwardsLeft(["max-forwards", "1"], 1)).toEqual(["max-forwards", "0"])
  })

  it("holds numbers that are no count of hops to the most there can be", () => {
    for (const left of [2 ** 40, Number.POSITIVE_INFINITY]) {
      expect(withForwardsLeft(["max-forwards", "x"], left)).toEqual(["max-forwards", "2147483647"])
    }
  })
})
