import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { RecentMost } from "./RecentMost.ts"

describe("the most that something was lately", () => {
  it("is nothing before there was anything", () => {
    expect(new RecentMost(10).at(5)).toBe(0)
  })

  it("counts each value for its span at least, and for twice the span at most", () => {
    const times = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.nat(1_000)), {
      minLength: 1,
      maxLength: 60
    })
    fc.assert(
      fc.property(times, (steps) => {
        const span = 10
        const most = new RecentMost(span)
        const noted: Array<readonly [at: number, value: number]> = []
        let now = 1_000
        for (const [pause, value] of steps) {
          now += pause
          most.note(now, value)
          noted.push([now, value])
          const within = (ms: number) =>
            Math.max(0, ...noted.filter(([at]) => now - at < ms).map(([, one]) => one))
          expect(most.at(now)).toBeGreaterThanOrEqual(within(span))
          expect(most.at(now)).toBeLessThanOrEqual(within(2 * span))
        }
      })
    )
  })

  it("forgets without being told anything new", () => {
    const most = new RecentMost(10)
    most.note(0, 700)
    expect([most.at(9), most.at(15), most.at(30)]).toEqual([700, 700, 0])
  })
})
