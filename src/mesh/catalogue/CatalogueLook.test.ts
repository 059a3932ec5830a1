import { describe, expect, it } from "vitest"
import { type CatalogueLook, standingDifferences } from "./CatalogueLook.ts"

const hashes = (...values: ReadonlyArray<number>) => values.map((value) => Uint8Array.of(value))
const look = (mine: ReadonlyArray<number>, theirs: ReadonlyArray<number>): CatalogueLook => ({
  mine: hashes(...mine),
  theirs: hashes(...theirs)
})

describe("what stays different", () => {
  it("is what neither side has changed in the meantime", () => {
    expect(standingDifferences(look([1, 2, 3], [1, 9, 8]), look([1, 2, 3], [1, 9, 8]))).toBe(2)
  })

  it("is not what is on its way: mended, or changed again on either side", () => {
    expect(standingDifferences(look([1, 2], [1, 9]), look([1, 2], [1, 2]))).toBe(0)
    expect(standingDifferences(look([1, 2], [1, 9]), look([1, 3], [1, 9]))).toBe(0)
    expect(standingDifferences(look([1, 2], [1, 9]), look([1, 2], [1, 4]))).toBe(0)
    expect(standingDifferences(look([1, 2], [1, 2]), look([1, 2], [1, 9]))).toBe(0)
  })

  it("of catalogues that are divided otherwise is all or nothing", () => {
    expect(standingDifferences(look([1, 2], [7]), look([1, 2], [7]))).toBe(2)
    expect(standingDifferences(look([1, 2], [7]), look([1, 2], [8]))).toBe(0)
    expect(standingDifferences(look([1, 2], [7]), look([1, 2], [1, 2]))).toBe(0)
  })
})
