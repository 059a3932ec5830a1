import { Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { PeerAccessUse } from "../mesh/host/MeshRpc.ts"
import { ServiceName } from "../model/Names.ts"
import type { TrafficRow } from "../request/access/Traffic.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"
import { accessUseAnswer, answerLimits, mayHearTraffic } from "./AccessUseAnswer.ts"

const payments = ServiceName.make("payments")
const row = (change: Partial<TrafficRow> = {}): TrafficRow => ({
  ...{ caller: "orders", service: payments, method: "POST", path: ["charge"], calls: 1 },
  ...change
})
const use = (
  rules: ReadonlyArray<[string, number]>,
  rows: ReadonlyArray<TrafficRow>
): AccessUse => ({
  rules: new Map(rules),
  traffic: { rows, left: 0 }
})
const callsOf = (rows: ReadonlyArray<{ readonly calls: number }>): number =>
  rows.reduce((sum, { calls }) => sum + calls, 0)

describe("what a node tells of how its rules are met", () => {
  it("is added up over threads, the busiest first", () => {
    const tunnel = row({ method: undefined, path: undefined, calls: 5 })
    const threads = [use([["a.allow[0]", 1]], [row(), tunnel]), use([["b.deny[0]", 3]], [row()])]
    expect(accessUseAnswer(threads, true, undefined)).toEqual({
      rules: [
        { rule: "b.deny[0]", calls: 3 },
        { rule: "a.allow[0]", calls: 1 }
      ],
      traffic: [
        { caller: "orders", service: "payments", calls: 5 },
        { caller: "orders", service: "payments", method: "POST", path: ["charge"], calls: 2 }
      ],
      left: 0
    })
  })

  it("says nothing of who called what unless it is asked for, and of the service that is meant", () => {
    const refunds = row({ service: ServiceName.make("refunds") })
    const threads = [use([], [row(), refunds])]
    expect(accessUseAnswer(threads, false, undefined)).toEqual({ rules: [], traffic: [], left: 0 })
    const { traffic } = accessUseAnswer(threads, true, payments)
    expect(traffic.map(({ service }) => service)).toEqual(["payments"])
  })

  it("is told to who may write rules", () => {
    expect(mayHearTraffic({ capabilities: ["admit", "policy"] })).toBe(true)
    expect(mayHearTraffic({ capabilities: ["admit"] })).toBe(false)
    expect(mayHearTraffic(undefined)).toBe(false)
  })

  it("fits its message whatever was called, and what is not in it is counted", () => {
    const segment = fc.string({ maxLength: 2_000, unit: "binary" })
    const rows = fc.array(
      fc.record({
        caller: fc.constantFrom("orders", "host/a"),
        service: fc.constant(payments),
        method: fc.constantFrom("GET", "POST", undefined),
        path: fc.option(fc.array(fc.option(segment), { maxLength: 16 }), { nil: undefined }),
        calls: fc.integer({ min: 1, max: 9 })
      }),
      { minLength: 100, maxLength: 400 }
    )
    const isAnswer = Schema.is(PeerAccessUse)
    fc.assert(
      fc.property(rows, (made) => {
        const answer = accessUseAnswer([use([], made)], true, undefined)
        expect(isAnswer(answer)).toBe(true)
        expect(JSON.stringify(answer.traffic).length).toBeLessThan(2 * answerLimits.text)
        expect(callsOf(answer.traffic) + answer.left).toBe(callsOf(made))
      }),
      { numRuns: 30 }
    )
    const long = Array.from({ length: 100 }, (_, n) => row({ path: [`${n}`.padEnd(10_000, "x")] }))
    const { left, traffic } = accessUseAnswer([use([], long)], true, undefined)
    expect([traffic.length, left]).toEqual([26, 74])
    const many = Array.from({ length: 5_000 }, (_, n): [string, number] => [`r.allow[${n}]`, n])
    expect(accessUseAnswer([use(many, [])], false, undefined).rules).toHaveLength(
      answerLimits.rules
    )
  })
})
