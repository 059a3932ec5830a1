import * as fc from "fast-check"
import { expect, test } from "vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import { maxIncarnationAhead } from "./Incarnation.ts"
import { applyRecordChanges, applyRecords, type MemberRecord } from "./MemberRecords.ts"
import {
  applyAlive,
  applySuspect,
  applyTime,
  evidenceOf,
  type MemberTable,
  makeMemberTable,
  memberOf,
  movedIn,
  postpone
} from "./MemberTable.ts"
import { defaultSuspicion } from "./Suspicion.ts"

const [self, a, b, c] = ["1", "2", "3", "4"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))
const name = NodeName.make("host")
const bytes = new Uint8Array([1])

const record = (peer: PeerKey, epoch = 10, left = false, zone?: string): MemberRecord => ({
  ...{ peer, name, zone, epoch, left }
})

const known = applyRecords(makeMemberTable(self!), [record(a!), record(b!), record(c!)], 0)

const accuse = (table: MemberTable, by: PeerKey, incarnation = 10, now = 0) =>
  applySuspect(table, { subject: a!, incarnation, by, bytes }, defaultSuspicion, now, now)

const about = (table: MemberTable) => {
  const member = memberOf(table, a!)
  return `${member?.state} ${member?.incarnation}`
}

const suspected = accuse(known, b!)
const agreed = accuse(suspected, c!)
/** Two of the three that could agree. */
const twoOfThree = 11_382
const dead = applyTime(agreed, defaultSuspicion, twoOfThree, twoOfThree)

/** This node reaches none of the others. */
const alone = [a!, b!, c!].reduce(
  (table, subject) =>
    applySuspect(table, { subject, incarnation: 10, by: self!, bytes }, defaultSuspicion, 0, 0),
  known
)

/** Dead by a record that was taken when the reader's clock was ahead, too. */
const astray = (() => {
  const epoch = maxIncarnationAhead + 1
  const table = accuse(applyRecords(known, [record(a!, epoch), record(b!)], epoch), b!, epoch)
  return applyTime(accuse(table, self!, epoch), defaultSuspicion, 24_000, epoch)
})()

test.each([
  { what: "alive, accused at its incarnation", then: accuse(known, b!), is: "suspect 10" },
  { what: "alive, accused at an old one", then: accuse(known, b!, 9), is: "alive 10" },
  {
    what: "alive, accused at one it has not told us of",
    then: accuse(known, b!, 11),
    is: "alive 10"
  },
  { what: "alive, accused by itself", then: accuse(known, a!), is: "alive 10" },
  {
    what: "alive, accused by a stranger",
    then: accuse(known, PeerKey.make("12D3KooWPeerPeerPeer9")),
    is: "alive 10"
  },
  { what: "suspect, denying", then: applyAlive(suspected, a!, 11, bytes, 0, 0), is: "alive 11" },
  {
    what: "suspect, alive at the same incarnation",
    then: applyAlive(suspected, a!, 10, bytes, 0, 0),
    is: "suspect 10"
  },
  { what: "suspect for its time", then: dead, is: "dead 10" },
  {
    what: "suspect until just before",
    then: applyTime(agreed, defaultSuspicion, twoOfThree - 1, 0),
    is: "suspect 10"
  },
  {
    what: "accused by one alone of those who watch it",
    then: applyTime(suspected, defaultSuspicion, 24_000, 0),
    is: "alive 10"
  },
  {
    what: "accused by one alone, again and again",
    then: accuse(applyTime(suspected, defaultSuspicion, 24_000, 0), b!, 10, 60_000),
    is: "alive 10"
  },
  {
    what: "accused by one alone, with whom another agrees much later",
    then: accuse(applyTime(suspected, defaultSuspicion, 24_000, 0), c!, 10, 60_000),
    is: "suspect 10"
  },
  {
    what: "accused by us alone of those who watch it",
    then: applyTime(accuse(known, self!), defaultSuspicion, 24_000, 0),
    is: "suspect 10"
  },
  {
    what: "accused by us alone, where nobody else is left",
    then: applyTime(alone, defaultSuspicion, 24_000, 0),
    is: "dead 10"
  },
  { what: "dead, accused again", then: accuse(dead, c!), is: "dead 10" },
  {
    what: "dead, alive at the same incarnation",
    then: applyAlive(dead, a!, 10, bytes, 0, 0),
    is: "dead 10"
  },
  { what: "dead, denying", then: applyAlive(dead, a!, 11, bytes, 0, 0), is: "alive 11" },
  {
    what: "dead, with the record it had",
    then: applyRecords(dead, [record(a!)], 0),
    is: "dead 10"
  },
  {
    what: "dead, started again",
    then: applyRecords(dead, [record(a!, 11)], 0),
    is: "alive 11"
  },
  {
    what: "suspect, leaving",
    then: applyRecords(suspected, [record(a!, 10, true)], 0),
    is: "left 10"
  },
  {
    what: "left, accused",
    then: accuse(applyRecords(known, [record(a!, 10, true), record(b!)], 0), b!),
    is: "left 10"
  },
  {
    what: "left, back under a new epoch",
    then: applyRecords(applyRecords(known, [record(a!, 10, true)], 0), [record(a!, 20)], 0),
    is: "alive 20"
  },
  {
    what: "alive, answering with an incarnation of a clock far ahead",
    then: applyAlive(known, a!, maxIncarnationAhead + 1, undefined, 0, 0),
    is: "alive 10"
  },
  {
    what: "dead at an incarnation of a clock far ahead, denying by a right one",
    then: applyAlive(astray, a!, 12, bytes, 0, 0),
    is: "alive 12"
  },
  {
    what: "dead at an incarnation of a clock far ahead, with a record by a right one",
    then: applyRecords(astray, [record(a!, 12)], 0),
    is: "alive 12"
  },
  {
    what: "without a record any more",
    then: applyRecords(known, [record(b!)], 0),
    is: "undefined undefined"
  }
])("a member that is $what: $is", ({ then, is }) => {
  expect(about(then)).toBe(is)
})

test("only who is alive or suspect watches and is watched", () => {
  expect(known.ring.observersOf(self!)).toHaveLength(3)
  expect(suspected.ring.observersOf(self!)).toHaveLength(3)
  expect(dead.ring.observersOf(self!).toSorted()).toEqual([b, c])
  const left = applyRecords(known, [record(a!, 10, true), record(b!), record(c!)], 0)
  expect(left.ring.observersOf(self!).toSorted()).toEqual([b, c])
})

test("members stand on the ring in the zones of their records, this node as well", () => {
  const zonesOf = ({ ring }: MemberTable) => [self!, a!, b!].map((peer) => ring.zoneOf(peer))
  // Its own record is the first it knows.
  const alone = applyRecords(makeMemberTable(self!), [record(self!, 10, false, "eu/1")], 0)
  const met = applyRecordChanges(alone, [record(a!, 10, false, "us/1"), record(b!)], [], 0)
  expect(zonesOf(met)).toEqual(["eu/1", "us/1", ""])
  const moved = applyRecordChanges(
    { ...met, moved: undefined },
    [record(a!, 10, false, "us/2")],
    [],
    0
  )
  expect(zonesOf(moved)).toEqual(["eu/1", "us/2", ""])
  expect(about(moved)).toBe("alive 10")
  // Others watch it now, and it others.
  expect(movedIn(moved)).toEqual(new Set([a]))
  // Dead and back, it stands where it stood.
  const agreed = accuse(accuse(moved, b!), self!)
  const gone = applyTime(agreed, defaultSuspicion, 24_000, 24_000)
  expect(zonesOf(gone)).toEqual(["eu/1", undefined, ""])
  const back = applyAlive(gone, a!, 11, bytes, 25_000, 0)
  expect(zonesOf(back)).toEqual(["eu/1", "us/2", ""])
  const own = applyRecords(back, [record(self!), record(a!, 11), record(b!)], 0)
  expect(zonesOf(own)).toEqual(["", "", ""])
})

test("what changes nothing gives the same table", () => {
  expect(accuse(suspected, b!)).toBe(suspected)
  expect(applyAlive(known, a!, 10, undefined, 0, 0)).toBe(known)
  expect(applyRecords(known, [record(a!), record(b!), record(c!)], 0)).toBe(known)
  expect(applyTime(suspected, defaultSuspicion, 1, 1)).toBe(suspected)
})

test("whom a member has refuted is not believed about it alone for half a minute", () => {
  const denied = applyAlive(suspected, a!, 11, bytes, 1_000, 0)
  expect(about(accuse(denied, b!, 11, 30_999)), "again").toBe("alive 11")
  expect(about(accuse(denied, b!, 11, 31_000)), "later").toBe("suspect 11")
  expect(about(accuse(denied, c!, 11, 2_000)), "another").toBe("suspect 11")
  expect(about(accuse(denied, self!, 11, 2_000)), "this node").toBe("suspect 11")
  const again = accuse(denied, b!, 11, 2_000)
  expect(accuse(again, b!, 11, 40_000), "what it said once it cannot say anew").toBe(again)
  const agreed = accuse(again, c!, 11, 9_000)
  expect(about(agreed), "with another").toBe("suspect 11")
  expect(memberOf(agreed, a!)?.suspicion).toMatchObject({ startedAt: 9_000 })
  expect(memberOf(agreed, a!)?.suspicion?.accusers.size).toBe(2)
})

test("who was refuted is forgotten with time", () => {
  let table = known
  for (const [index, by] of [b!, c!, self!].entries()) {
    const now = index * 40_000
    const { incarnation } = memberOf(table, a!)!
    table = applyAlive(accuse(table, by, incarnation, now), a!, incarnation + 1, bytes, now, 0)
  }
  expect(Array.from(memberOf(table, a!)!.refuted.keys())).toEqual([self])
})

test("time in which we could not listen is added to the suspicion", () => {
  const later = postpone(agreed, 5_000)
  const end = twoOfThree + 5_000
  expect(about(applyTime(later, defaultSuspicion, end - 1, 0))).toBe("suspect 10")
  expect(about(applyTime(later, defaultSuspicion, end, 0))).toBe("dead 10")
})

test("whose time is up is found out at the tick at which it is, whatever was found out before", () => {
  const further = ["5", "6", "7"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))
  const peers = [a!, b!, c!, ...further]
  const all = applyRecords(
    makeMemberTable(self!),
    peers.map((peer) => record(peer)),
    0
  )
  // So that the time depends on how many there are, as it does in large meshes.
  const options = { ...defaultSuspicion, growth: 20 }
  const anyStep = fc.record({
    after: fc.integer({ min: 1, max: 20_000 }),
    what: fc.constantFrom("accuse", "accuse", "accuse", "deny", "leave", "sleep"),
    about: fc.constantFrom(...peers),
    by: fc.constantFrom(self!, ...peers)
  })
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), (steps) => {
      let table = all
      let now = 0
      for (const { about, after, by, what } of steps) {
        const { incarnation } = memberOf(table, about)!
        const accusation = { subject: about, incarnation, by, bytes }
        if (what === "accuse") table = applySuspect(table, accusation, options, now, now)
        else if (what === "deny") table = applyAlive(table, about, incarnation + 1, bytes, now, now)
        else if (what === "leave")
          table = applyRecordChanges(table, [record(c!, 10, true)], [], now)
        else table = postpone(table, after)
        for (const end = now + after; now < end; now += 500) {
          const looked = applyTime({ ...table, judgeAt: 0 }, options, now, now)
          table = applyTime(table, options, now, now)
          expect({ ...table, judgeAt: 0 }).toEqual({ ...looked, judgeAt: 0 })
        }
      }
    }),
    { numRuns: 60 }
  )
})

test("many whose time is up at once are dead at once", () => {
  const later = applyTime(alone, defaultSuspicion, 24_000, 5)
  expect([...later.dead]).toEqual([a, b, c])
  expect(later.suspects.size).toBe(0)
  expect(later.ring.size).toBe(1)
  expect(later.moved?.rest?.rest?.rest?.peer).toBe(alone.moved?.peer)
  expect(memberOf(later, b!)).toMatchObject({ state: "dead", since: 5 })
  expect(memberOf(alone, b!)?.state).toBe("suspect")
})

test("evidence convinces a newcomer, of deaths and of denials", () => {
  expect(evidenceOf(dead)).toEqual([bytes, bytes])
  const denied = applyAlive(suspected, a!, 11, new Uint8Array([2]), 0, 0)
  expect(evidenceOf(denied)).toEqual([new Uint8Array([2])])
  expect(evidenceOf(known)).toEqual([])
  expect(evidenceOf(dead, [b!, a!, a!]), "of those that are named").toEqual([bytes, bytes])
  expect(evidenceOf(dead, [b!, c!])).toEqual([])
})

test("denials come before accusations, which count at no other incarnation", () => {
  const denied = applyAlive(suspected, a!, 11, new Uint8Array([2]), 0, 0)
  const again = accuse(denied, c!, 11)
  expect(evidenceOf(again)).toEqual([new Uint8Array([2]), bytes])
})

test("what a refuted accuser says alone is no evidence", () => {
  const denied = applyAlive(suspected, a!, 11, new Uint8Array([2]), 0, 0)
  const again = accuse(denied, b!, 11)
  expect(about(again)).toBe("alive 11")
  expect(evidenceOf(again)).toEqual([new Uint8Array([2])])
})

test("remembers since when it believes what it believes", () => {
  const twice = accuse(accuse(known, b!, 10, 5), c!, 10, 9)
  expect(memberOf(twice, a!)?.since).toBe(5)
  expect(memberOf(twice, a!)?.suspicion?.accusers.size).toBe(2)
})

test("a table at its limit counts whom it has no room for", () => {
  const letters = "ABCDEFGHJK"
  const many = Array.from({ length: 16_390 }, (_, n) =>
    record(
      PeerKey.make(
        `12D3KooWPeerPeer${[...`${n}`.padStart(6, "0")].map((d) => letters[Number(d)]).join("")}`
      )
    )
  )
  const full = applyRecords(makeMemberTable(self!), many, 0)
  expect(full.members.size).toBe(16_384)
  expect(full.ring.size).toBe(16_385)
  expect(full.beyondLimit).toBe(6)
  // A place that is free again is given away.
  expect(applyRecords(full, many.slice(6), 0).beyondLimit).toBe(0)
})

test("changes of records make the same as all records do, and who moved is known", () => {
  const peers = [self!, a!, b!, c!]
  const anyRecord = fc.record({
    peer: fc.constantFrom(...peers),
    epoch: fc.integer({ min: 9, max: 12 }),
    left: fc.boolean(),
    zone: fc.constantFrom("eu/1", "us/1", undefined)
  })
  const anyChange = fc.record({
    said: fc.array(anyRecord, { maxLength: 3 }),
    gone: fc.subarray(peers),
    accused: fc.boolean()
  })
  const statesOf = (table: MemberTable) => peers.map((peer) => memberOf(table, peer)?.state)
  fc.assert(
    fc.property(fc.array(anyChange), (changes) => {
      const held = new Map<PeerKey, MemberRecord>()
      let stepwise = makeMemberTable(self!)
      let whole = stepwise
      for (const { said, gone, accused } of changes) {
        const before = { ...stepwise, moved: undefined }
        for (const peer of gone) held.delete(peer)
        for (const { peer, epoch, left, zone } of said) {
          held.set(peer, record(peer, epoch, left, zone))
        }
        const named = new Set(said.map(({ peer }) => peer))
        stepwise = applyRecordChanges(
          before,
          Array.from(named, (peer) => held.get(peer)!),
          gone.filter((peer) => !named.has(peer)),
          7
        )
        whole = applyRecords(whole, Array.from(held.values()), 7)
        if (accused) {
          stepwise = accuse(stepwise, b!)
          whole = accuse(whole, b!)
        }
        expect(stepwise.members.values()).toEqual(whole.members.values())
        expect([...stepwise.suspects, ...stepwise.dead]).toEqual([...whole.suspects, ...whole.dead])
        expect(stepwise.ring.places).toEqual(whole.ring.places)
        const moved = movedIn(stepwise)
        const [were, are] = [statesOf(before), statesOf(stepwise)]
        peers.forEach((peer, index) => {
          if (were[index] !== are[index]) expect(moved.has(peer)).toBe(true)
        })
      }
    })
  )
})
