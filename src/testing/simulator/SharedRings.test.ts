import * as fc from "fast-check"
import { expect, test } from "vitest"
import { SharedRings } from "./SharedRings.ts"
import { peerOf } from "./Simulation.ts"

const zone = fc.constantFrom("eu/1", "eu/2", "us/1", undefined)
const zoned = fc.array(fc.tuple(fc.nat({ max: 80 }), zone), { minLength: 1, maxLength: 60 })

test("rings of the same members are one, however they came about", () => {
  fc.assert(
    fc.property(zoned, fc.nat({ max: 80 }), (members, one) => {
      const { empty } = new SharedRings()
      const zones = new Map(members.map(([index, zone]) => [peerOf(index), zone]))
      const peers = Array.from(zones.keys())
      const zoneOf = (peer: (typeof peers)[number]) => zones.get(peer)
      const ring = empty.filled(peers, zoneOf)
      expect(empty.filled([...peers].reverse(), zoneOf)).toBe(ring)
      const base = ring.without(peerOf(one))
      const there = base.with(peerOf(one), "eu/1")
      const moved = there.with(peerOf(one), "us/1")
      expect(moved).not.toBe(there)
      expect(moved.with(peerOf(one), "eu/1")).toBe(there)
      expect(moved.without(peerOf(one))).toBe(base)
      expect(there.with(peerOf(one), "eu/1")).toBe(there)
    }),
    { numRuns: 50 }
  )
})

test("what many have made each in its own order is not kept for ever", () => {
  const { empty } = new SharedRings()
  const all = empty.filled(Array.from({ length: 2_000 }, (_, index) => peerOf(index)))
  const first = all.without(peerOf(0))
  expect(all.without(peerOf(0))).toBe(first)
  for (let index = 1; index < 1_200; index++) all.without(peerOf(index))
  const again = all.without(peerOf(0))
  expect(again).not.toBe(first)
  expect(again.places).toEqual(first.places)
})
