import * as fc from "fast-check"
import { expect, test } from "vitest"
import { NodeName, type PeerKey as Peer, PeerKey, ServiceName } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { type MeshFinding, MeshFindings, maxTold } from "./MeshFindings.ts"
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
const added = (entries: ReadonlyArray<NodeEntry>) =>
  entries.map((after) => ({ before: undefined, after }))
const find = (entries: ReadonlyArray<NodeEntry>, memberOf = alive): ReadonlyArray<MeshFinding> => {
  const findings = new MeshFindings(memberOf)
  findings.records(added(entries))
  return findings.all([])
}

test("nothing is wrong with nodes that agree", () => {
  expect(find([entry(1), entry(2)])).toEqual([])
})

test("a conflict names the service, who says what, who gets no calls, and the mend", () => {
  const said = [1, 2, 3].map((n) => ({
    node: NodeName.make(`host-${n}`),
    protocol: n === 2 ? ("tcp" as const) : ("http" as const)
  }))
  const conflicts = [{ service: payments, used: "http" as const, said }]
  expect(new MeshFindings(alive).all(conflicts)).toEqual([
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

test("what was said and taken back leaves nothing: it is as if all were looked at anew", () => {
  const orders = ServiceName.make("orders")
  const anyEntry = fc
    .record({
      n: fc.integer({ min: 1, max: 5 }),
      name: fc.constantFrom("host-1", "host-2", "host-9"),
      address: fc.option(fc.constantFrom("/ip4/10.0.0.1", "/ip4/10.0.0.2")),
      state: fc.constantFrom("serving" as const, "draining" as const, "left" as const),
      withheld: fc.subarray([payments, orders])
    })
    .map(({ n, name, address, state, withheld }) => {
      const addresses = address === null ? [] : [address]
      return entry(n, { name: NodeName.make(name), addresses, state }, withheld)
    })
  const anyEvent = fc.oneof(
    fc.record({ said: anyEntry }),
    fc.record({ forgotten: anyEntry }),
    fc.record({ judged: anyEntry, as: fc.constantFrom("alive", "dead", undefined) })
  )
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      const held = new Map<Peer, NodeEntry>()
      const states = new Map<Peer, ReturnType<MemberLookup>>()
      const memberOf: MemberLookup = (peer) => states.get(peer)
      const findings = new MeshFindings(memberOf)
      for (const event of events) {
        if ("said" in event) {
          const { peer } = event.said.record
          findings.records([{ before: held.get(peer), after: event.said }])
          held.set(peer, event.said)
        } else if ("forgotten" in event) {
          const before = held.get(event.forgotten.record.peer)
          findings.records([{ before, after: undefined }])
          held.delete(event.forgotten.record.peer)
        } else {
          const { peer } = event.judged.record
          states.set(peer, event.as as ReturnType<MemberLookup>)
          findings.members([peer])
        }
        const anew = new MeshFindings(memberOf)
        anew.records(added([...held.values()]))
        expect(findings.all([])).toEqual(anew.all([]))
        for (const service of [payments, orders]) {
          const may = [...held.values()].filter(
            ({ record, withheld }) => record.state !== "left" && withheld.includes(service)
          )
          const names = may.map(({ record }) => record.name)
          const named = findings.withholder(service)
          expect(named === undefined ? names : names.includes(named)).toEqual(
            named === undefined ? [] : true
          )
        }
      }
    })
  )
})
