import { expect, test } from "vitest"
import { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { findInMesh, maxTold } from "./MeshFindings.ts"
import type { MemberLookup } from "./MeshViewBuilder.ts"
import { type NodeEntry, nodeEntry } from "./RecordEntry.ts"

const payments = ServiceName.make("payments")

/** The node host-<n>, with an address of its own. */
const entry = (
  n: number,
  change: Partial<NodeRecord> = {},
  withheld: ReadonlyArray<ServiceName> = []
): NodeEntry => {
  const record: NodeRecord = {
    peer: PeerKey.make(`12D3KooWPeerPeerPeer${String(n).replaceAll("0", "x")}`),
    name: NodeName.make(`host-${n}`),
    addresses: [`/ip4/192.0.2.${n}/tcp/4001`],
    epoch: 1,
    version: 1,
    signedAt: 1,
    state: "serving",
    services: [],
    software: "skein/test",
    ...change
  }
  return nodeEntry(record, withheld, new Uint8Array([n]))
}

const alive: MemberLookup = () => "alive"
const find = (entries: ReadonlyArray<NodeEntry>, memberOf = alive) =>
  findInMesh({ entries, memberOf, conflicts: [] })

test("nothing is wrong with nodes that agree", () => {
  expect(find([entry(1), entry(2)])).toEqual([])
})

test("a conflict names the service, who says what, who gets no calls, and the mend", () => {
  const said = [1, 2, 3].map((n) => ({
    node: NodeName.make(`host-${n}`),
    protocol: n === 2 ? ("tcp" as const) : ("http" as const)
  }))
  const conflicts = [{ service: payments, used: "http" as const, said }]
  expect(findInMesh({ entries: [], memberOf: alive, conflicts })).toEqual([
    {
      kind: "protocol_conflict",
      service: "payments",
      nodes: ["host-2"],
      message:
        "payments is http on host-1, host-3, but tcp on host-2: calls use http, and host-2 gets none",
      hint: "Set protocol of payments in the config of host-2 to http and reload, or give what differs a name of its own."
    }
  ])
})

test("what a certificate does not grant", () => {
  expect(find([entry(1, {}, [payments])])).toMatchObject([
    {
      kind: "service_not_granted",
      service: "payments",
      nodes: ["host-1"],
      message:
        "host-1 offers payments, which its certificate does not grant: no node sends calls there"
    }
  ])
})

test("two nodes of one name, two of one address", () => {
  const twin = NodeName.make("host-1")
  expect(find([entry(1), entry(2, { name: twin })])).toMatchObject([
    { kind: "name_not_unique", nodes: ["host-1", "host-1"] }
  ])
  const addresses = ["/ip4/10.0.0.1/tcp/4001", "/ip4/172.17.0.1/tcp/4001"]
  expect(
    find([entry(1, { addresses }), entry(2, { addresses: addresses.toReversed() })])
  ).toMatchObject([
    {
      kind: "address_not_unique",
      nodes: ["host-1", "host-2"],
      message:
        "host-1, host-2 announce the same addresses (/ip4/10.0.0.1/tcp/4001, /ip4/172.17.0.1/tcp/4001): one of them cannot be reached"
    }
  ])
})

test("a private address that is on every host is no trouble, and neither is none at all", () => {
  const bridge = "/ip4/172.17.0.1/tcp/4001"
  const hosts = [1, 2].map((n) => entry(n, { addresses: [`/ip4/192.0.2.${n}/tcp/4001`, bridge] }))
  expect(find([...hosts, entry(3, { addresses: [] }), entry(4, { addresses: [] })])).toEqual([])
})

test("who is dead or has left contradicts nobody", () => {
  const twin = entry(2, { name: NodeName.make("host-1") }, [payments])
  expect(find([entry(1), twin], (peer) => (peer === twin.record.peer ? "dead" : "alive"))).toEqual(
    []
  )
  expect(find([entry(1), entry(2, { name: NodeName.make("host-1"), state: "left" })])).toEqual([])
})

test("one mistake many times is told so often at most, with so many names", () => {
  const many = Array.from({ length: 100 }, (_, n) => entry(n + 1, {}, [payments]))
  expect(find(many).length).toBe(maxTold)
  const same = Array.from({ length: 100 }, (_, n) => entry(n + 1, { addresses: ["/ip4/10.0.0.1"] }))
  expect(find(same)[0]?.message).toMatch(/^host-\d+(, host-\d+){4} and 95 more announce/)
})
