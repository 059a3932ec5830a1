/** What the compiler refuses of a policy. `npm run check:types` is what fails. */
import { describe, expect, expectTypeOf, it } from "vitest"
import type * as Model from "../model/Policy.ts"
import type { DurationText } from "./Duration.ts"
import type * as Schemas from "./PolicySchema.ts"
import { makePolicy, type PolicyInput } from "./PolicySchema.ts"

/** Never run: the lines are for the compiler. */
const compiled = (_: () => unknown): void => expect(_).toBeTypeOf("function")

describe("the compiler", () => {
  it("takes durations with a unit, also computed ones", () => {
    const seconds = 2
    expect(makePolicy({ timeout: { request: `${seconds}s` } }).timeout.request).toBe(2_000)
    expectTypeOf<"500ms" | "2s" | "1.5m" | "24h" | "7d">().toExtend<DurationText>()
  })

  it("refuses what is no duration", () =>
    compiled(() => [
      // @ts-expect-error no unit
      makePolicy({ timeout: { request: "5" } }),
      // @ts-expect-error a number is not a duration
      makePolicy({ timeout: { request: 5_000 } }),
      // @ts-expect-error no such unit
      makePolicy({ timeout: { request: "2sec" } }),
      // @ts-expect-error a comma
      makePolicy({ timeout: { request: "1,5s" } }),
      // @ts-expect-error not a number
      makePolicy({ retry: { backoff: { base: "softly" } } }),
      // @ts-expect-error text that nobody has looked at; decodePolicy does
      makePolicy({ ejection: { interval: String(process.env["INTERVAL"]) } })
    ]))

  it("refuses methods in small letters", () =>
    compiled(() => [
      makePolicy({ retry: { methods: ["GET", "M-SEARCH", "*"] } }),
      // @ts-expect-error get
      makePolicy({ retry: { methods: ["get"] } }),
      // @ts-expect-error Post
      makePolicy({ retry: { methods: ["GET", "Post"] } })
    ]))

  it("refuses lists with nothing in them", () => {
    compiled(() => [
      // @ts-expect-error no method
      makePolicy({ retry: { methods: [] } }),
      // @ts-expect-error no condition
      makePolicy({ retry: { on: [] } }),
      // @ts-expect-error no such condition
      makePolicy({ retry: { on: ["4xx"] } })
    ])
    // A list may be put together from others as long as one of them has something in it.
    const base = ["reset", "5xx"] as const
    const more: ReadonlyArray<Model.RetryCondition> = ["rate_limited"]
    const { retry } = makePolicy({ retry: { on: [...base, ...more] } })
    expect(retry !== "off" && retry.on).toEqual(["reset", "5xx", "rate_limited"])
  })

  it("refuses unknown keys, in a call and with satisfies", () =>
    compiled(() => [
      // @ts-expect-error retires
      makePolicy({ retires: {} }),
      // @ts-expect-error maxAttempts
      makePolicy({ retry: { maxAttempts: 1 } }),
      // @ts-expect-error decay is p2c_ewma's
      makePolicy({ balance: { kind: "round_robin", decay: "1s" } }),
      // @ts-expect-error per_try
      { timeout: { per_try: "1s" } } satisfies PolicyInput,
      // @ts-expect-error on is not off
      { breaker: "on" } satisfies PolicyInput
    ]))

  it("keeps what satisfies knows, and what is made has every field", () => {
    const input = { timeout: { request: "2s" }, retry: "off" } satisfies PolicyInput
    expectTypeOf(input.timeout.request).toExtend<DurationText>()
    expectTypeOf(makePolicy(input)).toEqualTypeOf<Model.Policy>()
    expectTypeOf<Model.Policy["timeout"]["connect"]>().toEqualTypeOf<number>()
    expectTypeOf<Model.Policy["retry"]>().toExtend<"off" | { readonly attempts: number }>()
  })

  it("sees the model's types in what is decoded, from either side", () => {
    expectTypeOf<typeof Schemas.TimeoutPolicy.Type>().toEqualTypeOf<Model.TimeoutPolicy>()
    expectTypeOf<typeof Schemas.RetryCondition.Type>().toEqualTypeOf<Model.RetryCondition>()
    expectTypeOf<typeof Schemas.RetryBudgetPolicy.Type>().toEqualTypeOf<Model.RetryBudgetPolicy>()
    expectTypeOf<typeof Schemas.RetryPolicy.Type>().toEqualTypeOf<Model.RetryPolicy>()
    expectTypeOf<typeof Schemas.BreakerPolicy.Type>().toEqualTypeOf<Model.BreakerPolicy>()
    expectTypeOf<typeof Schemas.EjectionPolicy.Type>().toEqualTypeOf<Model.EjectionPolicy>()
    expectTypeOf<typeof Schemas.BalancePolicy.Type>().toEqualTypeOf<Model.BalancePolicy>()
    expectTypeOf<typeof Schemas.Policy.Type>().toEqualTypeOf<Model.Policy>()
  })
})
