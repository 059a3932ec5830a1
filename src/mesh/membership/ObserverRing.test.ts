import { createHash } from "node:crypto"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { mostObservers, ObserverRing, observersPerNode } from "./ObserverRing.ts"

const letters = "ABCDEFGHJK"
const peerOf = (n: number) =>
  PeerKey.make(
    `12D3KooWPeerPeer${[...`${n}`.padStart(6, "0")].map((d) => letters[Number(d)]).join("")}`
  )
const numberOf = (peer: PeerKey) =>
  Number([...peer.slice(-6)].map((letter) => letters.indexOf(letter)).join(""))
const peersTo = (n: number) => Array.from({ length: n }, (_, index) => peerOf(index))
const some = fc.uniqueArray(fc.integer({ min: 0, max: 80 }), { minLength: 1, maxLength: 60 })

const zonesOf = (shares: ReadonlyArray<number>) => {
  const total = shares.reduce((sum, share) => sum + share, 0)
  return (peer: PeerKey) => {
    let at = (createHash("sha256").update(`where ${peer}`).digest()[0]! / 256) * total
    const zone = shares.findIndex((share) => {
      at -= share
      return at < 0
    })
    return `zone-${zone}`
  }
}

/** Peers of which each is in one of a few zones, or in none that is known. */
const zoned = fc.record({
  numbers: some,
  zones: fc.array(fc.constantFrom("eu/1", "eu/2", "us/1", undefined), { minLength: 81 })
})
const zonesIn =
  (zones: ReadonlyArray<string | undefined>) =>
  (peer: PeerKey): string | undefined =>
    zones[numberOf(peer)]

test("watching is mutual, never of oneself, and bounded", () => {
  fc.assert(
    fc.property(zoned, ({ numbers, zones }) => {
      const peers = numbers.map(peerOf)
      const ring = ObserverRing.of(peers, zonesIn(zones))
      for (const peer of peers) {
        const observers = ring.observersOf(peer)
        expect(observers).not.toContain(peer)
        expect(new Set(observers).size).toBe(observers.length)
        expect(observers.length).toBeLessThanOrEqual(mostObservers)
        for (const observer of observers) expect(ring.subjectsOf(observer)).toContain(peer)
      }
    }),
    { numRuns: 200 }
  )
})

test("is the same however it came about", () => {
  fc.assert(
    fc.property(zoned, some, ({ numbers: kept, zones }, passing) => {
      const zoneOf = zonesIn(zones)
      const gone = passing.filter((n) => !kept.includes(n))
      let ring = ObserverRing.empty
      for (const n of gone) ring = ring.with(peerOf(n), zoneOf(peerOf(n)))
      // Heard of before its zone is known.
      for (const n of kept) ring = ring.with(peerOf(n))
      for (const n of kept) ring = ring.with(peerOf(n), zoneOf(peerOf(n)))
      for (const n of gone) ring = ring.without(peerOf(n))
      const built = ObserverRing.of([...kept].reverse().map(peerOf), zoneOf)
      expect(ring.size).toBe(kept.length)
      for (const n of kept) {
        expect(new Set(ring.observersOf(peerOf(n)))).toEqual(new Set(built.observersOf(peerOf(n))))
      }
    }),
    { numRuns: 50 }
  )
})

test("without some at once it is as without one after the other", () => {
  fc.assert(
    fc.property(zoned, some, ({ numbers, zones }, going) => {
      const ring = ObserverRing.of(numbers.map(peerOf), zonesIn(zones))
      const gone = going.map(peerOf)
      const oneByOne = gone.reduce((rest, peer) => rest.without(peer), ring)
      const atOnce = ring.withoutAll(new Set(gone))
      expect(atOnce.places).toEqual(oneByOne.places)
      for (const { peer } of atOnce.places) {
        expect(atOnce.observersOf(peer)).toEqual(oneByOne.observersOf(peer))
      }
      if (atOnce.size === ring.size) expect(atOnce).toBe(ring)
    }),
    { numRuns: 100 }
  )
})

test("up to nine members watch each other all", () => {
  for (const size of [1, 2, 9]) {
    const ring = ObserverRing.of(peersTo(size))
    for (const peer of peersTo(size)) expect(ring.observersOf(peer).length).toBe(size - 1)
  }
})

test("in a large mesh without zones nearly everybody has all eight, and every one at least five", () => {
  const peers = peersTo(500)
  const ring = ObserverRing.of(peers)
  const counts = peers.map((peer) => ring.observersOf(peer).length)
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(5)
  expect(Math.max(...counts)).toBeLessThanOrEqual(8)
  expect(counts.reduce((sum, count) => sum + count, 0) / counts.length).toBeGreaterThan(7.8)
})

test("who has a neighbour in its zone is watched from there", () => {
  fc.assert(
    fc.property(zoned, ({ numbers, zones }) => {
      const zoneOf = zonesIn(zones)
      const peers = numbers.map(peerOf)
      const ring = ObserverRing.of(peers, zoneOf)
      for (const peer of peers) {
        const near = (other: PeerKey) => other !== peer && zoneOf(other) === zoneOf(peer)
        if (peers.some(near)) expect(ring.observersOf(peer).some(near)).toBe(true)
      }
    }),
    { numRuns: 200 }
  )
})

/** Of 600 members: how many observers each has in other zones, and how many at all. */
const seenIn = (shares: ReadonlyArray<number>) => {
  const zoneOf = zonesOf(shares)
  const peers = peersTo(600)
  const ring = ObserverRing.of(peers, zoneOf)
  return peers.map((peer) => {
    const observers = ring.observersOf(peer)
    const outside = observers.filter((other) => zoneOf(other) !== zoneOf(peer)).length
    return { zone: zoneOf(peer), all: observers.length, outside }
  })
}

test.each([
  // As there are two zones of a size, three, six; and one with the most of all members.
  { shares: [1, 1], half: 0.9, mean: 5 },
  { shares: [1, 1, 1], half: 0.97, mean: 6 },
  { shares: [1, 1, 1, 1, 1, 1], half: 0.99, mean: 6 },
  { shares: [6, 3, 1], half: 0.6, mean: 5 }
])("with zones of sizes $shares $half of all have four observers outside", (given) => {
  const seen = seenIn(given.shares)
  const share = (least: number) =>
    seen.filter(({ outside }) => outside >= least).length / seen.length
  const mean = (of: (one: (typeof seen)[number]) => number) =>
    seen.reduce((sum, one) => sum + of(one), 0) / seen.length
  expect(share(1)).toBeGreaterThanOrEqual(0.99)
  expect(share(4)).toBeGreaterThanOrEqual(given.half)
  expect(mean(({ outside }) => outside)).toBeGreaterThan(given.mean)
  expect(mean(({ all }) => all)).toBeGreaterThan(7.8)
  expect(mean(({ all }) => all)).toBeLessThan(9)
})

test("every zone hangs on the others by more connections than it has members, if they are as many", () => {
  for (const shares of [
    [1, 1],
    [1, 1, 1],
    [5, 3, 2],
    [1, 1, 1, 1, 1, 1]
  ]) {
    for (const zone of shares.keys()) {
      const members = seenIn(shares).filter((one) => one.zone === `zone-${zone}`)
      if (members.length > 300) continue
      const connections = members.reduce((sum, { outside }) => sum + outside, 0)
      expect(connections).toBeGreaterThan(2 * members.length)
    }
  }
})

/** Of these, those who have an observer in `after` that they had not in `before`. */
const changedBetween = (
  before: ObserverRing,
  after: ObserverRing,
  peers: ReadonlyArray<PeerKey>
): ReadonlyArray<PeerKey> =>
  peers.filter((peer) => {
    const had = new Set(before.observersOf(peer))
    return after.observersOf(peer).some((observer) => !had.has(observer))
  })

test("a member that goes changes the observers of at most eight others", () => {
  const peers = peersTo(200)
  const before = ObserverRing.of(peers)
  const after = before.without(peers[50]!)
  const others = peers.filter((peer) => peer !== peers[50])
  const changed = changedBetween(before, after, others)
  expect(changed.length).toBeGreaterThan(0)
  expect(changed.length).toBeLessThanOrEqual(observersPerNode)
})

test("with zones who comes, goes or moves changes the observers of a few others", () => {
  fc.assert(
    fc.property(zoned, fc.nat({ max: 80 }), ({ numbers, zones }, one) => {
      // Small meshes, where everybody watches everybody, change at all of them.
      fc.pre(numbers.length > observersPerNode + 2)
      const zoneOf = zonesIn(zones)
      const subject = peerOf(one)
      const others = numbers.filter((n) => n !== one).map(peerOf)
      const without = ObserverRing.of(others, zoneOf)
      const there = without.with(subject, "eu/1")
      const moved = there.with(subject, "us/1")
      // At most three places to each side of a ring where zones are mixed, and two on the first.
      const most = 6 * 3 + 2
      expect(changedBetween(without, there, others).length).toBeLessThanOrEqual(most)
      expect(changedBetween(there, without, others).length).toBeLessThanOrEqual(most)
      expect(changedBetween(there, moved, others).length).toBeLessThanOrEqual(most + 2)
    }),
    { numRuns: 200 }
  )
})

test.each([
  { what: "without zones", zoneOf: () => undefined },
  { what: "with three zones", zoneOf: zonesOf([1, 1, 1]) },
  { what: "with one zone of nearly all", zoneOf: zonesOf([20, 1]) }
])("connections between observers reach everybody in a few hops $what", ({ zoneOf }) => {
  const peers = peersTo(500)
  const ring = ObserverRing.of(peers, zoneOf)
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
  const zones = zonesOf([2, 1, 1])
  const peers = peersTo(80)
  for (const ring of [ObserverRing.of(peers), ObserverRing.of(peers, zones)]) {
    for (const peer of peers.slice(0, 10)) {
      const near = new Set(peers.filter((other) => ring.isNear(other, peer)))
      for (const observer of ring.observersOf(peer)) {
        expect(near.has(observer)).toBe(true)
        // Without one of them, who takes its place was near before.
        for (const next of ring.without(observer).observersOf(peer)) {
          expect(near.has(next)).toBe(true)
        }
      }
      expect(near.size).toBeLessThanOrEqual(3 * 6 + 4)
      expect(near.has(peer)).toBe(false)
    }
    expect(ring.isNear(peerOf(99), peerOf(0)), "not on the ring").toBe(false)
  }
  expect(ObserverRing.of(peersTo(9)).isNear(peerOf(3), peerOf(4))).toBe(true)
})

test("who has not heard of another zone knows most observers all the same", () => {
  const zones = zonesOf([1, 1, 1])
  const peers = peersTo(80)
  const before = ObserverRing.of(peers, zones)
  for (const peer of peers.slice(0, 20)) {
    const observers = before.with(peer, "zone-9").observersOf(peer)
    const known = observers.filter((observer) => before.isNear(observer, peer))
    expect(known.length).toBeGreaterThanOrEqual(observers.length - 2)
  }
})
