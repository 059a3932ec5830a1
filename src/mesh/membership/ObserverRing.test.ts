import * as fc from "fast-check"
import { expect, test } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { ObserverRing, observersPerNode } from "./ObserverRing.ts"

const letters = "ABCDEFGHJK"
const peerOf = (n: number) =>
  PeerKey.make(
    `12D3KooWPeerPeer${[...`${n}`.padStart(6, "0")].map((d) => letters[Number(d)]).join("")}`
  )
const peersTo = (n: number) => Array.from({ length: n }, (_, index) => peerOf(index))
const some = fc.uniqueArray(fc.integer({ min: 0, max: 80 }), { minLength: 1, maxLength: 60 })

test("watching is mutual, never of oneself, and bounded", () => {
  fc.assert(
    fc.property(some, (numbers) => {
      const peers = numbers.map(peerOf)
      const ring = ObserverRing.of(peers)
      for (const peer of peers) {
        const observers = ring.observersOf(peer)
        expect(observers).not.toContain(peer)
        expect(new Set(observers).size).toBe(observers.length)
        expect(observers.length).toBeLessThanOrEqual(observersPerNode)
        for (const observer of observers) expect(ring.subjectsOf(observer)).toContain(peer)
      }
    }),
    { numRuns: 50 }
  )
})

test("is the same however it came about", () => {
  fc.assert(
    fc.property(some, some, (kept, passing) => {
      const gone = passing.filter((n) => !kept.includes(n))
      let ring = ObserverRing.empty
      for (const n of [...gone, ...kept]) ring = ring.with(peerOf(n))
      for (const n of gone) ring = ring.without(peerOf(n))
      const built = ObserverRing.of([...kept].reverse().map(peerOf))
      expect(ring.size).toBe(kept.length)
      for (const n of kept) {
        expect(new Set(ring.observersOf(peerOf(n)))).toEqual(new Set(built.observersOf(peerOf(n))))
      }
    }),
    { numRuns: 50 }
  )
})

test("up to nine members watch each other all", () => {
  for (const size of [1, 2, 9]) {
    const ring = ObserverRing.of(peersTo(size))
    for (const peer of peersTo(size)) expect(ring.observersOf(peer).length).toBe(size - 1)
  }
})

test("in a large mesh nearly everybody has all eight, and every one at least five", () => {
  const peers = peersTo(500)
  const ring = ObserverRing.of(peers)
  const counts = peers.map((peer) => ring.observersOf(peer).length)
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(5)
  expect(counts.reduce((sum, count) => sum + count, 0) / counts.length).toBeGreaterThan(7.8)
})

test("a member that goes changes the observers of at most eight others", () => {
  const peers = peersTo(200)
  const before = ObserverRing.of(peers)
  const after = before.without(peers[50]!)
  const changed = peers.filter(
    (peer) =>
      peer !== peers[50] &&
      new Set([...before.observersOf(peer), ...after.observersOf(peer)]).size >
        before.observersOf(peer).length
  )
  expect(changed.length).toBeGreaterThan(0)
  expect(changed.length).toBeLessThanOrEqual(observersPerNode)
})

test("connections between observers reach everybody in a few hops", () => {
  const peers = peersTo(500)
  const ring = ObserverRing.of(peers)
  const seen = new Set<PeerKey>([peers[0]!])
  let frontier = [peers[0]!]
  let hops = 0
  for (; frontier.length > 0; hops++) {
    const next = frontier
      .flatMap((peer) => ring.observersOf(peer))
      .filter((peer) => !seen.has(peer))
    for (const peer of next) seen.add(peer)
    frontier = Array.from(new Set(next))
  }
  expect(seen.size).toBe(500)
  expect(hops).toBeLessThanOrEqual(6)
})

test("near are the observers, those next to them, and nobody else", () => {
  const peers = peersTo(60)
  const ring = ObserverRing.of(peers)
  for (const peer of peers.slice(0, 10)) {
    const near = new Set(peers.filter((other) => ring.isNear(other, peer)))
    for (const observer of ring.observersOf(peer)) {
      expect(near.has(observer)).toBe(true)
      // Without one of them, who takes its place was near before.
      for (const next of ring.without(observer).observersOf(peer)) {
        expect(near.has(next)).toBe(true)
      }
    }
    expect(near.size).toBeLessThanOrEqual(2 * observersPerNode)
    expect(near.has(peer)).toBe(false)
  }
  expect(ring.isNear(peerOf(99), peerOf(0)), "not on the ring").toBe(false)
  expect(ObserverRing.of(peersTo(9)).isNear(peerOf(3), peerOf(4))).toBe(true)
})
