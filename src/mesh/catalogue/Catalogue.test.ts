import * as fc from "fast-check"
import { expect, test } from "vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { Catalogue, type MergeOutcome } from "./Catalogue.ts"
import { storedChanges } from "./CatalogueLoading.ts"
import {
  type CatalogueEntry,
  lifetimes,
  type NodeEntry,
  nodeEntry,
  nodeKey
} from "./RecordEntry.ts"

const peers = Array.from({ length: 6 }, (_, n) =>
  PeerKey.make(`12D3KooWPeer${"A".repeat(10)}${n + 1}`)
)

const entryOf = (
  peer: PeerKey,
  epoch: number,
  version: number,
  content = 0,
  state: NodeRecord["state"] = "serving"
): NodeEntry => {
  const record: NodeRecord = {
    peer,
    name: NodeName.make("host"),
    addresses: [],
    epoch,
    version,
    signedAt: epoch,
    state,
    services: [],
    software: `${content}`
  }
  return nodeEntry(record, [], new TextEncoder().encode(JSON.stringify(record)))
}

const anyEntry = fc
  .record({
    peer: fc.constantFrom(...peers),
    epoch: fc.integer({ min: 0, max: 2 }),
    version: fc.integer({ min: 0, max: 2 }),
    content: fc.integer({ min: 0, max: 2 })
  })
  .map(({ peer, epoch, version, content }) => entryOf(peer, epoch, version, content))

const mergeAll = (entries: ReadonlyArray<NodeEntry>, start = Catalogue.empty): Catalogue =>
  entries.reduce((catalogue, entry) => catalogue.merge(entry)[0], start)

/** Of nobody among these. */
const isNot =
  (peers: ReadonlyArray<PeerKey>) =>
  ({ key }: CatalogueEntry): boolean =>
    !peers.some((peer) => nodeKey(peer) === key)

const contentOf = (catalogue: Catalogue) =>
  Array.from(catalogue.entries(), ({ key, hash }) => `${key} ${Buffer.from(hash).toString("hex")}`)
    .sort()
    .join("\n")

test("merging gives the same whatever the order and the repetitions", () => {
  fc.assert(
    fc.property(fc.array(anyEntry), fc.array(anyEntry), fc.array(anyEntry), (a, b, c) => {
      const straight = mergeAll([...a, ...b, ...c])
      for (const other of [
        [...c, ...b, ...a],
        [...b, ...b, ...c, ...a, ...b]
      ]) {
        const merged = mergeAll(other)
        expect(contentOf(merged)).toBe(contentOf(straight))
        expect(merged.root()).toEqual(straight.root())
        expect(merged.size).toBe(straight.size)
        expect(merged.bytes).toBe(straight.bytes)
      }
    })
  )
})

test("equal roots mean equal content", () => {
  fc.assert(
    fc.property(fc.array(anyEntry), fc.array(anyEntry), (a, b) => {
      const left = mergeAll(a)
      const right = mergeAll(b)
      expect(Buffer.compare(left.root(), right.root()) === 0).toBe(
        contentOf(left) === contentOf(right)
      )
    })
  )
})

test("size and bytes are those of the entries, also after removal", () => {
  fc.assert(
    fc.property(fc.array(anyEntry), fc.subarray(peers), (entries, removed) => {
      const kept = mergeAll(entries).filter(isNot(removed))
      const left = Array.from(kept.entries())
      expect(kept.size).toBe(left.length)
      expect(kept.bytes).toBe(left.reduce((sum, { bytes }) => sum + bytes.length, 0))
      const remaining = mergeAll(entries.filter(({ record }) => !removed.includes(record.peer)))
      expect(kept.root()).toEqual(remaining.root())
    })
  )
})

const [first, second, third] = [peers[0]!, peers[1]!, peers[2]!]

test.each<{ what: string; then: NodeEntry; outcome: MergeOutcome }>([
  { what: "another peer's", then: entryOf(second, 0, 0), outcome: "added" },
  { what: "a later version", then: entryOf(first, 5, 6), outcome: "replaced" },
  { what: "a later epoch with a lower version", then: entryOf(first, 6, 0), outcome: "replaced" },
  { what: "the same", then: entryOf(first, 5, 5), outcome: "known" },
  { what: "an earlier version", then: entryOf(first, 5, 4), outcome: "stale" },
  { what: "an earlier epoch", then: entryOf(first, 4, 9), outcome: "stale" }
])("after one record, $what is $outcome", ({ then, outcome }) => {
  expect(mergeAll([entryOf(first, 5, 5)]).merge(then)[1]).toBe(outcome)
})

test("two contents under one version: every catalogue keeps the same one", () => {
  const one = entryOf(first, 5, 5, 1)
  const two = entryOf(first, 5, 5, 2)
  const left = mergeAll([one, two]).node(first)?.record.software
  const right = mergeAll([two, one]).node(first)?.record.software
  expect(left).toBe(right)
})

test("at the limit refuses new keys and still replaces and removes known ones", () => {
  const full = mergeAll(
    [entryOf(first, 1, 0), entryOf(second, 1, 0)],
    Catalogue.withLimits({ records: 2, bytes: 10_000 })
  )
  expect(full.merge(entryOf(third, 1, 0))[1]).toBe("full")
  expect(full.merge(entryOf(second, 2, 0))[1]).toBe("replaced")
  const smaller = full.filter(({ key }) => key !== nodeKey(first))
  expect(smaller.merge(entryOf(third, 1, 0))[1]).toBe("added")
})

test("refuses what would exceed the bytes it may hold", () => {
  const one = entryOf(first, 1, 0)
  const limited = Catalogue.withLimits({ records: 10, bytes: one.bytes.length + 10 })
  expect(mergeAll([one], limited).merge(entryOf(second, 1, 0))[1]).toBe("full")
})

test("a snapshot does not change with later merges", () => {
  const before = mergeAll([entryOf(first, 1, 0)])
  const root = before.root()
  before.merge(entryOf(first, 2, 0))
  expect(before.node(first)?.epoch).toBe(1)
  expect(before.root()).toBe(root)
})

test("what changed between two of them makes the one of the other", () => {
  fc.assert(
    fc.property(fc.array(anyEntry), fc.array(anyEntry), fc.subarray(peers), (a, b, removed) => {
      const before = mergeAll(a)
      const after = mergeAll(b, before).filter(isNot(removed))
      const held = new Map(Array.from(before.entries(), (entry) => [entry.key, entry]))
      for (const change of after.changesSince(before)) {
        expect(change.before).not.toBe(change.after)
        const key = (change.after ?? change.before)!.key
        expect(held.get(key)).toBe(change.before)
        if (change.after === undefined) held.delete(key)
        else held.set(key, change.after)
      }
      expect(new Set(held.values())).toEqual(new Set(after.entries()))
      expect(after.changesSince(after)).toEqual([])
    })
  )
})

test("what is stored of a change makes the same catalogue when it is read", () => {
  fc.assert(
    fc.property(fc.array(anyEntry), fc.array(anyEntry), fc.subarray(peers), (a, b, removed) => {
      const before = mergeAll(a)
      const after = mergeAll(b, before.filter(isNot(removed)))
      const byBytes = new Map(b.map((entry) => [entry.bytes, entry]))
      const read = storedChanges(after.changesSince(before)).reduce(
        (catalogue, change) =>
          change._tag === "Gone"
            ? catalogue.without(change.key)
            : catalogue.merge(byBytes.get(change.bytes)!)[0],
        before
      )
      expect(contentOf(read)).toBe(contentOf(after))
      expect([read.size, read.bytes]).toEqual([after.size, after.bytes])
      expect(read.root()).toEqual(after.root())
    })
  )
})

test("tombstones live longer than any record they stand against", () => {
  const record = entryOf(first, 1_000, 0)
  const tombstone = entryOf(first, 1_000, 1, 0, "left")
  expect(tombstone.expiresAt - record.expiresAt).toBe(48 * 3_600_000)
  expect(record.expiresAt).toBe(1_000 + lifetimes.record)
  if (record.kind !== "node") return expect.fail("it is a node's")
  const { record: said, withheld, bytes } = record
  expect(nodeEntry({ ...said, lifetime: 60_000 }, withheld, bytes).expiresAt).toBe(61_000)
})
