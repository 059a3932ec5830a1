import { describe, expect, it } from "vitest"
import { SlidingCount } from "./SlidingCount.ts"

describe("SlidingCount", () => {
  it.each([
    { at: 0, until: 1_000 },
    { at: 99, until: 1_000 },
    { at: 100, until: 1_100 },
    { at: 1_234, until: 2_200 },
    { at: 0.5, until: 1_000 }
  ])("counts what came at $at in the steps before $until", ({ at, until }) => {
    const count = new SlidingCount(100, 10)
    count.add(3, at)
    expect(count.total(at)).toBe(3)
    expect(count.total(until - 1)).toBe(3)
    expect(count.total(until)).toBe(0)
  })

  it("adds up", () => {
    const count = new SlidingCount(100, 10)
    count.add(1, 0)
    count.add(2, 450)
    count.add(4, 950)
    expect(count.total(950)).toBe(7)
    expect(count.total(1_050)).toBe(6)
    expect(count.total(1_450)).toBe(4)
  })

  it("survives a long silence", () => {
    const count = new SlidingCount(100, 10)
    count.add(1, 50)
    expect(count.total(1e9)).toBe(0)
    count.add(1, 1e9)
    expect(count.total(1e9)).toBe(1)
  })
})
