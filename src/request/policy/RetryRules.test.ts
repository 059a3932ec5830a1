import { Either } from "effect"
import { describe, expect, it } from "vitest"
import type { RetryCondition } from "../../model/Policy.ts"
import { decodePolicy } from "../../schema/PolicySchema.ts"
import { type Verdict, verdicts } from "./Classifier.ts"
import { RetryRules } from "./RetryRules.ts"

const rules = (on: ReadonlyArray<RetryCondition>, methods?: ReadonlyArray<string>): RetryRules => {
  const policy = { timeout: { perTry: "1s" }, retry: { on, ...(methods && { methods }) } }
  const { retry } = Either.getOrThrowWith(decodePolicy(policy), (error) => error)
  if (retry === "off") throw new Error("retry is on")
  return new RetryRules(retry)
}

const allows = (rule: RetryRules, verdict: Verdict, method: string) =>
  rule.allow(verdict, rule.repeatable(method))

describe("RetryRules", () => {
  it.each<[ReadonlyArray<RetryCondition>, keyof typeof verdicts, string, boolean]>([
    // Nothing was sent: always.
    [["connect_failure"], "connectFailure", "POST", true],
    [["5xx"], "connectFailure", "POST", true],
    // May have been seen: idempotent methods only, and only what the policy names.
    [["reset"], "reset", "GET", true],
    [["reset"], "reset", "PUT", true],
    [["reset"], "reset", "POST", false],
    [["reset"], "reset", "PATCH", false],
    [["5xx"], "reset", "GET", false],
    [["5xx"], "serverError", "GET", true],
    [["5xx"], "gatewayError", "GET", true],
    [["gateway_error"], "gatewayError", "GET", true],
    [["gateway_error"], "serverError", "GET", false],
    [["timeout"], "timeout", "DELETE", true],
    [["reset"], "timeout", "GET", false],
    [["rate_limited"], "rateLimited", "GET", true],
    [["reset"], "rateLimited", "GET", false],
    // Never.
    [["reset", "5xx", "timeout"], "success", "GET", false],
    [["reset", "5xx", "timeout"], "refused", "GET", false]
  ])("on %j: %s of a %s → %s", (on, verdict, method, expected) => {
    expect(allows(rules(on), verdicts[verdict], method)).toBe(expected)
  })

  it("repeats other methods when told", () => {
    expect(allows(rules(["reset"], ["POST"]), verdicts.reset, "POST")).toBe(true)
    expect(allows(rules(["reset"], ["POST"]), verdicts.reset, "GET")).toBe(false)
    expect(allows(rules(["reset"], ["*"]), verdicts.reset, "PATCH")).toBe(true)
  })

  it("refuses a method nobody sends", () => {
    expect(() => rules(["reset"], ["post"])).toThrow(/"post" is not a method/)
  })
})
