import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Either, Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { formatMillis } from "../schema/Duration.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { describeChanges, describeWarnings, diffConfig } from "./ConfigDiff.ts"
import { decodeConfig } from "./ConfigFile.ts"
import { configJsonSchema } from "./ConfigJsonSchema.ts"
import { parseConfigText } from "./ConfigText.ts"
import { makeNodeConfig, NodeConfig, type NodeConfigInput } from "./NodeConfig.ts"

const duration = fc.integer({ min: 10, max: 1_000_000 }).map(formatMillis)
const host = fc.oneof(
  fc.ipV4(),
  fc.ipV6().map((six) => `[${six}]`),
  fc.constantFrom("localhost", "db.internal", "payments-1")
)
/** Where the listeners below are: a service there would be refused (ConfigRules.ts). */
const ownPorts: ReadonlySet<number> = new Set([
  1, 2, 3, 4_001, 20_000, 20_001, 20_002, 20_003, 20_004
])
const port = fc.integer({ min: 1, max: 65_535 }).filter((p) => !ownPorts.has(p))
const dial = fc.tuple(host, port).map(([h, p]) => `${h}:${p}`)
const service = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)

/** Present or not at all: what an optional key of a config is. */
const some = <A extends object>(shape: { [K in keyof A]: fc.Arbitrary<A[K]> }) =>
  fc.record(shape, { requiredKeys: [] })

const services = fc.uniqueArray(
  fc.record(
    {
      name: service,
      addresses: fc.uniqueArray(dial, { minLength: 1, maxLength: 3 }),
      protocol: fc.constantFrom("http" as const, "tcp" as const),
      weight: fc.integer({ min: 1, max: 1_000 }),
      health: fc.oneof(
        some({ path: fc.constantFrom("/", "/healthz?a=b"), interval: duration }).map((http) => ({
          http
        })),
        some({ timeout: duration }).map((tcp) => ({ tcp }))
      )
    },
    { requiredKeys: ["name", "addresses"] }
  ),
  { selector: ({ name }) => name, maxLength: 5 }
)

/** Not one of this host's, which might be TCP. */
const elsewhere = service.map((name) => `far-${name}`)

// Ports apart from each other, so that no two listeners collide.
const upstreams = fc
  .array(fc.tuple(elsewhere, fc.constantFrom("http" as const, "tcp" as const)), { maxLength: 5 })
  .map((list) =>
    list.map(([service, protocol], index) => ({
      service,
      protocol,
      listen: `127.0.0.1:${20_000 + index}`
    }))
  )

const policy = some({
  timeout: some({ connect: duration, idle: duration }),
  retry: fc.oneof(
    fc.constant("off" as const),
    some({ attempts: fc.integer({ min: 1, max: 10 }), on: fc.constant(["5xx"] as const) })
  ),
  breaker: fc.oneof(
    fc.constant("off" as const),
    some({ consecutiveFailures: fc.integer({ min: 1, max: 1_000 }) })
  ),
  balance: fc.oneof(
    fc.constant({ kind: "round_robin" as const }),
    fc.record({ kind: fc.constant("p2c_ewma" as const), decay: duration })
  )
})

const inputs: fc.Arbitrary<NodeConfigInput> = some({
  node: some({
    name: fc.constantFrom("host-a", "Host_b.example"),
    dataDir: fc.constantFrom("./data", "/var/lib/ский 'x'", "a: b # c"),
    listen: fc.constant(["/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/0"]),
    announce: fc.constant(["/dns4/a.example/tcp/4001"]),
    zone: fc.constantFrom("eu-west/1a", "on", "1e3", "0x10")
  }),
  admin: fc.constantFrom("off", "127.0.0.1:1", "unix:/run/skein/admin.sock", {
    listen: "0.0.0.0:2",
    allowRemote: true
  }),
  outbound: some({
    listeners: fc.constantFrom(
      [],
      [
        { listen: "127.0.0.1:19000", as: "orders", uid: "www-data" },
        { listen: "unix:/run/skein/o.sock", as: "orders", mode: "0660", owner: "a:b" },
        { listen: "0.0.0.0:19001", uid: 1000, allowRemote: true }
      ]
    ),
    http: fc.constantFrom("off", "[::1]:3", "127.0.0.1:0", {
      listen: "[::]:3",
      allowRemote: true
    }),
    grpcWeb: fc.constantFrom({}, { origins: ["*"] }, { origins: ["https://shop.example:8443"] })
  }),
  services,
  upstreams,
  policies: fc.dictionary(elsewhere, policy, { maxKeys: 4 }),
  telemetry: some({
    otlp: fc.constantFrom("http://127.0.0.1:4318", "https://c.example/v1"),
    sample: fc.double({ min: 0, max: 1, noNaN: true }),
    accessLog: fc.constantFrom("off", "stdout", "./a.log")
  }),
  drain: some({ deadline: duration })
})

const load = (text: string) => {
  const parsed = parseConfigText(text)
  if (!("locate" in parsed)) throw new Error(JSON.stringify(parsed))
  return Either.getOrThrowWith(decodeConfig(parsed, "test"), (error) => error)
}

describe("NodeConfig", () => {
  it("whatever is written as YAML or JSON loads back equal", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const config = makeNodeConfig(input)
        const encoded = Schema.encodeSync(NodeConfig)(config)
        // What is written out has every default in it, and says so.
        const said = { ...config, writtenPolicies: encoded.policies }
        expect(load(stringify(encoded))).toEqual(said)
        expect(load(JSON.stringify(encoded))).toEqual(said)
      }),
      { numRuns: 60 }
    )
  })

  it("policies are kept as they are written, too: what they leave out others may say", () => {
    const { policies, writtenPolicies } = load("policies: { payments: { retry: { attempts: 2 } } }")
    expect(writtenPolicies).toEqual({ payments: { retry: { attempts: 2 } } })
    expect(policies).toEqual({ payments: defaultPolicy })
    expect(load("").writtenPolicies).toEqual({})
  })

  it("nothing a file could hold makes loading throw anything but a ConfigError", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const parsed = parseConfigText(JSON.stringify(value))
        if (!("locate" in parsed)) return
        const result = decodeConfig(parsed, "test")
        if (Either.isLeft(result)) expect(result.left.problems.length).toBeGreaterThan(0)
      }),
      { numRuns: 200 }
    )
  })

  it("whatever is no YAML is told with a place in the text", () => {
    const scraps = fc.constantFrom(
      ..."{}[]:,-*&!|>'\"\\%@`#?\t\n~".split(""),
      ...["node", ": ", "- ", "\n  ", "\n---\n", "&a ", "*a", "'", "a", "\\x"]
    )
    fc.assert(
      fc.property(fc.array(scraps, { maxLength: 24 }), (parts) => {
        const text = parts.join("")
        const parsed = parseConfigText(text)
        if ("locate" in parsed) return
        const lines = text.split("\n")
        expect(parsed.length).toBeGreaterThan(0)
        for (const { message, position } of parsed) {
          expect(message).not.toMatch(/undefined|\n/)
          expect(position?.line).toBeLessThanOrEqual(lines.length)
          expect(position?.column).toBeGreaterThan(0)
        }
      }),
      { numRuns: 1_000 }
    )
  })

  it("the JSON Schema refuses what is no service's name, also as a key of policies", () => {
    const { $defs } = JSON.parse(configJsonSchema())
    const { pattern } = $defs.NodeConfig.properties.policies.propertyNames
    for (const [name, right] of [
      ["payments", true],
      ["a-1", true],
      ["Pay", false],
      ["a.mesh", false],
      ["-a", false]
    ] as const) {
      expect(new RegExp(pattern).test(name), name).toBe(right)
    }
    expect($defs.UpstreamConfig.properties.service.pattern).toBe(pattern)
  })

  it("the published JSON Schema is the Schema's (mend: skein config schema > src/config/skein.schema.json)", () => {
    const published = readFileSync(join(import.meta.dirname, "skein.schema.json"), "utf8")
    expect(JSON.parse(published)).toEqual(JSON.parse(configJsonSchema()))
  })
})

describe("diffConfig", () => {
  const before = makeNodeConfig({
    services: [
      { name: "a", address: "127.0.0.1:1" },
      { name: "b", address: "127.0.0.1:2" }
    ],
    upstreams: [{ service: "x", listen: "127.0.0.1:20000" }],
    policies: { a: {} }
  })

  it("finds nothing between equals", () => {
    const diff = diffConfig(before, structuredClone(before))
    expect(describeChanges(diff)).toEqual([])
    expect(describeWarnings(diff)).toEqual([])
    expect(diff.effective).toEqual(before)
  })

  it("takes over what can change live and reports the rest", () => {
    const after = makeNodeConfig({
      node: { name: "renamed" },
      outbound: { listeners: [{ listen: "unix:/run/o.sock", as: "orders" }] },
      admin: "127.0.0.1:5",
      services: [
        { name: "b", address: "127.0.0.1:3" },
        { name: "c", address: "127.0.0.1:4" }
      ],
      upstreams: [{ service: "y", listen: "127.0.0.1:20000" }],
      policies: { a: { retry: "off" }, c: {} },
      telemetry: { sample: 1, otlp: "http://127.0.0.1:4318" },
      drain: { deadline: "5s" }
    })
    const diff = diffConfig(before, after)
    expect(describeChanges(diff)).toEqual([
      "service c added",
      "service a removed",
      "service b changed",
      "policy c added",
      "policy a changed",
      "upstream 127.0.0.1:20000 changed",
      "listener unix:/run/o.sock added",
      "telemetry.sample changed",
      "drain.deadline changed"
    ])
    expect(diff.restart).toEqual(["node.name", "admin", "telemetry.otlp"])
    expect(describeWarnings(diff)[0]).toBe(
      "node.name changed, which takes effect when the node is restarted"
    )
    expect(diff.effective).toEqual({
      ...after,
      node: before.node,
      admin: before.admin,
      telemetry: { ...before.telemetry, sample: 1 }
    })
  })
})
