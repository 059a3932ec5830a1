import { describe, expect, test } from "vitest"
import { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { EndpointEntry, NodeRecord, Protocol, ServiceEntry } from "../../model/NodeRecord.ts"
import { Catalogue } from "./Catalogue.ts"
import { type MemberLookup, MeshViewBuilder } from "./MeshViewBuilder.ts"
import { nodeEntry } from "./RecordEntry.ts"

const [own, a, b] = ["1", "2", "3"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))
const payments = ServiceName.make("payments")
const orders = ServiceName.make("orders")

const endpoint = (id = "0", change: Partial<EndpointEntry> = {}): EndpointEntry => ({
  id,
  healthy: true,
  draining: false,
  weight: 100,
  ...change
})

const offer = (
  name: ServiceName,
  endpoints: ReadonlyArray<EndpointEntry> = [endpoint()],
  protocol: Protocol = "http"
): ServiceEntry => ({ name, protocol, endpoints })

let version = 0
const entry = (
  peer: PeerKey,
  services: ReadonlyArray<ServiceEntry>,
  state: NodeRecord["state"] = "serving",
  epoch = 1
) => {
  const record: NodeRecord = {
    peer,
    name: NodeName.make(`host-${peer.slice(-1)}`),
    zone: "eu/1a",
    addresses: [],
    epoch,
    version: version++,
    signedAt: 1,
    state,
    services,
    software: "skein/test"
  }
  return nodeEntry(record, [], new TextEncoder().encode(JSON.stringify(record)))
}

const catalogueOf = (...entries: ReadonlyArray<ReturnType<typeof entry>>) =>
  entries.reduce((catalogue, next) => catalogue.merge(next)[0], Catalogue.empty)

const alive: MemberLookup = () => "alive"

test("shows every endpoint of every node under its service", () => {
  const builder = new MeshViewBuilder(own!)
  const view = builder.build(
    catalogueOf(
      entry(own!, [offer(payments)]),
      entry(a!, [offer(payments, [endpoint("0"), endpoint("1", { healthy: false })])]),
      entry(b!, [offer(orders)])
    ),
    alive
  )
  expect(Array.from(view.keys()).sort()).toEqual(["orders", "payments"])
  const seen = view.get(payments)!.endpoints
  expect(seen.map(({ key, healthy, local }) => ({ key, healthy, local }))).toEqual([
    { key: `${own}/payments/0`, healthy: true, local: true },
    { key: `${a}/payments/0`, healthy: true, local: false },
    { key: `${a}/payments/1`, healthy: false, local: false }
  ])
  expect(seen[1]).toMatchObject({ node: "host-2", zone: "eu/1a", member: "alive", weight: 100 })
})

test("a draining node drains all its endpoints; one that left has none", () => {
  const builder = new MeshViewBuilder(own!)
  const view = builder.build(
    catalogueOf(
      entry(a!, [offer(payments, [endpoint("0"), endpoint("1", { draining: true })])], "draining"),
      entry(b!, [offer(payments)], "left")
    ),
    alive
  )
  expect(view.get(payments)!.endpoints.map(({ draining }) => draining)).toEqual([true, true])
})

test("takes a node's state from membership, and one it has not judged as alive", () => {
  const builder = new MeshViewBuilder(own!)
  const catalogue = catalogueOf(
    entry(own!, [offer(orders)]),
    entry(a!, [offer(payments)]),
    entry(b!, [offer(payments)])
  )
  const view = builder.build(catalogue, (peer) => (peer === a ? "dead" : undefined))
  expect(view.get(payments)!.endpoints.map(({ member }) => member)).toEqual(["dead", "alive"])
  // Whatever others say, we are here.
  const own2 = builder.build(catalogue, () => "left")
  expect(Array.from(own2.keys())).toEqual(["orders"])
  expect(own2.get(orders)!.endpoints.map(({ member }) => member)).toEqual(["alive"])
})

test("gives the very same view when nothing of it changed", () => {
  const builder = new MeshViewBuilder(own!)
  const first = entry(a!, [offer(payments)])
  const view = builder.build(catalogueOf(first), alive)
  expect(builder.build(catalogueOf(first), alive)).toBe(view)
  // Signed anew, with the same services.
  expect(builder.build(catalogueOf(entry(a!, [offer(payments)])), alive)).toBe(view)
})

test("changes only the services that changed, and of those only the endpoints", () => {
  const builder = new MeshViewBuilder(own!)
  const [one, two] = [entry(a!, [offer(payments), offer(orders)]), entry(b!, [offer(payments)])]
  const before = builder.build(catalogueOf(one, two), alive)
  const sick = entry(b!, [offer(payments, [endpoint("0", { healthy: false })])])
  const after = builder.build(catalogueOf(one, sick), alive)
  expect(after).not.toBe(before)
  expect(after.get(orders)).toBe(before.get(orders))
  expect(after.get(payments)).not.toBe(before.get(payments))
  expect(after.get(payments)!.endpoints[0]).toBe(before.get(payments)!.endpoints[0])
  expect(after.get(payments)!.endpoints[1]!.healthy).toBe(false)
})

test("forgets a node that is no longer in the catalogue", () => {
  const builder = new MeshViewBuilder(own!)
  builder.build(catalogueOf(entry(a!, [offer(payments)])), alive)
  expect(builder.build(Catalogue.empty, alive).size).toBe(0)
})

describe("where nodes differ about the protocol", () => {
  const saying = (peer: PeerKey, protocol: Protocol, epoch = 1) =>
    entry(peer, [offer(payments, [endpoint()], protocol)], "serving", epoch)

  test("most of them decide, and the rest is left out, told with who says what", () => {
    const builder = new MeshViewBuilder(own!)
    const view = builder.build(
      catalogueOf(
        entry(own!, [offer(payments, [endpoint()], "grpc")]),
        entry(a!, [offer(payments, [endpoint("0"), endpoint("1")], "tcp")]),
        entry(b!, [offer(payments, [endpoint()], "grpc")])
      ),
      alive
    )
    expect(view.get(payments)).toMatchObject({ protocol: "grpc" })
    expect(view.get(payments)!.endpoints.map(({ peer }) => peer)).toEqual([own, b])
    expect(view.get(payments)!.leftOut).toMatchObject([
      { protocol: "tcp", endpoint: { key: `${a}/payments/0`, node: "host-2" } },
      { protocol: "tcp", endpoint: { key: `${a}/payments/1`, node: "host-2" } }
    ])
    expect(builder.conflicts).toEqual([
      {
        service: "payments",
        used: "grpc",
        said: [
          { node: "host-1", protocol: "grpc" },
          { node: "host-2", protocol: "tcp" },
          { node: "host-3", protocol: "grpc" }
        ]
      }
    ])
  })

  test("a newcomer does not take over what one other says", () => {
    for (const [older, newer] of [
      ["tcp", "http"],
      ["http", "tcp"]
    ] as const) {
      for (const [first, second] of [
        [a!, b!],
        [b!, a!]
      ] as const) {
        const entries = [saying(first, older, 100), saying(second, newer, 200)]
        for (const inOrder of [entries, entries.toReversed()]) {
          const view = new MeshViewBuilder(own!).build(catalogueOf(...inOrder), alive)
          expect(view.get(payments)).toMatchObject({ protocol: older })
        }
      }
    }
  })

  test("the dead have no say, unless all are dead", () => {
    const catalogue = catalogueOf(saying(own!, "http", 300), saying(a!, "tcp"), saying(b!, "tcp"))
    const of = (memberOf: MemberLookup, self = own!) =>
      new MeshViewBuilder(self).build(catalogue, memberOf).get(payments)!.protocol
    expect(of(alive)).toBe("tcp")
    expect(of((peer) => (peer === own ? "alive" : "dead"))).toBe("http")
    const replaced = new MeshViewBuilder(own!)
    replaced.build(catalogue, (peer) => (peer === own ? "alive" : "dead"))
    expect(replaced.conflicts).toEqual([])
    expect(of(() => "dead", PeerKey.make("12D3KooWPeerPeerPeer9"))).toBe("tcp")
  })

  test("the view stays the same object until one of them says otherwise", () => {
    const builder = new MeshViewBuilder(own!)
    const view = builder.build(catalogueOf(saying(a!, "http"), saying(b!, "tcp", 9)), alive)
    expect(builder.build(catalogueOf(saying(a!, "http"), saying(b!, "tcp", 9)), alive)).toBe(view)
    const agreed = builder.build(catalogueOf(saying(a!, "http"), saying(b!, "http", 9)), alive)
    expect(agreed.get(payments)!.leftOut).toBeUndefined()
    expect(agreed.get(payments)!.endpoints.length).toBe(2)
    expect(builder.conflicts).toEqual([])
  })
})
