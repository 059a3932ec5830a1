import { describe, expect, it } from "vitest"
import { type Caller, hostCaller, serviceCaller } from "../../model/Caller.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { SessionFacts } from "../../model/Session.ts"
import { httpCall } from "../../testing/LinkTestPair.ts"
import { SpeakingRights } from "./SpeakingRights.ts"

const self = { peer: PeerKey.make("12D3KooWAAAAAAAAAAAAAAAAAAAA"), node: "host-a" }
const bob = PeerKey.make("12D3KooWBBBBBBBBBBBBBBBBBBBB")
const orders = serviceCaller(ServiceName.make("orders"))

const make = (ofBob: SessionFacts | undefined) => {
  const facts = { current: ofBob }
  const sut = new SpeakingRights({
    self,
    factsOf: (peer) => (peer === bob ? facts.current : undefined),
    nameOf: (peer) => (peer === bob ? "host-b" : peer)
  })
  const refusal = (identity: Caller, caller = bob) =>
    sut.refusal({ ...httpCall(), caller, identity })
  return { sut, facts, refusal }
}

describe("speaking rights", () => {
  it("let a host speak as itself, whatever its certificate says", () => {
    const { refusal } = make(undefined)
    expect(refusal(hostCaller(NodeName.make("host-b")))).toBeUndefined()
  })

  it.each<[ReadonlyArray<string>, ReadonlyArray<string>, boolean]>([
    [[], [], false],
    [["orders"], [], true],
    [[], ["orders"], true],
    [["order"], ["orders-*"], false],
    [["pay"], ["ord*"], true],
    [["*"], [], true]
  ])("of a node that may offer %j and speak for %j: orders %s", (services, speaks, expected) => {
    const { refusal } = make({ services, speaks })
    expect(refusal(orders) === undefined).toBe(expected)
    expect(refusal(orders) === undefined).toBe(expected)
  })

  it("name the node, whom it speaks for, and what it holds", () => {
    const { refusal } = make({ services: ["payments"], speaks: ["shop-*"] })
    expect(refusal(orders)).toEqual({
      code: "denied",
      message:
        "node host-b may not speak for orders: its certificate grants speaking for payments, shop-*; an invite with --as orders gives a node that right",
      node: "host-a",
      service: httpCall().service,
      sent: false
    })
    const many = Array.from({ length: 10 }, (_, i) => `s${i}`)
    expect(make({ services: many, speaks: [] }).refusal(orders)?.message).toMatch(/ s7 and 2 more;/)
    expect(make(undefined).refusal(orders)?.message).toMatch(/grants speaking for no service;/)
  })

  it("follow what is granted, and are each node's own", () => {
    const { sut, facts, refusal } = make({ services: ["orders"], speaks: [] })
    expect(refusal(orders)).toBeUndefined()
    expect(refusal(orders, self.peer)?.message).toMatch(/^node .* may not speak for orders/)
    sut.own = { services: [], speaks: ["orders"] }
    expect(refusal(orders, self.peer)).toBeUndefined()
    facts.current = { services: ["web"], speaks: [] }
    expect(refusal(orders)?.code).toBe("denied")
    expect(refusal(orders, self.peer)).toBeUndefined()
  })

  it("are of this mesh: nobody speaks for another's services", () => {
    const { refusal } = make({ services: ["*"], speaks: ["*"] })
    expect(refusal({ ...orders, mesh: MeshId.make("0".repeat(32)) })?.code).toBe("denied")
  })
})
