import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { PeakEwma } from "./PeakEwma.ts"

const make = () => new PeakEwma({ initial: 30, decay: 10_000 })

describe("PeakEwma", () => {
  it("believes a peak at once", () => {
    const ewma = make()
    ewma.observe(5, 0)
    ewma.observe(400, 1)
    expect(ewma.value(1)).toBe(400)
  })

  it("comes down slowly: by 1 − 1/e in one decay time", () => {
    const ewma = make()
    ewma.observe(100, 0)
    ewma.observe(0, 10_000)
    expect(ewma.value(10_000)).toBeCloseTo(100 / Math.E, 6)
  })

  it("decays towards 0 when nothing is measured", () => {
    const ewma = make()
    ewma.observe(100, 0)
    expect(ewma.value(0)).toBe(100)
    expect(ewma.value(10_000)).toBeCloseTo(100 / Math.E, 6)
    expect(ewma.value(100_000)).toBeLessThan(0.01)
  })

  it("expects what is left of the estimate", () => {
    const ewma = make()
    ewma.observe(8, 0)
    expect(ewma.expected(1, 0)).toBe(8)
    expect(ewma.expected(0.5, 3)).toBe(4)
  })

  it("is free to try when unmeasured and idle, dear while the first answer is awaited", () => {
    const ewma = make()
    expect(ewma.expected(1, 0)).toBe(0)
    expect(ewma.expected(1, 1)).toBe(30)
    ewma.observe(2, 0)
    ewma.forget()
    expect(ewma.expected(1, 0)).toBe(0)
    expect(ewma.value(0)).toBe(0)
  })

  it("does not take a fast failure for a fast answer", () => {
    const ewma = make()
    ewma.observe(2, 0)
    ewma.penalize(1, 10)
    expect(ewma.value(10)).toBe(300)
    ewma.penalize(900, 20)
    expect(ewma.value(20)).toBe(900)
  })

  it("learns from an answer nobody waited for only that it was slow", () => {
    const ewma = make()
    ewma.observeAtLeast(10, 0)
    expect(ewma.measured).toBe(false)
    ewma.observeAtLeast(50, 0)
    expect(ewma.value(0)).toBe(50)
    ewma.observeAtLeast(40, 0)
    expect(ewma.value(0)).toBe(50)
  })

  it("always lies between 0 and the largest measurement", () => {
    const measurement = fc.tuple(fc.nat(5_000), fc.double({ min: 0, max: 1e5, noNaN: true }))
    fc.assert(
      fc.property(fc.array(measurement, { minLength: 1 }), (measurements) => {
        const ewma = make()
        let now = 0
        let largest = 0
        for (const [wait, latency] of measurements) {
          now += wait
          largest = Math.max(largest, latency)
          ewma.observe(latency, now)
          expect(ewma.value(now)).toBeGreaterThanOrEqual(0)
          expect(ewma.value(now)).toBeLessThanOrEqual(largest)
        }
      })
    )
  })
})
