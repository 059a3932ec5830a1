import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import type { AccessSetting } from "../model/Access.ts"
import { AccessBody, type AccessBodyInput, accessSetting } from "../schema/AccessSchema.ts"
import { type LintFacts, lintAccess } from "./AccessLint.ts"

const decode = Schema.decodeSync(AccessBody)
const setting = (name: string, body: AccessBodyInput): AccessSetting =>
  accessSetting(name, decode(body))

const facts: LintFacts = {
  services: new Map([
    ["payments", "http"],
    ["ledger", "tcp"]
  ]),
  counted: new Map(),
  used: new Map()
}

const lint = (
  bodies: Readonly<Record<string, AccessBodyInput>>,
  change: Partial<LintFacts> = {}
): ReadonlyArray<string> =>
  lintAccess(
    Object.entries(bodies).map(([name, body]) => setting(name, body)),
    { ...facts, ...change }
  ).map(({ kind, message, rule }) => `${kind} ${rule}: ${message}`)

const service = "payments"

describe("lint", () => {
  it("says nothing of rules that each say something", () => {
    const allow = [
      { from: "orders", methods: "POST", path: "/charge" },
      { from: "host/ops-*", methods: "GET" }
    ]
    const deny = [{ from: "host/ops-9" }]
    expect(lint({ a: { service, allow, deny }, default: { default: "deny" } })).toEqual([])
  })

  it.each<[AccessBodyInput["allow"], string]>([
    [[{ from: "shop-*" }, { from: "shop-a", path: "/a" }], "shadowed a.allow[1]: a.allow[0]"],
    [[{ from: "shop-a", path: "/a" }, { from: "shop-*" }], "shadowed a.allow[0]: a.allow[1]"],
    [[{ from: "orders" }, { from: "orders" }], "shadowed a.allow[1]: a.allow[0]"],
    [
      [
        { from: "orders", path: "/a/*" },
        { from: "orders", path: ["/a/b", "/a/{id}/c"], methods: "GET" }
      ],
      "shadowed a.allow[1]: a.allow[0]"
    ],
    [
      [
        { from: "*", headers: { "x-a": "b*" } },
        { from: "host/a", headers: { "x-a": "bc", "x-d": "*" }, port: 80 }
      ],
      "shadowed a.allow[1]: a.allow[0]"
    ],
    [
      [
        { from: "orders", grpc: "a.B" },
        { from: "orders", grpc: "a.B/C" }
      ],
      "shadowed a.allow[1]"
    ]
  ])("finds what another says already: %j", (allow, found) => {
    const findings = lint({ a: { service, allow } })
    expect(findings).toHaveLength(1)
    expect(findings[0]).toContain(found)
  })

  it.each<[AccessBodyInput["allow"]]>([
    [[{ from: "shop-a" }, { from: "shop-b" }]],
    [
      [
        { from: "orders", path: "/a/*" },
        { from: "orders", path: "/a" }
      ]
    ],
    [
      [
        { from: "orders", methods: ["GET"] },
        { from: "orders", path: "/a" }
      ]
    ],
    [
      [
        { from: "orders", headers: { "x-a": "b" } },
        { from: "orders", headers: { "x-a": "c*" } }
      ]
    ],
    [
      [
        { from: "orders", grpc: "a.B/C" },
        { from: "orders", grpc: "a.C" }
      ]
    ],
    [
      [
        { from: "orders", port: 80 },
        { from: "orders", port: [81, 82] }
      ]
    ]
  ])("finds nothing where each meets something of its own: %j", (allow) => {
    expect(lint({ a: { service, allow } })).toEqual([])
  })

  it("finds what is denied whole, over settings, but not by what is in audit", () => {
    const allow = [{ from: "orders", path: "/charge" }]
    const deny = [{ from: "*", path: "/*" }]
    expect(lint({ a: { service, allow }, b: { service, deny } })).toEqual([
      "unreachable a.allow[0]: b.deny[0] denies all that it allows, and a deny rule wins: take one of them out"
    ])
    expect(lint({ a: { service, allow }, b: { service, mode: "audit", deny } })).toEqual([])
  })

  it("finds rules about HTTP of services that speak TCP", () => {
    const allow = [
      { from: "orders", path: "/a" },
      { from: "web", methods: "CONNECT" }
    ]
    expect(lint({ a: { service: "ledger", allow } })).toEqual([
      "unreachable a.allow[0]: ledger speaks TCP, where nobody sees methods, paths or headers: leave them out"
    ])
  })

  it("finds services that nobody offers, and those that are closed by what only denies", () => {
    expect(lint({ a: { service: "paymnets", allow: [] } })).toEqual([
      "unknown a: no node offers paymnets: is it spelt right?"
    ])
    const deny = [{ from: "web" }]
    expect(lint({ a: { service, deny } })).toEqual([
      "closed a: nobody may call payments: a rule names it, and none allows anything"
    ])
    expect(lint({ a: { service, deny }, b: { service: "*", allow: [{ from: "*" }] } })).toEqual([])
    expect(lint({ a: { service, allow: [] } })).toEqual([])
  })

  it("finds what no call has met, of services whose nodes have said so", () => {
    const allow = [{ from: "orders" }, { from: "web" }]
    const used = new Map([["a.allow[0]", 7]])
    expect(lint({ a: { service, allow } }, { used })).toEqual([])
    expect(lint({ a: { service, allow } }, { used, counted: new Map([[service, 2]]) })).toEqual([
      "unused a.allow[1]: no call to payments (2 nodes) has met it since it is held: is it needed?"
    ])
  })
})
