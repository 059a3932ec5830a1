import * as fc from "fast-check"
import { expect, test } from "vitest"
import { formatPath } from "../model/Problem.ts"
import { explainPolicy, layerPolicies, type PolicyLayer } from "./LayeredPolicy.ts"
import { decodePolicy, defaultPolicy, makePolicy, type PolicyInput } from "./PolicySchema.ts"

const layer = (source: PolicyLayer["source"], written: PolicyInput): PolicyLayer => ({
  ...{ source, by: `by ${source}`, written }
})
const shown = (...layers: ReadonlyArray<PolicyLayer>) =>
  Object.fromEntries(
    explainPolicy(layerPolicies(layers)).map(({ path, source, value }) => [
      formatPath(path),
      `${JSON.stringify(value)} ${source}`
    ])
  )

test("each value is that of the strongest who says it", () => {
  expect(
    shown(
      layer("config", { retry: { attempts: 1 }, balance: { kind: "p2c_ewma", decay: "5s" } }),
      layer("mesh", { timeout: { request: "3s" }, retry: { attempts: 4, on: ["reset"] } }),
      layer("owner", {
        timeout: { request: "9s", perTry: "1s" },
        breaker: "off",
        balance: { kind: "p2c_ewma", initial: "1ms" }
      })
    )
  ).toMatchObject({
    "timeout.request": '"3s" mesh',
    "timeout.perTry": '"1s" owner',
    "timeout.idle": '"300s" default',
    "retry.attempts": "1 config",
    "retry.on": '["reset"] mesh',
    "retry.budget.ratio": "0.2 default",
    breaker: '"off" owner',
    "balance.kind": '"p2c_ewma" config',
    "balance.decay": '"5s" config',
    "balance.initial": '"1ms" owner'
  })
})

test("what is said as it is by default is said", () => {
  const { policy } = layerPolicies([
    layer("config", { retry: { attempts: 2 } }),
    layer("mesh", { retry: { attempts: 9 } })
  ])
  expect(policy).toEqual(defaultPolicy)
})

test("off goes before what would be on, and on before off; of two kinds the stronger stands alone", () => {
  expect(
    shown(
      layer("config", { retry: "off", ejection: { maxPercent: 50 } }),
      layer("mesh", {
        retry: { attempts: 4 },
        ejection: "off",
        balance: { kind: "least_request" }
      }),
      layer("owner", { balance: { kind: "p2c_ewma", decay: "1s" } })
    )
  ).toMatchObject({
    retry: '"off" config',
    "ejection.maxPercent": "50 config",
    "ejection.base": '"30s" default',
    "balance.kind": '"least_request" mesh'
  })
})

test("a part that makes no policy with what is stronger is left out, and the rest of it holds", () => {
  const { leftOut, policy } = layerPolicies([
    layer("config", { timeout: { request: "1s" } }),
    layer("mesh", { timeout: { perTry: "5s" }, retry: { attempts: 4 } })
  ])
  expect(leftOut).toMatchObject([
    { layer: { source: "mesh" }, part: "timeout", reason: expect.stringContaining("not shorter") }
  ])
  expect(policy).toEqual(makePolicy({ timeout: { request: "1s" }, retry: { attempts: 4 } }))
})

test("what retries go by may come from another layer", () => {
  const both = [
    layer("config", { retry: { on: ["timeout"] }, timeout: { perTry: "1s" } }),
    layer("mesh", { retry: { attempts: 1 } })
  ]
  expect(layerPolicies(both).leftOut).toEqual([])
  const alone = layerPolicies([layer("mesh", { retry: { on: ["timeout"] } })])
  expect(alone.leftOut).toMatchObject([{ part: "retry" }])
})

test("what a newer node says and nobody here can read is left out", () => {
  const newer: PolicyInput = JSON.parse('{"retry":{"hedge":1},"breaker":"off","route":{}}')
  const { leftOut, policy } = layerPolicies([layer("owner", newer)])
  expect(leftOut).toMatchObject([{ part: "retry" }])
  expect(policy).toEqual(makePolicy({ breaker: "off" }))
})

test("whatever is said, what holds is a policy, and every value of it has its source", () => {
  const time = fc.constantFrom("10ms" as const, "1s" as const, "5s" as const)
  const written: fc.Arbitrary<PolicyInput> = fc.record(
    {
      timeout: fc.record({ request: time, perTry: time, idle: time }, { requiredKeys: [] }),
      retry: fc.oneof(
        fc.constant("off" as const),
        fc.record(
          {
            attempts: fc.integer({ min: 0, max: 4 }),
            on: fc.constantFrom(["timeout"] as const, ["reset"] as const)
          },
          { requiredKeys: [] }
        )
      ),
      breaker: fc.constant("off" as const)
    },
    { requiredKeys: [] }
  )
  fc.assert(
    fc.property(written, written, written, (config, mesh, owner) => {
      fc.pre(decodePolicy(config)._tag === "Right")
      const layered = layerPolicies([
        layer("config", config),
        layer("mesh", mesh),
        layer("owner", owner)
      ])
      expect(makePolicy(layered.written)).toEqual(layered.policy)
      // The config is never left out.
      expect(layered.leftOut.filter(({ layer }) => layer.source === "config")).toEqual([])
      const own = layerPolicies([layer("config", config)])
      for (const { path, source, value } of explainPolicy(own)) {
        if (source !== "config") continue
        const now = explainPolicy(layered).find((one) => formatPath(one.path) === formatPath(path))
        expect(now).toMatchObject({ source: "config", value })
      }
    })
  )
})
