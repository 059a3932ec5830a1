import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Score } from "./Score.ts"

const decay = 10_000
const make = () => new Score({ initial: 30, decay })

describe("a score's latency", () => {
  it("believes a peak at once", () => {
    const score = make()
    score.answered(5, 0)
    score.answered(400, 1)
    expect(score.value(1)).toBe(400)
  })

  it("comes down slowly: by 1 − 1/e in one decay time", () => {
    const score = make()
    score.answered(100, 0)
    score.answered(0, 10_000)
    expect(score.value(10_000)).toBeCloseTo(100 / Math.E, 6)
  })

  it("fades towards 0 when nothing is measured", () => {
    const score = make()
    score.answered(100, 0)
    expect(score.value(0)).toBe(100)
    expect(score.value(10_000)).toBeCloseTo(100 / Math.E, 6)
    expect(score.value(100_000)).toBeLessThan(0.01)
  })

  it("is expected to be what is left of the estimate, or of the mean", () => {
    const score = make()
    score.answered(8, 0)
    score.answered(16, 0)
    expect(score.expected(1, 0)).toBe(16)
    expect(score.expected(0.5, 3)).toBe(8)
    expect(score.expectedMean(1, 0)).toBe(16)
    expect(score.expectedMean(0.5, 3)).toBe(8)
  })

  it("has a mean without its first answers, which is known after enough of them", () => {
    const score = make()
    for (let n = 0; n < 8; n++) score.answered(300, 0)
    expect(score.known).toBe(false)
    for (let n = 0; n < 24; n++) score.answered(n % 2 === 0 ? 4 : 6, 0)
    expect(score.known).toBe(true)
    expect(score.expectedMean(1, 0)).toBeCloseTo(5, 9)
    score.forget()
    expect(score.known).toBe(false)
  })

  it("has a mean of many answers: one stall is little, a change is one soon", () => {
    const score = make()
    for (let n = 0; n < 100; n++) score.answered(5, n)
    score.answered(500, 600)
    expect(score.expectedMean(1, 0)).toBeLessThan(13)
    for (let n = 0; n < 64; n++) score.answered(50, 1_000 + n)
    expect(score.expectedMean(1, 0)).toBeGreaterThan(30)
  })

  it("is nothing when unmeasured and idle, assumed while the first answer is awaited", () => {
    const score = make()
    for (const expected of [score.expected.bind(score), score.expectedMean.bind(score)]) {
      expect(expected(1, 0)).toBe(0)
      expect(expected(1, 1)).toBe(30)
      score.answered(2, 0)
      score.forget()
      expect(expected(1, 0)).toBe(0)
      expect(score.value(0)).toBe(0)
    }
  })

  it("is assumed as long as all there was failed, however fast that was", () => {
    const score = make()
    for (let now = 0; now < 10; now++) score.failed(1, now)
    expect(score.measured).toBe(false)
    expect(score.expected(1, 0)).toBe(30)
    expect(score.expectedMean(1, 0)).toBe(30)
    score.working(10)
    expect(score.expected(1, 0)).toBe(30)
  })

  it.each(["failed", "declined"] as const)("is not that of fast answers that %s", (how) => {
    const score = make()
    score.answered(600, 0)
    for (let now = 100; now < 2_000; now += 100) score[how](1, now)
    expect(score.value(1_900)).toBe(600)
    // Nothing else for a while: that is what it is like now.
    for (let now = 2_000; now < 4_000; now += 100) score[how](1, now)
    expect(score.value(3_900)).toBeLessThan(550)
    score.answered(600, 4_000)
    expect(score.value(4_000)).toBe(600)
  })

  it("rises with slow failures, but not at once to what one of them took", () => {
    const score = make()
    score.answered(5, 0)
    score.failed(1_000, 100)
    expect(score.value(100)).toBeCloseTo(5 + 995 * (1 - Math.exp(-0.01)), 6)
    for (let now = 200; now <= 10_000; now += 100) score.failed(1_000, now)
    expect(score.value(10_000)).toBeGreaterThan(600)
  })

  it("rises little with one slow failure after a pause, or one that nobody waited for", () => {
    for (const how of ["failed", "abandoned"] as const) {
      const score = make()
      score.answered(5, 0)
      score[how](1_000, 60_000)
      expect(score.value(60_000)).toBeLessThan(5 + 995 * 0.05)
    }
  })

  it("learns from an answer nobody waited for only that it was slow", () => {
    const score = make()
    score.abandoned(10, 0)
    expect(score.expected(1, 0)).toBe(0)
    score.answered(40, 0)
    score.abandoned(39, 100)
    expect(score.value(100)).toBeCloseTo(40 * Math.exp(-0.01), 6)
    score.abandoned(1_000, 100)
    expect(score.value(100)).toBeCloseTo(40 + 960 * (1 - Math.exp(-0.01)), 6)
  })

  it("always lies between 0 and the largest measurement", () => {
    const latency = fc.double({ min: 0, max: 1e5, noNaN: true })
    const measurement = fc.tuple(fc.nat(5_000), latency, fc.nat(3))
    fc.assert(
      fc.property(fc.array(measurement, { minLength: 1 }), (measurements) => {
        const score = make()
        let now = 0
        let largest = 30
        for (const [wait, latency, how] of measurements) {
          now += wait
          largest = Math.max(largest, latency)
          if (how === 0) score.answered(latency, now)
          else if (how === 1) score.failed(latency, now)
          else if (how === 2) score.declined(latency, now)
          else score.abandoned(latency, now)
          for (const value of [score.value(now), score.expected(1, 1), score.expectedMean(1, 1)]) {
            expect(value).toBeGreaterThanOrEqual(0)
            expect(value).toBeLessThanOrEqual(largest)
          }
        }
      })
    )
  })
})

describe("a score's shares", () => {
  /** A result every 10 ms for so long. */
  const steadily = (score: Score, from: number, millis: number, result: (nth: number) => void) => {
    for (let now = from; now < from + millis; now += 10) result((now - from) / 10)
    return score
  }

  it("are shares of time: one failure in a hundred hardly counts", () => {
    const score = make()
    steadily(score, 0, 60_000, (nth) => {
      if (nth % 100 === 99) score.failed(1, nth * 10)
      else score.answered(5, nth * 10)
    })
    expect(score.failing).toBeGreaterThan(0.005)
    expect(score.failing).toBeLessThan(0.015)
    expect(score.hollow).toBe(score.failing)
  })

  it.each([1, 10, 100])("grow with time and not with requests (%i of them at once)", (times) => {
    const score = make()
    score.answered(5, 0)
    for (let now = 10; now <= 1_000; now += 10) {
      for (let i = 0; i < times; i++) score.failed(1, now)
    }
    expect(score.failing).toBeCloseTo(1 - Math.exp(-1_000 / decay), 6)
  })

  it("begin with the first request", () => {
    const score = make()
    score.failed(100, 5_000)
    expect(score.failing).toBeCloseTo(1 - Math.exp(-0.01), 6)
  })

  it("count one failure after a pause for little, and a second for the time since the first", () => {
    const score = make()
    score.answered(5, 0)
    score.failed(1, 60_000)
    expect(score.failing).toBeCloseTo(1 - Math.exp(-0.05), 6)
    expect(score.hollow).toBe(score.failing)
    score.failed(1, 90_000)
    expect(score.failing).toBeGreaterThan(0.9)
  })

  it("count a failure after 404s as the first", () => {
    const score = make()
    for (const now of [0, 30_000, 60_000]) score.declined(1, now)
    score.failed(1, 90_000)
    expect(score.failing).toBeCloseTo(1 - Math.exp(-0.05), 6)
    expect(score.hollow).toBeGreaterThan(0.9)
  })

  it.each([1, 50, 99, 101, 5_000])("fade by exp(−elapsed / decay) after %i ms", (elapsed) => {
    const score = make()
    score.answered(5, 0)
    expect(score.fade(elapsed)).toBeCloseTo(Math.exp(-elapsed / decay), 9)
  })

  it("tell failures from other answers without the work", () => {
    const score = make()
    score.declined(1, 0)
    score.declined(1, 5_000)
    expect(score.failing).toBe(0)
    expect(score.hollow).toBeCloseTo(1 - Math.exp(-0.5), 3)
    expect(score.troubled).toBe(true)
  })

  it("fade, with results and without", () => {
    const score = make()
    score.failed(10_000, 10_000)
    const before = score.failing
    expect(before * score.fade(20_000)).toBeCloseTo(before / Math.E, 6)
    score.answered(5, 20_000)
    expect(score.failing).toBeCloseTo(before / Math.E, 6)
    score.answered(5, 1e6)
    score.answered(5, 2e6)
    expect(score.troubled).toBe(false)
  })

  it("take an answer back that came to nothing", () => {
    const score = make()
    score.answered(5, 0)
    score.answered(5, 1_000)
    score.retract(true)
    expect(score.failing).toBeCloseTo(1 - Math.exp(-0.05), 6)
    expect(score.hollow).toBe(score.failing)
    score.answered(5, 2_000)
    score.retract(true)
    // The one before had come to nothing too: 0.1 is all of the time since.
    const both = (1 - Math.exp(-0.05)) * Math.exp(-0.1) + 1 - Math.exp(-0.1)
    expect(score.failing).toBeCloseTo(both, 6)
    score.answered(5, 3_000)
    const failing = score.failing
    score.retract(false)
    expect(score.failing).toBe(failing)
    expect(score.hollow).toBeGreaterThan(failing)
  })

  it("are forgotten with the rest", () => {
    const score = make()
    score.failed(1_000, 1_000)
    score.forget()
    expect(score.troubled).toBe(false)
    expect(score.failing).toBe(0)
    expect(score.expected(1, 0)).toBe(0)
  })

  it("always lie between 0 and 1, and failures are hollow", () => {
    const step = fc.tuple(fc.nat(30_000), fc.nat(4))
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), (steps) => {
        const score = make()
        let now = 0
        for (const [wait, how] of steps) {
          now += wait
          if (how === 0) score.answered(5, now)
          else if (how === 1) score.failed(5, now)
          else if (how === 2) score.declined(5, now)
          else if (how === 3) score.retract(true)
          else score.working(now)
          expect(score.failing).toBeGreaterThanOrEqual(0)
          expect(score.hollow).toBeLessThanOrEqual(1 + 1e-9)
          expect(score.failing).toBeLessThanOrEqual(score.hollow)
        }
      })
    )
  })
})
