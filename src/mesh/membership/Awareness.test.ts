import { expect, test } from "vitest"
import { applyDelta, lateDelta, maxAwareness, scaled } from "./Awareness.ts"

test.each([
  { score: 0, delta: -1, then: 0 },
  { score: 0, delta: 1, then: 1 },
  { score: 3, delta: -1, then: 2 },
  { score: 7, delta: 5, then: maxAwareness }
])("$score and $delta make $then", ({ score, delta, then }) => {
  expect(applyDelta(score, delta)).toBe(then)
})

test.each([
  { late: -20, points: 0 },
  { late: 499, points: 0 },
  { late: 500, points: 1 },
  { late: 60_000, points: 120 }
])("a tick $late ms late costs $points", ({ late, points }) => {
  expect(lateDelta(late)).toBe(points)
})

test("a doubtful node waits up to nine times as long", () => {
  expect([0, 1, maxAwareness].map((score) => scaled(score, 500))).toEqual([500, 1_000, 4_500])
})
