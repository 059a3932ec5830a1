import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"
import { outliers } from "./SuccessRates.ts"

const limits = { deviations: 1.9, margin: 5 }

/** Indices of the outliers among endpoints with these failures of so many requests each. */
const found = (
  failures: ReadonlyArray<number>,
  total: number,
  change: Partial<typeof limits> = {}
) => {
  const all = failures.map((failed) => ({ successes: total - failed, total }))
  return outliers(all, { ...limits, ...change }).map((one) => all.indexOf(one))
}

describe("outliers by success rate", () => {
  it.each([
    { why: "one error among perfect others", failures: [0, 0, 1, 0, 0], total: 120, out: [] },
    { why: "a few more", failures: [0, 0, 4, 0, 0], total: 120, out: [] },
    { why: "half of them", failures: [0, 0, 60, 0, 0], total: 120, out: [2] },
    { why: "two of five", failures: [0, 40, 0, 40, 0], total: 100, out: [1, 3] },
    { why: "worst first", failures: [0, 40, 0, 60, 0], total: 100, out: [3, 1] },
    { why: "three of seven", failures: [50, 50, 50, 0, 1, 0, 1], total: 100, out: [0, 1, 2] },
    { why: "all alike", failures: [20, 20, 20, 20, 20], total: 100, out: [] },
    { why: "all dead", failures: [100, 100, 100, 100, 100], total: 100, out: [] },
    { why: "within the spread", failures: [0, 10, 20, 0, 10, 20], total: 100, out: [] },
    { why: "beyond the spread", failures: [0, 10, 20, 0, 10, 70], total: 100, out: [5] },
    { why: "less than the margin", failures: [0, 0, 45, 0, 0], total: 1_000, out: [] },
    { why: "more than the margin", failures: [0, 0, 55, 0, 0], total: 1_000, out: [2] },
    { why: "better than the others", failures: [50, 50, 0, 50, 50], total: 100, out: [] },
    { why: "nobody", failures: [], total: 100, out: [] }
  ])("$why: $failures of $total", ({ failures, out, total }) => {
    expect(found(failures, total)).toEqual(out)
  })

  it("takes the margin and the deviations it is given", () => {
    const failures = [0, 0, 120, 0, 0]
    expect(found(failures, 1_000, { margin: 11 })).toEqual([2])
    expect(found(failures, 1_000, { margin: 13 })).toEqual([])
    // Median 950 and median deviation 10: 60 below is 4.05 deviations.
    const spread = [40, 60, 50, 50, 40, 110]
    expect(found(spread, 1_000, { deviations: 4 })).toEqual([5])
    expect(found(spread, 1_000, { deviations: 4.1 })).toEqual([])
  })

  it("asks for more the fewer requests there were", () => {
    expect(found([0, 0, 2, 0, 0], 10)).toEqual([])
    expect(found([0, 0, 8, 0, 0], 10)).toEqual([2])
    expect(found([0, 0, 7, 0, 0], 100)).toEqual([])
    expect(found([0, 0, 9, 0, 0], 100)).toEqual([2])
  })

  it("are never half of them", () => {
    const rate = fc.record({ failures: fc.nat(100) })
    fc.assert(
      fc.property(fc.array(rate, { minLength: 1, maxLength: 20 }), (all) => {
        const out = found(
          all.map(({ failures }) => failures),
          100
        )
        expect(out.length).toBeLessThanOrEqual(all.length / 2)
      })
    )
  })

  it.each([0.5, 0.9, 0.97, 0.99, 1])("are hardly ever made by chance, at a rate of %d", (rate) => {
    const random = seededRandom(20_260_401)
    for (const endpoints of [5, 30]) {
      let intervals = 0
      for (let i = 0; i < 500; i++) {
        const all = Array.from({ length: endpoints }, () => {
          let successes = 0
          for (let request = 0; request < 100; request++) if (random() < rate) successes++
          return { successes, total: 100 }
        })
        if (outliers(all, limits).length > 0) intervals++
      }
      expect(intervals).toBeLessThanOrEqual(10)
    }
  })
})
