import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { backoffCeiling, fullJitter } from "./Backoff.ts"

const range = { base: 25, max: 250 }

describe("Backoff", () => {
  it.each([
    [0, 25],
    [1, 50],
    [2, 100],
    [3, 200],
    [4, 250],
    [2_000, 250]
  ])("before retry %i waits at most %i ms", (retry, ceiling) => {
    expect(backoffCeiling(range, retry)).toBe(ceiling)
    expect(fullJitter(range, retry, 0.5)).toBe(ceiling / 2)
  })

  it("lies anywhere between nothing and the ceiling", () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (retry, random) => {
          const wait = fullJitter(range, retry, random)
          expect(wait).toBeGreaterThanOrEqual(0)
          expect(wait).toBeLessThanOrEqual(backoffCeiling(range, retry))
        }
      )
    )
  })

  it.each([1, 4, 10, 25])("is spread evenly below a ceiling of %i ms", (base) => {
    const waits = Array.from({ length: 1_000 }, (_, i) =>
      fullJitter({ base, max: 250 }, 0, (i + 0.5) / 1_000)
    )
    for (let part = 0; part < 4; part++) {
      const inPart = waits.filter((wait) => Math.floor((wait * 4) / base) === part)
      expect(inPart).toHaveLength(250)
    }
  })
})
