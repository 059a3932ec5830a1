import { Hash, HashMap } from "effect"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { PeerMap } from "./PeerMap.ts"

const peerOf = (index: number): PeerKey =>
  PeerKey.make(`12D3KooW${"Peer".repeat(5)}${`${index}`.replaceAll("0", "z")}`)

interface Held {
  readonly peer: PeerKey
  readonly value: number
}

const byPeer = (a: Held, b: Held): number => (a.peer < b.peer ? -1 : 1)

const changes = fc.array(
  fc.record({
    index: fc.integer({ min: 0, max: 300 }),
    value: fc.option(fc.integer(), { nil: undefined })
  }),
  { maxLength: 600 }
)

test("holds what was put in last, in an order that does not depend on how it came", () => {
  fc.assert(
    fc.property(changes, (all) => {
      let map = PeerMap.of<Held>()
      let reference = HashMap.empty<PeerKey, Held>()
      const before: Array<readonly [PeerMap<Held>, ReadonlyArray<Held>]> = []
      for (const { index, value } of all) {
        const peer = peerOf(index)
        before.push([map, map.values()])
        if (value === undefined) {
          map = map.without(peer)
          reference = HashMap.remove(reference, peer)
        } else {
          map = map.with({ peer, value })
          reference = HashMap.set(reference, peer, { peer, value })
        }
        expect(map.get(peer)?.value).toBe(value)
      }
      expect(map.size).toBe(HashMap.size(reference))
      // In the order of HashMap, but for keys of one hash, which it keeps as they came.
      expect(map.values().toSorted(byPeer)).toEqual(
        Array.from(HashMap.values(reference)).toSorted(byPeer)
      )
      expect(PeerMap.of(map.values().toReversed()).values()).toEqual(map.values())
      // What was handed out before is as it was.
      for (const [earlier, values] of before.slice(-20)) expect(earlier.values()).toEqual(values)
    }),
    { numRuns: 50 }
  )
})

test("what changes nothing is the same map", () => {
  const one = { peer: peerOf(1), value: 1 }
  const map = PeerMap.of([one, { peer: peerOf(2), value: 2 }])
  expect(map.with(one)).toBe(map)
  expect(map.without(peerOf(3))).toBe(map)
  expect(map.without(peerOf(1)).without(peerOf(2)).size).toBe(0)
})

/** Two keys of one hash. */
const [one, other] = ["2G", "SF"].map((end) => PeerKey.make(`12D3KooWPeerPeerPeerPeer${end}`))

test("keeps peers apart whose hashes are the same", () => {
  if (one === undefined || other === undefined) throw new Error("there are two")
  expect(Hash.string(one)).toBe(Hash.string(other))
  const third = peerOf(1)
  const map = PeerMap.of([one, third, other].map((peer, value) => ({ peer, value })))
  expect(map.get(one)?.value).toBe(0)
  expect(map.get(other)?.value).toBe(2)
  expect(map.with({ peer: one, value: 7 }).get(one)?.value).toBe(7)
  expect(map.with({ peer: one, value: 7 }).size).toBe(3)
  const less = map.without(one)
  expect([less.size, less.get(one), less.get(other)?.value]).toEqual([2, undefined, 2])
  expect(less.without(other).values()).toEqual([{ peer: third, value: 1 }])
})
