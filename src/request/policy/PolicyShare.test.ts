import { describe, expect, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import type { Policy } from "../../model/Policy.ts"
import { defaultPolicy } from "../../schema/PolicySchema.ts"
import { policyShare } from "./PolicyShare.ts"
import { RetryBudget } from "./RetryBudget.ts"

const withBudget = (minPerSecond: number, window: number): Policy => {
  if (defaultPolicy.retry === "off") throw new Error("retries are on by default")
  return {
    ...defaultPolicy,
    retry: { ...defaultPolicy.retry, budget: { ratio: 0.2, minPerSecond, window } }
  }
}

const budgetOf = ({ retry }: Policy) => {
  if (retry === "off") throw new Error("it has a budget")
  return retry.budget
}

const minPerSecond = fc.double({ min: 0, max: 1_000, noNaN: true })
const window = fc.integer({ min: 100, max: 3_600_000 })
const few = fc.double({ min: 0, max: 100, noNaN: true })
const short = fc.integer({ min: 100, max: 10_000 })
const threads = fc.integer({ min: 1, max: 64 })

describe("a thread's part of a policy", () => {
  it("is all of it together, however many threads there are", () => {
    fc.assert(
      fc.property(minPerSecond, window, threads, (minPerSecond, window, threads) => {
        const policy = withBudget(minPerSecond, window)
        const sum = Array.from({ length: threads }, (_, index) =>
          budgetOf(policyShare(policy, { index, threads }))
        ).reduce((sum, budget) => sum + budget.minPerSecond, 0)
        expect(sum).toBeCloseTo(minPerSecond, 6)
      })
    )
  })

  it("never lets all threads retry more often than one would", () => {
    fc.assert(
      fc.property(few, short, threads, (minPerSecond, window, threads) => {
        const policy = withBudget(minPerSecond, window)
        const retries = (budget: RetryBudget) => {
          let count = 0
          while (budget.withdraw(0, true)) count++
          return count
        }
        const alone = retries(new RetryBudget(budgetOf(policy)))
        const together = Array.from({ length: threads }, (_, index) =>
          retries(new RetryBudget(budgetOf(policyShare(policy, { index, threads }))))
        ).reduce((sum, one) => sum + one, 0)
        expect(together).toBeLessThanOrEqual(alone)
      }),
      { numRuns: 30 }
    )
  })

  it("is a whole retry where there are few: one for each of the first threads", () => {
    const shares = [0, 1, 2, 3].map(
      (index) => budgetOf(policyShare(withBudget(0.2, 10_000), { index, threads: 4 })).minPerSecond
    )
    expect(shares).toEqual([0.1, 0.1, 0, 0])
  })

  it("is the very policy where there is one thread, or no retries", () => {
    expect(policyShare(defaultPolicy, { index: 0, threads: 1 })).toBe(defaultPolicy)
    const off: Policy = { ...defaultPolicy, retry: "off" }
    expect(policyShare(off, { index: 3, threads: 8 })).toBe(off)
  })
})
