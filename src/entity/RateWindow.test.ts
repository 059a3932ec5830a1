import { describe, expect, it } from "vitest"
import { RateWindow } from "./RateWindow.ts"

const every = (rate: RateWindow, millis: number, from: number, to: number): void => {
  for (let now = from; now < to; now += millis) rate.count(now)
}

describe("a rate by two windows", () => {
  it("is what comes evenly, wherever in its window it is asked for", () => {
    const rate = new RateWindow()
    every(rate, 20, 5_000, 65_000)
    expect(rate.perSecond(65_000)).toBeCloseTo(50, 1)
    every(rate, 20, 65_000, 68_700)
    expect(rate.perSecond(68_700)).toBeCloseTo(50, 1)
  })

  it("does not take the time before it began for a time of rest", () => {
    const rate = new RateWindow()
    every(rate, 10, 1_000_000, 1_002_000)
    expect(rate.perSecond(1_002_000)).toBeCloseTo(100, 0)
    // Nor one message for a thousand a second.
    const one = new RateWindow()
    one.count(7)
    expect(one.perSecond(8)).toBe(1)
  })

  it("falls to nothing in twice the window, and begins anew after it", () => {
    const rate = new RateWindow()
    every(rate, 10, 0, 10_000)
    expect(rate.perSecond(15_000)).toBeCloseTo(50, 0)
    expect(rate.perSecond(20_001)).toBe(0)
    every(rate, 10, 100_000, 102_000)
    expect(rate.perSecond(102_000)).toBeCloseTo(100, 0)
  })

  it("goes on when the clock was set back", () => {
    const rate = new RateWindow()
    every(rate, 10, 1_000_000, 1_005_000)
    every(rate, 10, 1_000, 6_000)
    expect(rate.perSecond(6_000)).toBeCloseTo(100, 0)
  })
})
