import { describe, expect, it } from "vitest"
import { type HealthState, judge, unknownHealth } from "./HealthState.ts"

const after = (results: string): HealthState["status"] =>
  [...results].reduce(
    (state, result) => judge(state, { ok: result === "+", reason: result }),
    unknownHealth
  ).status

describe("judge", () => {
  it.each([
    ["", "unknown"],
    ["+", "healthy"],
    ["-", "unhealthy"],
    ["+-", "healthy"],
    ["+--", "unhealthy"],
    ["+-+-", "healthy"],
    ["+--+", "healthy"],
    ["--+-", "healthy"],
    ["--+--", "unhealthy"]
  ] as const)("after %j the endpoint is %s", (results, status) => {
    expect(after(results)).toBe(status)
  })

  it("keeps the reason of the last check", () => {
    expect(judge(unknownHealth, { ok: false, reason: "status 503" }).reason).toBe("status 503")
  })
})
