/**
 * A request thread's part of what a policy allows the whole host. Ratios need no sharing: each thread
 * sees its own requests. What is guaranteed besides them is divided, so that all threads together have
 * what the policy says and no more.
 */
import type { Policy, RetryBudgetPolicy } from "../../model/Policy.ts"

export interface ThreadPlace {
  readonly index: number
  readonly threads: number
}

export const policyShare = (policy: Policy, place: ThreadPlace): Policy =>
  policy.retry === "off" || place.threads === 1
    ? policy
    : { ...policy, retry: { ...policy.retry, budget: budgetShare(policy.retry.budget, place) } }

/**
 * Of fewer guaranteed retries than there are threads, the first threads have one each: parts of a
 * retry are none.
 */
const budgetShare = (
  budget: RetryBudgetPolicy,
  { index, threads }: ThreadPlace
): RetryBudgetPolicy => {
  const reserve = (budget.minPerSecond * budget.window) / 1_000
  const sharers = Math.min(threads, Math.max(1, Math.floor(reserve)))
  return { ...budget, minPerSecond: index < sharers ? budget.minPerSecond / sharers : 0 }
}
