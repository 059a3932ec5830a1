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
    expect(withdrawAll(budget, 10_500)).toBe(10)
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

  it("never grants more in a window than ratio × requests + reserve", () => {
    const step = fc.record({ wait: fc.nat(2_500), requests: fc.nat(20), tries: fc.nat(30) })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        fc.nat(5),
        (steps, ratio, minPerSecond) => {
          const window = 10_000
          const budget = new RetryBudget({ ratio, minPerSecond, window })
          const log: Array<{ at: number; requests: number; retries: number }> = []
          let now = 0
          for (const { requests, tries, wait } of steps) {
            now += wait
            for (let i = 0; i < requests; i++) budget.deposit(now)
            let retries = 0
            for (let i = 0; i < tries; i++) if (budget.withdraw(now)) retries++
            log.push({ at: now, requests, retries })
            if (retries === 0) continue
            // The window ends now and began at most ten, at least nine tenths of it ago.
            const within = (span: number, key: "requests" | "retries") =>
              log.filter(({ at }) => at > now - span).reduce((sum, entry) => sum + entry[key], 0)
            expect(within(window * 0.9, "retries")).toBeLessThanOrEqual(
              ratio * within(window, "requests") + minPerSecond * 10 + 1e-6
            )
          }
        }
      )
    )
  })
})
