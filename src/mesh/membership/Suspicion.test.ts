import { expect, test } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import {
  beginSuspicion,
  confirm,
  defaultSuspicion,
  maxEvidence,
  minTimeout,
  suspicionTimeout,
  verdictOf
} from "./Suspicion.ts"

const peers = ["1", "2", "3", "4", "5"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))
const bytes = new Uint8Array([1])

test.each([
  { members: 1, min: 4_000 },
  { members: 2, min: 4_000 },
  { members: 10, min: 4_000 },
  { members: 40, min: 4_000 },
  { members: 100, min: 4_500 },
  { members: 1_000, min: 6_750 },
  { members: 10_000, min: 9_000 }
])("of $members members one is suspected for at least $min ms", ({ members, min }) => {
  expect(minTimeout(defaultSuspicion, members)).toBeCloseTo(min, -1)
})

test.each([
  { what: "nobody who could confirm", expected: 0, confirmations: 0, timeout: 4_000 },
  { what: "one accuser of two", expected: 1, confirmations: 0, timeout: 24_000 },
  { what: "both of two", expected: 1, confirmations: 1, timeout: 4_000 },
  { what: "one accuser of many", expected: 2, confirmations: 0, timeout: 24_000 },
  { what: "two of many", expected: 2, confirmations: 1, timeout: 11_381 },
  { what: "three of many", expected: 2, confirmations: 2, timeout: 4_000 },
  { what: "more than were expected", expected: 2, confirmations: 5, timeout: 4_000 }
])("$what: $timeout ms", ({ expected, confirmations, timeout }) => {
  expect(suspicionTimeout(defaultSuspicion, 5, expected, confirmations)).toBeCloseTo(timeout, 0)
})

const begin = (possible: number) =>
  beginSuspicion(defaultSuspicion, 1_000, 7, peers[0]!, bytes, possible)

test("is over when its time is, which confirmations shorten", () => {
  const alone = begin(8)
  expect(verdictOf(defaultSuspicion, alone, 5, () => false, 1_000 + 23_999)).toBe("open")
  expect(verdictOf(defaultSuspicion, alone, 5, () => false, 1_000 + 24_000)).toBe("dead")
  const agreed = confirm(confirm(alone, peers[1]!, bytes), peers[2]!, bytes)
  expect(verdictOf(defaultSuspicion, agreed, 5, () => true, 1_000 + 3_999)).toBe("open")
  expect(verdictOf(defaultSuspicion, agreed, 5, () => true, 1_000 + 4_000)).toBe("dead")
})

test("kills nobody on one word while somebody else could agree", () => {
  expect(verdictOf(defaultSuspicion, begin(8), 5, () => true, 1_000 + 23_999)).toBe("open")
  expect(verdictOf(defaultSuspicion, begin(8), 5, () => true, Number.MAX_SAFE_INTEGER)).toBe(
    "unheeded"
  )
  // Of two members nobody else could.
  expect(verdictOf(defaultSuspicion, begin(1), 2, () => false, 1_000 + 4_000)).toBe("dead")
})

test("counts everybody once", () => {
  const first = begin(8)
  expect(confirm(first, peers[0]!, bytes)).toBe(first)
  const second = confirm(first, peers[1]!, bytes)
  expect(confirm(second, peers[1]!, bytes)).toBe(second)
})

test("keeps no more statements than convince", () => {
  const all = peers.reduce((suspicion, peer) => confirm(suspicion, peer, bytes), begin(8))
  expect(all.accusers.size).toBe(maxEvidence)
})

test.each([
  { possible: 1, expected: 0 },
  { possible: 2, expected: 1 },
  { possible: 3, expected: 2 },
  { possible: 8, expected: 2 }
])("with $possible observers expects $expected confirmations", ({ possible, expected }) => {
  expect(begin(possible).expected).toBe(expected)
})
