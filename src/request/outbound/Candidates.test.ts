import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Candidates } from "./Candidates.ts"

const made = (...weights: ReadonlyArray<number>) =>
  new Candidates(weights.map((weight) => ({ weight })))
const inUnit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const someWeights = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 2, maxLength: 30 }),
  fc.integer({ min: 2, max: 30 }).map((count) => new Array<number>(count).fill(100))
)

/** How often each is drawn when the random numbers are spread evenly. */
const drawn = (count: number, draw: (random: number) => number, times = 10_000) => {
  const counts = new Array<number>(count).fill(0)
  for (let i = 0; i < times; i++) counts[draw((i + 0.5) / times)]!++
  return counts.map((one) => one / times)
}

describe("Candidates", () => {
  it.each([[[100, 100, 100, 100]], [[1, 9]], [[5, 1, 1]], [[1, 1_000]], [[3, 2, 1, 4]]])(
    "are drawn in proportion to the weights %j",
    (weights) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const candidates = made(...weights)
      drawn(weights.length, (random) => candidates.draw(random)).forEach((share, index) => {
        expect(share).toBeCloseTo(weights[index]! / total, 3)
      })
    }
  )

  it.each([[[100, 100, 100, 100]], [[1, 9]], [[5, 1, 1]], [[3, 2, 1, 4]]])(
    "leave one out, and the others as they were: %j",
    (weights) => {
      const candidates = made(...weights)
      for (let except = 0; except < weights.length; except++) {
        const others = weights.reduce((sum, weight) => sum + weight, 0) - weights[except]!
        drawn(weights.length, (random) => candidates.drawOther(except, random)).forEach(
          (share, index) => {
            expect(share).toBeCloseTo(index === except ? 0 : weights[index]! / others, 3)
          }
        )
      }
    }
  )

  it("always gives one of them, and never the one left out", () => {
    fc.assert(
      fc.property(someWeights, fc.nat(), inUnit, (weights, nth, random) => {
        const candidates = made(...weights)
        const except = nth % weights.length
        expect(candidates.all[candidates.draw(random)]).toBeDefined()
        const other = candidates.drawOther(except, random)
        expect(candidates.all[other]).toBeDefined()
        expect(other).not.toBe(except)
      })
    )
  })
})
