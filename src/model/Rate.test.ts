import { describe, expect, it } from "@effect/vitest"
import { Rate } from "./Rate.ts"

describe("a rate", () => {
  it("lets a burst through, and then says when the next is due", () => {
    const sut = new Rate(10, 3)
    expect([1_000, 1_000, 1_000].map((now) => sut.take(now))).toEqual([0, 0, 0])
    expect(sut.take(1_000)).toBe(100)
    expect(sut.take(1_060)).toBe(40)
    expect(sut.take(1_100)).toBe(0)
    expect(sut.take(1_100)).toBe(100)
  })

  it("is what was said in the long run, and saves up no more than a burst", () => {
    const sut = new Rate(100, 5)
    const taken = (from: number, to: number) => {
      let count = 0
      for (let now = from; now < to; now++) if (sut.take(now) === 0) count++
      return count
    }
    expect(taken(0, 1_000)).toBe(104)
    expect(taken(100_000, 100_010)).toBe(5)
  })

  it("gives turns back", () => {
    const sut = new Rate(10, 1)
    expect(sut.take(0)).toBe(0)
    sut.giveBack()
    expect(sut.take(0)).toBe(0)
    expect(sut.take(0)).toBe(100)
  })
})
