import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { MeshViewReplica, type ServiceView, type ViewChange } from "../../model/MeshView.ts"
import { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { EndpointEntry, NodeRecord, Protocol, ServiceEntry } from "../../model/NodeRecord.ts"
import { Catalogue } from "./Catalogue.ts"
import { MeshViewBuilder as Builder, type MemberLookup } from "./MeshViewBuilder.ts"
import { nodeEntry, nodeKey } from "./RecordEntry.ts"

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

/** A builder that follows whole catalogues, and a replica that follows the builder. */
class MeshViewBuilder {
  memberOf: MemberLookup = alive
  readonly replica = new MeshViewReplica()
  readonly changes: Array<ViewChange> = []
  readonly #builder: Builder
  #catalogue = Catalogue.empty

  constructor(self: PeerKey) {
    this.#builder = new Builder(self, (peer) => this.memberOf(peer))
  }

  /** Without showing it yet. */
  hear(catalogue: Catalogue, memberOf: MemberLookup): void {
    this.memberOf = memberOf
    this.#builder.records(catalogue.changesSince(this.#catalogue))
    this.#catalogue = catalogue
    this.#builder.members([own!, a!, b!])
  }

  show(): void {
    const change = this.#builder.change(this.replica.current.version)
    if (change === undefined) return
    this.changes.push(change)
    this.replica.apply(structuredClone(change))
  }

  build(catalogue: Catalogue, memberOf: MemberLookup): ReadonlyMap<ServiceName, ServiceView> {
    this.hear(catalogue, memberOf)
    this.show()
    return new Map(this.replica.current.services)
  }

  get conflicts() {
    return this.#builder.conflicts
  }
}

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

test("says nothing when nothing of it changed", () => {
  const builder = new MeshViewBuilder(own!)
  const first = entry(a!, [offer(payments)])
  builder.build(catalogueOf(first), alive)
  builder.build(catalogueOf(first), alive)
  // Signed anew, with the same services.
  builder.build(catalogueOf(entry(a!, [offer(payments)])), alive)
  // There and back again within one turn.
  builder.hear(catalogueOf(entry(a!, [offer(orders)])), () => "dead")
  builder.build(catalogueOf(entry(a!, [offer(payments)])), alive)
  expect(builder.changes.length).toBe(1)
})

test("changes only the services that changed, and of those only the endpoints", () => {
  const builder = new MeshViewBuilder(own!)
  const [one, two] = [entry(a!, [offer(payments), offer(orders)]), entry(b!, [offer(payments)])]
  const before = builder.build(catalogueOf(one, two), alive)
  const sick = entry(b!, [offer(payments, [endpoint("0", { healthy: false })])])
  const after = builder.build(catalogueOf(one, sick), alive)
  const [said] = (builder.changes[1] as ViewChange).services
  expect(builder.changes[1]).toEqual({
    ...{ version: 2, since: 1, gone: [] },
    services: [{ ...{ name: payments, protocol: "http", removed: [] }, set: said!.set }]
  })
  expect(said!.set.map(({ key, healthy }) => [key, healthy])).toEqual([[`${b}/payments/0`, false]])
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

  test("nothing is said until one of them says otherwise", () => {
    const builder = new MeshViewBuilder(own!)
    builder.build(catalogueOf(saying(a!, "http"), saying(b!, "tcp", 9)), alive)
    builder.build(catalogueOf(saying(a!, "http"), saying(b!, "tcp", 9)), alive)
    expect(builder.changes.length).toBe(1)
    const agreed = builder.build(catalogueOf(saying(a!, "http"), saying(b!, "http", 9)), alive)
    expect(agreed.get(payments)!.leftOut).toBeUndefined()
    expect(agreed.get(payments)!.endpoints.length).toBe(2)
    expect(builder.conflicts).toEqual([])
  })
})

describe("whatever is said, in whatever order", () => {
  const all = [own!, a!, b!, ...["4", "5"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))]
  const services = ["payments", "orders", "ledger"].map((name) => ServiceName.make(name))
  const states = ["alive", "suspect", "dead", "left", undefined] as const
  const anyEndpoint = fc.record({
    id: fc.constantFrom("0", "1", "2", "10"),
    healthy: fc.boolean(),
    draining: fc.boolean(),
    weight: fc.constantFrom(1, 100)
  })
  const anyOffer = fc.record({
    name: fc.constantFrom(...services),
    protocol: fc.constantFrom("http" as const, "tcp" as const, "grpc" as const),
    endpoints: fc.uniqueArray(anyEndpoint, { maxLength: 4, selector: ({ id }) => id })
  })
  const anyEvent = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        what: fc.constant("record" as const),
        peer: fc.constantFrom(...all),
        offers: fc.uniqueArray(anyOffer, { maxLength: 3, selector: ({ name }) => name }),
        state: fc.constantFrom(
          "serving" as const,
          "serving" as const,
          "draining" as const,
          "left" as const
        ),
        epoch: fc.integer({ min: 1, max: 3 })
      })
    },
    fc.record({ what: fc.constant("forget" as const), peer: fc.constantFrom(...all) }),
    {
      weight: 3,
      arbitrary: fc.record({
        what: fc.constant("member" as const),
        peer: fc.constantFrom(...all),
        state: fc.constantFrom(...states)
      })
    },
    { weight: 3, arbitrary: fc.record({ what: fc.constant("show" as const) }) }
  )

  /** As this file's first version did it: everything anew, with nothing remembered. */
  const fromScratch = (catalogue: Catalogue, memberOf: MemberLookup) => {
    const offers = new Map<
      ServiceName,
      Array<{ said: Protocol; epoch: number; dead: boolean; views: Array<unknown> }>
    >()
    for (const { record } of catalogue.entries()) {
      const member = record.peer === own ? "alive" : (memberOf(record.peer) ?? "alive")
      if (record.state === "left" || member === "left") continue
      for (const { name, protocol, endpoints } of record.services) {
        const views = endpoints.map(({ id, draining, ...rest }) => ({
          ...{ key: `${record.peer}/${name}/${id}`, peer: record.peer, node: record.name },
          ...{ zone: record.zone, endpoint: id, ...rest, member, local: record.peer === own },
          draining: draining || record.state === "draining"
        }))
        const said = { said: protocol, epoch: record.epoch, dead: member === "dead", views }
        offers.set(name, [...(offers.get(name) ?? []), said])
      }
    }
    return new Map(
      Array.from(offers, ([name, given]) => {
        const living = given.filter(({ dead }) => !dead)
        const voters = living.length === 0 ? given : living
        const rank = (protocol: Protocol) => {
          const mine = voters.filter(({ said }) => said === protocol)
          return {
            protocol,
            count: mine.length,
            since: Math.min(...mine.map(({ epoch }) => epoch))
          }
        }
        const [best] = (["grpc", "http", "tcp"] as const)
          .map(rank)
          .sort((x, y) => y.count - x.count || x.since - y.since)
        const protocol = best!.protocol
        const byKey = (x: { key: string }, y: { key: string }) => (x.key < y.key ? -1 : 1)
        const of = (used: boolean) =>
          given
            .filter(({ said }) => (said === protocol) === used)
            .flatMap(({ said, views }) =>
              views.map((view) => ({ said, view: view as { key: string } }))
            )
            .sort((x, y) => byKey(x.view, y.view))
        const leftOut = of(false).map(({ said, view }) => ({ protocol: said, endpoint: view }))
        const endpoints = of(true).map(({ view }) => view)
        const torn = living.some(({ said }) => said !== protocol)
        return [
          name,
          {
            view: { name, protocol, endpoints, ...(leftOut.length === 0 ? {} : { leftOut }) },
            torn
          }
        ]
      })
    )
  }

  test("a replica has what is made from scratch, and what was held stays as it was", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 60 }), (events) => {
        const members = new Map<PeerKey, ReturnType<MemberLookup>>()
        const memberOf: MemberLookup = (peer) => members.get(peer)
        const builder = new Builder(own!, memberOf)
        const replica = new MeshViewReplica()
        const held: Array<readonly [ServiceView, ServiceView]> = []
        let catalogue = Catalogue.empty
        const follow = (next: Catalogue) => {
          builder.records(next.changesSince(catalogue))
          catalogue = next
        }
        const show = () => {
          const change = builder.change(replica.current.version)
          if (change !== undefined) replica.apply(structuredClone(change))
          const whole = fromScratch(catalogue, memberOf)
          expect(new Map(replica.current.services)).toEqual(
            new Map(Array.from(whole, ([name, { view }]) => [name, view]))
          )
          expect(builder.conflicts.map(({ service }) => service)).toEqual(
            Array.from(whole)
              .flatMap(([name, { torn }]) => (torn ? [name] : []))
              .sort()
          )
          for (const service of replica.current.services.values()) {
            held.push([service, structuredClone(service)])
          }
        }
        for (const event of events) {
          if (event.what === "show") show()
          else if (event.what === "forget") {
            follow(catalogue.without(nodeKey(event.peer)))
          } else if (event.what === "member") {
            members.set(event.peer, event.state)
            builder.members([event.peer])
          } else {
            const { peer, offers, state, epoch } = event
            follow(catalogue.without(nodeKey(peer)))
            follow(catalogue.merge(entry(peer, offers, state, epoch))[0])
          }
        }
        show()
        for (const [service, said] of held) expect(service).toEqual(said)
      })
    )
  })
})
