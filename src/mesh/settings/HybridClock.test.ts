import * as fc from "fast-check"
import { expect, test } from "vitest"
import { compareStamps } from "../../model/Setting.ts"
import { type HybridTime, maxCount, nextTime } from "./HybridClock.ts"

const walls = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 })

test("each time is after the one before, whatever the wall clock does", () => {
  fc.assert(
    fc.property(walls, (jumps) => {
      let last: HybridTime | undefined
      for (const wall of jumps) {
        const next = nextTime(last, wall)
        if (last !== undefined) expect(compareStamps(next, last)).toBeGreaterThan(0)
        expect(next.version).toBeLessThanOrEqual(maxCount)
        last = next
      }
    })
  )
})

test("it is ahead of the wall clock by no more than the most that was seen", () => {
  fc.assert(
    fc.property(walls, (jumps) => {
      let last: HybridTime | undefined
      for (const [index, wall] of jumps.entries()) {
        last = nextTime(last, wall)
        expect(last.epoch).toBe(Math.max(...jumps.slice(0, index + 1)))
      }
    })
  )
})

test("a counter that is full goes on with the next millisecond", () => {
  expect(nextTime({ epoch: 7, version: maxCount }, 3)).toEqual({ epoch: 8, version: 0 })
  expect(nextTime({ epoch: 7, version: maxCount - 1 }, 7)).toEqual({ epoch: 7, version: maxCount })
  expect(nextTime(undefined, 7)).toEqual({ epoch: 7, version: 0 })
})
