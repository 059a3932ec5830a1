import { Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ServiceName } from "../../model/Names.ts"
import { ServicePattern } from "../../schema/ServicePattern.ts"
import {
  everything,
  type Grant,
  grantOf,
  grantsCapability,
  grantsService,
  uncovered
} from "./Grant.ts"

const only = (...services: ReadonlyArray<string>): Grant => ({ services, capabilities: [] })
const name = (text: string) => ServiceName.make(text)

describe("Grant", () => {
  it.each([
    ["payments", "payments", true],
    ["payments", "payments-eu", false],
    ["shop-*", "shop-cart", true],
    ["shop-*", "shop", false],
    ["shop-*", "workshop-1", false],
    ["*", "anything", true]
  ])("%s lets offer %s: %s", (pattern, service, expected) => {
    expect(grantsService(only(pattern), name(service))).toBe(expected)
  })

  it("grants nothing when it is empty", () => {
    expect(grantsService(only(), name("payments"))).toBe(false)
    expect(grantsCapability(only(), "admit")).toBe(false)
    expect(uncovered(everything, only())).toEqual([])
  })

  it("names what is not covered", () => {
    const held: Grant = { services: ["shop-*"], capabilities: ["admit"] }
    const wanted: Grant = { services: ["shop-a", "*"], capabilities: ["admit", "revoke"] }
    expect(uncovered(held, wanted)).toEqual(["service *", "capability revoke"])
  })

  it("lets speak for what it lets offer, and for what it lets speak for alone", () => {
    const held: Grant = { services: ["shop-*"], speaks: ["orders"], capabilities: [] }
    const speaking = (...speaks: ReadonlyArray<string>): Grant => ({ ...only(), speaks })
    expect(uncovered(held, speaking("shop-a", "orders"))).toEqual([])
    expect(uncovered(held, speaking("orders-*", "web"))).toEqual([
      "speaking for orders-*",
      "speaking for web"
    ])
    expect(uncovered(held, only("orders"))).toEqual(["service orders"])
    expect(uncovered(only(), speaking("a"))).toEqual(["speaking for a"])
    expect(uncovered(everything, speaking("*"))).toEqual([])
  })

  it("is written without a right that it does not give, as it was before there was one", () => {
    const old: Grant = { services: ["a"], capabilities: ["admit"] }
    expect(grantOf({ ...old, speaks: [] })).toStrictEqual(old)
    expect(grantOf(old)).toStrictEqual(old)
    expect(grantOf({ ...old, speaks: ["b"] })).toStrictEqual({ ...old, speaks: ["b"] })
  })

  it.each(["", "-a", "a-", "A", "sh*p", "**", "-*", "a.b", "x".repeat(64), `${"x".repeat(63)}*`])(
    "refuses %j as a pattern",
    (pattern) => {
      expect(Schema.is(ServicePattern)(pattern)).toBe(false)
    }
  )

  // A small alphabet, so that patterns and names meet often.
  const stem = fc.stringMatching(/^[ab][ab-]{0,3}$/)
  const service = fc.stringMatching(/^[ab]([ab-]{0,4}[ab])?$/)
  const pattern = fc.oneof(
    service,
    stem.map((text) => `${text}*`),
    fc.constant("*")
  )
  const patterns = fc.array(pattern, { maxLength: 4 })

  it("covers only what grants no more", () => {
    fc.assert(
      fc.property(patterns, patterns, service, (held, wanted, text) => {
        if (uncovered(only(...held), only(...wanted)).length > 0) return
        if (!grantsService(only(...wanted), name(text))) return
        expect(grantsService(only(...held), name(text))).toBe(true)
      }),
      { seed: 11, numRuns: 3_000 }
    )
  })

  it("covers itself, and covering passes on", () => {
    fc.assert(
      fc.property(patterns, patterns, patterns, (a, b, c) => {
        expect(uncovered(only(...a), only(...a))).toEqual([])
        const isCovered = (x: Array<string>, y: Array<string>) =>
          uncovered(only(...x), only(...y)).length === 0
        if (isCovered(a, b) && isCovered(b, c)) expect(isCovered(a, c)).toBe(true)
      }),
      { seed: 12, numRuns: 3_000 }
    )
  })
})
