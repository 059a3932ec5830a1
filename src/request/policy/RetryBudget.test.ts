import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { RetryBudget } from "./RetryBudget.ts"

const withdrawAll = (budget: RetryBudget, now: number): number => {
  let count = 0
  while (budget.withdraw(now)) count++
  return count
}

describe("RetryBudget", () => {
  it.each([
    { ratio: 0, minPerSecond: 0, window: 10_000, requests: 100, retries: 0 },
    { ratio: 0.2, minPerSecond: 0, window: 10_000, requests: 5, retries: 1 },
    { ratio: 0.2, minPerSecond: 0, window: 10_000, requests: 4, retries: 0 },
    { ratio: 0.2, minPerSecond: 10, window: 10_000, requests: 0, retries: 100 },
    { ratio: 0.2, minPerSecond: 10, window: 10_000, requests: 1_000, retries: 300 },
    { ratio: 2, minPerSecond: 0, window: 10_000, requests: 3, retries: 6 },
    { ratio: 0, minPerSecond: 5, window: 1_000, requests: 9, retries: 5 }
  ])("$requests requests at $ratio + $minPerSecond/s allow $retries", (row) => {
    const budget = new RetryBudget(row)
    for (let i = 0; i < row.requests; i++) budget.deposit(0)
    expect(withdrawAll(budget, 0)).toBe(row.retries)
  })

  it("forgets requests that are older than the window", () => {
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 0, window: 10_000 })
    budget.deposit(0)
    expect(budget.available(9_999)).toBe(1)
    expect(budget.available(10_000)).toBe(0)
  })

  it("forgets retries with their window, so the reserve comes back", () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 1, window: 10_000 })
    expect(withdrawAll(budget, 500)).toBe(10)
    expect(withdrawAll(budget, 9_999)).toBe(0)
    expect(withdrawAll(budget, 10_500)).toBe(0)
    // A tenth of the window late, so that they count for a whole one wherever in a tenth they were.
    expect(withdrawAll(budget, 11_000)).toBe(10)
  })

  it("slides in steps, not all at once", () => {
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 0, window: 1_000 })
    budget.deposit(0)
    budget.deposit(301)
    budget.deposit(801)
    expect(budget.available(1_000)).toBe(2)
    expect(budget.available(1_300)).toBe(1)
    expect(budget.available(1_800)).toBe(0)
  })

  it("survives a long silence", () => {
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 0, window: 1_000 })
    budget.deposit(50)
    expect(budget.available(1e9)).toBe(0)
    budget.deposit(1e9)
    expect(budget.available(1e9)).toBe(1)
  })

  it("grants nothing again for what is less than a window ago", () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 50, window: 2_000 })
    expect(withdrawAll(budget, 99)).toBe(100)
    expect(withdrawAll(budget, 1_999)).toBe(0)
    expect(withdrawAll(budget, 2_099)).toBe(0)
    expect(withdrawAll(budget, 2_200)).toBe(100)
  })

  it("never grants more in any window than ratio × requests + reserve", () => {
    const step = fc.record({
      wait: fc.oneof(fc.nat(2_500), fc.constantFrom(0, 1_000, 9_000, 9_999, 10_000)),
      requests: fc.nat(20),
      tries: fc.nat(30),
      helped: fc.nat(10),
      failed: fc.nat(10)
    })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        fc.nat(5),
        fc.nat(10_000),
        (steps, ratio, minPerSecond, start) => {
          const window = 10_000
          const budget = new RetryBudget({ ratio, minPerSecond, window })
          const log: Array<{ at: number; requests: number; retries: number }> = []
          let now = start
          for (const { failed, helped, requests, tries, wait } of steps) {
            now += wait
            for (let i = 0; i < requests; i++) budget.deposit(now)
            let retries = 0
            for (let i = 0; i < tries; i++) if (budget.withdraw(now, i % 2 === 0)) retries++
            if (helped > 0) budget.settled(helped, true, now)
            if (failed > 0) budget.settled(failed, false, now)
            log.push({ at: now, requests, retries })
          }
          const within = (from: number, to: number, key: "requests" | "retries") =>
            log
              .filter(({ at }) => at > from && at <= to)
              .reduce((sum, entry) => sum + entry[key], 0)
          const reserve = (minPerSecond * window) / 1_000
          for (const { at, retries } of log) {
            // A window that ends with a retry …
            if (retries > 0) {
              expect(within(at - window, at, "retries")).toBeLessThanOrEqual(
                ratio * within(at - window, at, "requests") + reserve + 1e-6
              )
            }
            // … and any other: what is spent in it may have been earned in the one before.
            for (const end of [at + 1, at + window / 2, at + window - 1]) {
              expect(within(end - window, end, "retries")).toBeLessThanOrEqual(
                ratio * within(end - 2 * window, end, "requests") + reserve + 1e-6
              )
            }
          }
        }
      )
    )
  })

  describe("when retries do not help", () => {
    const policy = { ratio: 0.2, minPerSecond: 10, window: 10_000 }
    /** Available after 1,000 requests of which so many were retried, and how that ended. */
    const available = (helped: number, failed: number): number => {
      const budget = new RetryBudget(policy)
      for (let i = 0; i < 1_000; i++) budget.deposit(0)
      budget.settled(helped, true, 0)
      budget.settled(failed, false, 0)
      return budget.available(0)
    }

    it.each([
      { helped: 0, failed: 0, share: 1 },
      { helped: 100, failed: 0, share: 1 },
      { helped: 50, failed: 50, share: 0.537 },
      { helped: 0, failed: 8, share: 0.5 },
      { helped: 0, failed: 92, share: 0.08 }
    ])("grants $share of it after $helped that helped and $failed that did not", (row) => {
      expect(available(row.helped, row.failed) / 300).toBeCloseTo(row.share, 2)
    })

    it("forgets that with the window", () => {
      const budget = new RetryBudget(policy)
      budget.settled(1_000, false, 0)
      expect(budget.available(9_000)).toBe(0)
      expect(budget.available(11_000)).toBe(100)
    })

    it("leaves a few all the same", () => {
      const budget = new RetryBudget(policy)
      let granted = 0
      for (let now = 0; now < 10_000; now += 50) {
        budget.deposit(now)
        if (!budget.withdraw(now)) continue
        granted++
        budget.settled(1, false, now)
      }
      expect(granted).toBeGreaterThan(20)
      expect(granted).toBeLessThan(35)
    })
  })

  it("grants calls that are retries further up nothing of the reserve", () => {
    const budget = new RetryBudget({ ratio: 0.5, minPerSecond: 10, window: 10_000 })
    expect(budget.withdraw(0, false)).toBe(false)
    for (let i = 0; i < 4; i++) budget.deposit(0)
    expect([1, 2, 3].map(() => budget.withdraw(0, false))).toEqual([true, true, false])
    expect(withdrawAll(budget, 0)).toBe(100)
    expect(budget.withdraw(0, false)).toBe(false)
  })
})
