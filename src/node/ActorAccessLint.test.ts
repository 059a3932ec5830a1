import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import type { AccessSetting } from "../model/Access.ts"
import { NodeName, ServiceName } from "../model/Names.ts"
import { AccessBody, type AccessBodyInput, accessSetting } from "../schema/AccessSchema.ts"
import { endpointView, serviceView } from "../testing/OutboundFixture.ts"
import { lintActors } from "./ActorAccessLint.ts"
import type { KnownNode } from "./CallerStanding.ts"

const decode = Schema.decodeSync(AccessBody)
const setting = (name: string, body: AccessBodyInput): AccessSetting =>
  accessSetting(name, decode(body))

const host = (letter: string, endpoint: string) =>
  endpointView(letter, { endpoint, node: NodeName.make(`host-${letter}`) })
const cart = serviceView(
  [host("a", "program-00000000000a"), host("b", "program-00000000000b")],
  "http",
  ServiceName.make("actor-cart")
)
const grants = { services: ["actor-cart"], speaks: ["carts"] }
const known: ReadonlyArray<KnownNode> = ["host-a", "host-b"].map((node) => ({
  ...{ node: NodeName.make(node), rights: grants }
}))

const lint = (body: AccessBodyInput, service = cart, nodes = known) =>
  lintActors([setting("cart", body)], [service], nodes)

const service = "actor-cart"
const shop = { from: "shop" }
const release = { methods: "PUT", path: ["/.release", "/.merge"] } as const

describe("rules about actors", () => {
  it("are told of where they keep the hosts of a type apart, and what to write", () => {
    expect(lint({ service, allow: [shop, { from: "host/host-b", ...release }] })).toEqual([
      {
        kind: "closed",
        rule: "cart",
        message:
          "hosts of actor-cart ask each other for shards by PUT /.release, and host-a may not (no rule allows it, and cart names actor-cart): actors wait for 10 s when they move, and those that are not leased may run twice. Allow them { from: [ host/host-a ], methods: [ PUT ], path: [ /.release, /.merge ] }, or in place of a host the service that programs.as says there"
      }
    ])
    const closed: ReadonlyArray<AccessBodyInput> = [
      { service, allow: [] },
      { service, mode: "audit", allow: [shop] },
      { service, allow: [{ from: "*", methods: "POST" }] },
      { service, allow: [{ from: "*" }], deny: [{ from: "*", path: "/.release" }] },
      { default: "deny" }
    ]
    for (const body of closed) {
      const [found] = lint(body)
      expect(found?.message).toContain("and host-a, host-b may not")
      expect(found?.rule).toBe("default" in body ? "default" : "cart")
    }
  })

  it("are not told of where each host may ask, in its own name or in one that its programs may have", () => {
    const open: ReadonlyArray<AccessBodyInput> = [
      { service, allow: [shop, { from: "host/host-*", ...release }] },
      { service, allow: [shop, { from: "carts", ...release }] },
      { service, allow: [shop, { from: "carts" }] },
      { service, allow: [{ from: "*" }] },
      { service: "payments", allow: [shop] },
      { default: "allow" }
    ]
    for (const body of open) expect(lint(body)).toEqual([])
    expect(lintActors([], [cart], known)).toEqual([])
  })

  it("are told of at a node that may speak for any service, which its callers are not for that", () => {
    const any = known.map(({ node }) => ({ node, rights: { services: ["*"], speaks: [] } }))
    expect(lint({ service, allow: [shop] }, cart, any)).toHaveLength(1)
    expect(lint({ service, allow: [shop, { from: "carts", ...release }] }, cart, any)).toEqual([])
  })

  it("are not told of services that run none, nor of hosts of which nothing is known", () => {
    const named = { ...cart, endpoints: [host("a", "0")] }
    expect(lint({ service, allow: [shop] }, named)).toEqual([])
    expect(lint({ service, allow: [shop] }, cart, [])).toEqual([])
  })
})
