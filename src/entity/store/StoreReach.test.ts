import { describe, expect, it } from "@effect/vitest"
import { StoreReach } from "./StoreReach.ts"

const times = { lost: 5_000, back: 4_000 }

describe("whether a store is reached", () => {
  it("is doubted when it has failed for a while, and believed when it has answered for a while", () => {
    const reach = new StoreReach(times)
    const told = (trouble: string | undefined, at: number) => reach.told(trouble, at, at)
    expect(told(undefined, 0)).toBe(false)
    expect(told("silent", 1_000)).toBe(false)
    expect(told("silent", 5_999)).toBe(false)
    expect(reach.isLost).toBe(false)
    expect(reach.trouble).toBe("silent")
    expect(told("silent", 6_000)).toBe(true)
    expect(reach.isLost).toBe(true)
    expect(told("silent", 100_000)).toBe(false)
    expect(told(undefined, 101_000)).toBe(false)
    expect(reach.trouble).toBeUndefined()
    expect(told(undefined, 104_999)).toBe(false)
    expect(told(undefined, 105_000)).toBe(true)
    expect(reach.isLost).toBe(false)
  })

  it("is not doubted for failures that come and go, nor believed for answers that do", () => {
    const reach = new StoreReach(times)
    for (let at = 0; at < 60_000; at += 2_000) {
      expect(reach.told(at % 4_000 === 0 ? "silent" : undefined, at, at)).toBe(false)
    }
    expect(reach.isLost).toBe(false)
    reach.beginsLost("silent")
    for (let at = 60_000; at < 120_000; at += 2_000) {
      expect(reach.told(at % 4_000 === 0 ? "silent" : undefined, at, at)).toBe(false)
    }
    expect(reach.isLost).toBe(true)
  })

  it("counts from when it was asked first", () => {
    const reach = new StoreReach(times)
    expect(reach.told("silent", 0, 3_000)).toBe(false)
    expect(reach.told("silent", 4_000, 5_000)).toBe(true)
  })
})
