import { describe, expect, it } from "vitest"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { nodeEntry, nodeKey } from "../mesh/catalogue/RecordEntry.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import type { Bootstrap } from "./Bootstrap.ts"
import { LinkKeeper, smallMesh } from "./LinkKeeper.ts"

const peerOf = (n: number): PeerKey =>
  PeerKey.make(`${"1".repeat(20)}P${String(n + 1e5).replaceAll("0", "z")}`)
const self = peerOf(0)
const now = 1_790_000_000_000

class Fixture {
  catalogue = Catalogue.empty
  subjects: ReadonlyArray<PeerKey> = []
  readonly wanted = new Set<PeerKey>()
  readonly calls: Array<string> = []
  readonly keeper: LinkKeeper
  #version = 0
  #seen = Catalogue.empty

  constructor(bootstrap: Bootstrap = new Map(), isNewcomer = false) {
    this.keeper = new LinkKeeper({
      self,
      bootstrap,
      isNewcomer,
      ticker: { random: () => 0, wall: () => now },
      catalogue: () => this.catalogue,
      subjects: () => this.subjects,
      connections: {
        want: (peer, patience = 0) => {
          this.calls.push(patience === 0 ? `want ${peer}` : `expect ${peer} for ${patience}`)
          this.wanted.add(peer)
        },
        unwant: (peer) => {
          this.calls.push(`unwant ${peer}`)
          this.wanted.delete(peer)
        }
      }
    })
  }

  record(n: number, change: Partial<NodeRecord> = {}): this {
    const record: NodeRecord = {
      peer: peerOf(n),
      name: NodeName.make(`host-${n}`),
      addresses: [`/ip4/10.0.0.${n}/tcp/1`],
      epoch: 1,
      version: this.#version++,
      signedAt: 1,
      state: "serving",
      services: [],
      software: "1",
      ...change
    }
    const bytes = new TextEncoder().encode(JSON.stringify(record))
    this.catalogue = this.catalogue.merge(nodeEntry(record, [], bytes))[0]
    return this
  }

  records(count: number): this {
    for (let n = 0; n < count; n++) this.record(n)
    return this
  }

  follow(): ReadonlyArray<PeerKey> {
    this.calls.length = 0
    this.keeper.followRecords(this.catalogue.changesSince(this.#seen))
    this.#seen = this.catalogue
    this.keeper.follow()
    return [...this.wanted].sort()
  }
}

const peers = (...numbers: ReadonlyArray<number>) => numbers.map(peerOf).sort()

describe("LinkKeeper", () => {
  it("looks at nothing when a record comes in which only the services are new", () => {
    const mesh = new Fixture().records(smallMesh + 2)
    let looks = 0
    Object.defineProperty(mesh, "subjects", {
      get: () => {
        looks++
        return peers(1, 2)
      }
    })
    expect(mesh.follow()).toEqual(peers(1, 2))
    looks = 0
    const before = mesh.catalogue
    mesh.keeper.followRecords(mesh.record(1).catalogue.changesSince(before))
    expect(looks).toBe(0)
    const then = mesh.catalogue
    mesh.keeper.followRecords(mesh.record(1, { state: "left" }).catalogue.changesSince(then))
    expect(looks).toBe(1)
    expect([...mesh.wanted]).toEqual(peers(2))
  })

  it("leaves a node that drains alone until it serves again, but knows where it is", () => {
    const mesh = new Fixture(new Map([[peerOf(2), ["/ip4/10.0.0.2/tcp/1"]]])).records(3)
    expect(mesh.follow()).toEqual(peers(1, 2))
    mesh.record(2, { state: "draining" })
    expect(mesh.follow()).toEqual(peers(1))
    expect(mesh.keeper.addressesOf(peerOf(2))).toEqual(["/ip4/10.0.0.2/tcp/1"])
    mesh.record(2)
    expect(mesh.follow()).toEqual(peers(1, 2))
  })

  it("links a mesh in which everybody observes everybody fully, but not the node to itself", () => {
    const mesh = new Fixture().records(smallMesh)
    expect(mesh.follow().length).toBe(smallMesh - 1)
    expect(mesh.wanted.has(self)).toBe(false)
  })

  it("links only those it observes in a larger one, and follows when they change", () => {
    const mesh = new Fixture().records(smallMesh)
    mesh.follow()
    mesh.record(smallMesh)
    mesh.subjects = [peerOf(3), peerOf(5)]
    expect(mesh.follow()).toEqual(peers(3, 5))
    mesh.subjects = [peerOf(5), peerOf(smallMesh)]
    expect(mesh.follow()).toEqual(peers(5, smallMesh))
    expect(mesh.calls.sort()).toEqual([`unwant ${peerOf(3)}`, `want ${peerOf(smallMesh)}`].sort())
  })

  it("leaves it to who has just started to dial first", () => {
    const mesh = new Fixture().records(3)
    mesh.follow()
    mesh.record(3, { epoch: now - 100 }).follow()
    expect(mesh.calls).toEqual([`expect ${peerOf(3)} for 1000`])
  })

  it("says nothing twice", () => {
    const mesh = new Fixture().records(4)
    mesh.follow()
    mesh.follow()
    expect(mesh.calls).toEqual([])
  })

  it("lets go of nodes that have left or are forgotten", () => {
    const mesh = new Fixture().records(4)
    mesh.follow()
    expect(mesh.record(2, { state: "left" }).follow()).toEqual(peers(1, 3))
    mesh.catalogue = mesh.catalogue.without(nodeKey(peerOf(3)))
    expect(mesh.follow()).toEqual(peers(1))
  })

  it("knocks where the token said, until the mesh is large or that node has left", () => {
    const mesh = new Fixture(new Map([[peerOf(9), ["/ip4/10.9.9.9/tcp/9"]]])).records(1)
    expect(mesh.follow()).toEqual(peers(9))
    expect(mesh.keeper.addressesOf(peerOf(9))).toEqual(["/ip4/10.9.9.9/tcp/9"])
    expect(mesh.record(9, { state: "left" }).follow()).toEqual([])
    expect(mesh.keeper.addressesOf(peerOf(9))).toEqual([])
    const large = new Fixture(new Map([[peerOf(999), ["/ip4/10.9.9.9/tcp/9"]]]))
    expect(large.records(smallMesh + 1).follow()).toEqual([])
  })

  it("knocks at one door after the other, as a newcomer, until it knows who is there", () => {
    const places = [7, 8, 9].map((n) => [peerOf(n), [`/ip4/10.0.0.${n}/tcp/1`]] as const)
    const mesh = new Fixture(new Map(places), true)
    expect(mesh.follow()).toEqual(peers(7))
    mesh.keeper.knockFurther()
    expect([...mesh.wanted]).toEqual(peers(7, 8))
    mesh.record(8).record(3).follow()
    mesh.keeper.settle()
    expect([...mesh.wanted].sort()).toEqual(peers(3, 7, 8, 9))
  })

  it("has the addresses as the record says now, and then those of the token", () => {
    const mesh = new Fixture(new Map([[peerOf(1), ["/ip4/10.9.9.9/tcp/9"]]])).records(2)
    mesh.follow()
    const addresses = () => mesh.keeper.addressesOf(peerOf(1))
    expect(addresses()).toEqual(["/ip4/10.0.0.1/tcp/1", "/ip4/10.9.9.9/tcp/9"])
    mesh.record(1, { addresses: ["/ip4/10.9.9.9/tcp/9", "/ip4/10.0.0.2/tcp/2"] })
    expect(addresses()).toEqual(["/ip4/10.9.9.9/tcp/9", "/ip4/10.0.0.2/tcp/2"])
  })
})

// Members are tried for forever: who announces such an address and goes away has it dialled by everybody.
it("an address that means the link of this host alone is dialled for nobody", () => {
  const hostile = ["/ip4/169.254.169.254/tcp/80", "/ip6/fe80::1/tcp/80", "/ip4/10.0.0.1/tcp/1"]
  const { keeper } = new Fixture().record(1, { addresses: hostile })
  expect(keeper.addressesOf(peerOf(1))).toEqual(["/ip4/10.0.0.1/tcp/1"])
})
