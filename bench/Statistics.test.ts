import { expect, test } from "vitest"
import { median, quantile, ratios, spread } from "./Statistics.ts"

test("quantiles are interpolated", () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
  expect(quantile([10, 20, 30], 0.25)).toBe(15)
  expect(quantile([1, 2], 1)).toBe(2)
  expect(median([])).toBeNaN()
})

test("the spread is the middle half's, so one bad round does not widen it much", () => {
  expect(spread([90, 100, 110])).toBeCloseTo(0.1)
  expect(spread([99, 100, 100, 101, 500])).toBeCloseTo(0.01)
  expect(spread([7])).toBe(0)
})

test("ratios pair the rounds, or take the reference's median where there are no pairs", () => {
  expect(ratios([10, 40], [5, 20])).toEqual([2, 2])
  expect(ratios([10, 40], [5, 20, 10])).toEqual([1, 4])
})
