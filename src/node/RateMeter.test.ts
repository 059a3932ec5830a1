import { describe, expect, it } from "vitest"
import { RateMeter } from "./RateMeter.ts"

const totals = (total: number) => new Map([["a", total]])

describe("RateMeter", () => {
  it("is 0 before anything was noted, for what is unknown, and with no time passed", () => {
    const meter = new RateMeter()
    expect(meter.perSecond(1_000, "a", 5)).toBe(0)
    meter.note(1_000, totals(5))
    expect(meter.perSecond(1_000, "a", 9)).toBe(0)
    expect(meter.perSecond(2_000, "b", 9)).toBe(0)
  })

  it("is what came since the oldest note, over the time since then", () => {
    const meter = new RateMeter()
    meter.note(0, totals(100))
    meter.note(1_000, totals(110))
    expect(meter.perSecond(2_000, "a", 140)).toBe(20)
  })

  it("looks back ten seconds, no further", () => {
    const meter = new RateMeter()
    for (let second = 0; second <= 20; second++) meter.note(second * 1_000, totals(second * 3))
    // Had the notes before that counted, a burst of long ago would show.
    meter.note(21_000, totals(63))
    expect(meter.perSecond(22_000, "a", 66)).toBe(3)
    for (let second = 22; second <= 40; second++) meter.note(second * 1_000, totals(63))
    expect(meter.perSecond(41_000, "a", 63)).toBe(0)
  })

  it("wants a note every two seconds, and every ten once nothing has come for as long", () => {
    const meter = new RateMeter()
    const noted: Array<number> = []
    let total = 5
    const run = (from: number, to: number) => {
      for (let now = from; now < to; now += 2_000) {
        if (!meter.isDue(now)) continue
        noted.push(now)
        meter.note(now, totals(total))
      }
    }
    run(0, 40_000)
    expect(noted).toEqual([0, 2_000, 4_000, 6_000, 8_000, 10_000, 20_000, 30_000])
    // What comes while it rests is over a time that it knows.
    total = 125
    expect(meter.perSecond(36_000, "a", total)).toBe(7.5)
    run(40_000, 48_000)
    expect(noted.slice(8)).toEqual([40_000, 42_000, 44_000, 46_000])
  })

  it("is never negative: a counter that began anew is taken as still", () => {
    const meter = new RateMeter()
    meter.note(0, totals(100))
    expect(meter.perSecond(1_000, "a", 1)).toBe(0)
  })

  it("starts counting where a service first appears", () => {
    const meter = new RateMeter()
    meter.note(0, new Map())
    meter.note(1_000, totals(10))
    expect(meter.perSecond(3_000, "a", 30)).toBe(10)
  })
})
