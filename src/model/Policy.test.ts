import { describe, expect, it } from "vitest"
import { defaultPolicy, makePolicy } from "./Policy.ts"

describe("Policy", () => {
  it("has the defaults that the reference systems have", () => {
    expect(defaultPolicy).toEqual({
      timeout: { connect: 1_000, idle: 300_000, tcpIdle: 3_600_000 },
      retry: {
        attempts: 2,
        on: ["connect_failure", "reset"],
        methods: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
        budget: { ratio: 0.2, minPerSecond: 10, window: 10_000 },
        backoff: { base: 25, max: 250 },
        bodyLimit: 65_536
      },
      breaker: { consecutiveFailures: 7, open: { base: 1_000, max: 60_000 }, probe: 1_000 },
      ejection: {
        consecutive5xx: 5,
        base: 30_000,
        max: 300_000,
        maxPercent: 10,
        successRateMargin: 5,
        interval: 10_000,
        successRateDeviations: 1.9,
        minEndpoints: 5,
        minRequests: 100
      },
      balance: { kind: "p2c_ewma", initial: 30, decay: 10_000 }
    })
  })

  it("takes what a person writes", () => {
    const policy = makePolicy({
      timeout: { request: "2s", perTry: "500ms" },
      retry: { attempts: 1, on: ["5xx"] },
      breaker: "off",
      balance: { kind: "round_robin" }
    })
    expect(policy.timeout).toMatchObject({ request: 2_000, perTry: 500, connect: 1_000 })
    expect(policy.breaker).toBe("off")
    expect(policy.balance).toEqual({ kind: "round_robin" })
  })

  it("refuses what makes no sense, and says which value", () => {
    expect(() => makePolicy({ timeout: { request: "soon" } })).toThrow(/"soon" is not a duration/)
    expect(() => makePolicy({ retry: { attempts: 11 } })).toThrow(
      /between\(0, 10\)|between 0 and 10/
    )
  })
})
