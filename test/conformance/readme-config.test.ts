/** The config that the README shows is one, and its values are the defaults it says they are. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { makeNodeConfig, NodeConfig, type NodeConfigInput } from "../../src/config/NodeConfig.ts"
import { ServiceConfig } from "../../src/config/ServiceConfig.ts"
import { ServiceName } from "../../src/model/Names.ts"
import { defaultPolicy, Policy } from "../../src/schema/PolicySchema.ts"

const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8")
const shown: NodeConfigInput = parse(
  /## Config[\s\S]*?```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? ""
)

/** `{ a: { b: 1 } }` → `a.b` */
const paths = (value: unknown, at = ""): ReadonlyArray<string> =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? [at.slice(1)]
    : Object.entries(value).flatMap(([key, inner]) => paths(inner, `${at}.${key}`))

describe("the README's config", () => {
  const config = makeNodeConfig(shown)
  const byDefault = makeNodeConfig({})

  it("shows every field of a policy, with its default", () => {
    const written = shown.policies?.["payments"]
    const policy = config.policies[ServiceName.make("payments")]
    if (policy === undefined) throw new Error("the README has no policy for payments")
    const { perTry, request, ...timeout } = policy.timeout
    expect({ perTry, request }).toEqual({ perTry: 500, request: 2_000 })
    expect({ ...policy, timeout }).toEqual(defaultPolicy)
    const all = [...paths(Schema.encodeSync(Policy)(defaultPolicy)), "timeout.perTry"]
    expect(paths(written).toSorted()).toEqual([...all, "timeout.request"].toSorted())
  })

  it("shows every section, with the defaults of those that have one", () => {
    expect(Object.keys(shown).toSorted()).toEqual(
      Object.keys(Schema.encodeSync(NodeConfig)(byDefault)).toSorted()
    )
    expect(config.admin).toEqual(byDefault.admin)
    expect(config.outbound.http).toEqual(byDefault.outbound.http)
    expect(config.drain).toEqual(byDefault.drain)
    expect(config.node.listen).toEqual(byDefault.node.listen)
    expect(config.node.dataDir).toEqual(byDefault.node.dataDir)
    const { otlp: _, ...telemetry } = config.telemetry
    expect(telemetry).toEqual(byDefault.telemetry)
  })

  it("shows every field of a service, with its default", () => {
    const [written] = shown.services ?? []
    const service = Schema.decodeSync(ServiceConfig)({
      name: "payments",
      address: "127.0.0.1:8081",
      tls: { ca: "./ca.pem", serverName: "pay.internal" },
      health: { http: { path: "/healthz" } },
      policy: { timeout: { request: "4s" } }
    })
    expect(config.services).toEqual([service])
    const { addresses: _, ...all } = Schema.encodeSync(ServiceConfig)(service)
    expect(paths(written).toSorted()).toEqual([...paths(all), "address"].toSorted())
  })
})
