import { expect, test } from "vitest"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import { MeshMet } from "./MeshMet.ts"

const peerOf = (index: number) => PeerKey.make(`12D3KooWPeer${"A".repeat(10)}${index}`)
const [self, inviter] = [peerOf(1), peerOf(2)] as const

const entryOf = (index: number, state: "serving" | "left" = "serving") => {
  const record = {
    ...{ peer: peerOf(index), addresses: [], services: [], state },
    ...{ name: NodeName.make(`host-${index}`), software: "skein/test" },
    ...{ epoch: 1, version: 0, signedAt: 1 }
  }
  return nodeEntry(record, [], new TextEncoder().encode(JSON.stringify(record)))
}

const withNodes = (...entries: ReadonlyArray<ReturnType<typeof entryOf>>) =>
  entries.reduce((catalogue, entry) => catalogue.merge(entry)[0], Catalogue.empty)

const make = (catalogue: Catalogue, bootstrap: ReadonlyArray<PeerKey>) => {
  const world = { catalogue, now: 0 }
  const met = new MeshMet({
    self,
    bootstrap: new Map(bootstrap.map((peer) => [peer, []])),
    catalogue: () => world.catalogue,
    now: () => world.now
  })
  return { world, met, isReady: () => met.item().ready }
}

test("a restarted node serves from what it knew when nobody has answered for three seconds", () => {
  const { isReady, met, world } = make(withNodes(entryOf(2)), [inviter])
  expect(isReady()).toBe(false)
  world.now = 3_000
  expect(isReady()).toBe(true)
  expect(met.item().detail).toBe("no other node has answered yet; 1 known from before")
})

test("a newcomer that has heard of somebody has not met the mesh, however long that takes", () => {
  const { isReady, met, world } = make(Catalogue.empty, [inviter])
  world.now = 60_000
  // The first records of a comparison that is not over, or gossip that was quicker.
  world.catalogue = withNodes(entryOf(3))
  expect(isReady()).toBe(false)
  met.answered()
  expect(isReady()).toBe(true)
})

test("a founder, and whoever is left alone, is the only node so far", () => {
  expect(make(Catalogue.empty, []).isReady()).toBe(true)
  expect(make(withNodes(entryOf(2, "left")), [inviter]).isReady()).toBe(true)
  expect(make(Catalogue.empty, [inviter]).isReady()).toBe(false)
})
