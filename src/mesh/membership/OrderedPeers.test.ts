import * as fc from "fast-check"
import { expect, test } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { OrderedPeers } from "./OrderedPeers.ts"

const peerOf = (index: number): PeerKey =>
  PeerKey.make(`12D3KooW${"Peer".repeat(5)}${`${index}`.replaceAll("0", "z")}`)

test("is a set with the order in which peers came, and what was handed out stays as it was", () => {
  const change = fc.tuple(fc.integer({ min: 0, max: 50 }), fc.boolean())
  fc.assert(
    fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
      let peers = OrderedPeers.none
      const reference = new Set<PeerKey>()
      for (const [index, comes] of changes) {
        const peer = peerOf(index)
        const before = [...peers]
        const next = comes ? peers.with(peer) : peers.without(peer)
        expect(next === peers).toBe(reference.has(peer) === comes)
        if (comes) reference.add(peer)
        else reference.delete(peer)
        expect([...peers]).toEqual(before)
        peers = next
        expect([...peers]).toEqual([...reference])
        expect([peers.size, peers.first]).toEqual([reference.size, [...reference][0]])
        expect(peers.has(peer)).toBe(comes)
      }
    }),
    { numRuns: 50 }
  )
})
