import { describe, expect, it } from "vitest"
import { SyncBook } from "../mesh/catalogue/SyncBook.ts"
import type { PeerKey } from "../model/Names.ts"
import { sampleMembers, sampleNow } from "../testing/SampleSource.ts"
import { askable, type PeerSources, peerRows } from "./PeerRows.ts"
import type { PeerAnswer } from "./PeerVerdict.ts"

const [self, other] = [sampleMembers[0]!, sampleMembers[1]!]
const own = { software: "2", epoch: 1, version: 8, lateMs: 900.4, doubt: 1, waiting: 3 }
const equal: PeerAnswer = {
  outcome: { kind: "equal" },
  answerMs: 3.2468,
  figures: { ...own, lateMs: 4, version: 7 }
}

const rows = (change: Partial<PeerSources> = {}) =>
  peerRows({
    members: sampleMembers,
    asked: new Set([other.peer]),
    answers: new Map([[other.peer, equal]]),
    isConnected: () => true,
    book: new SyncBook(),
    own,
    now: 10_000,
    ...change
  })

describe("rows of peers", () => {
  it("this node is in step with itself, and says how it fares like the others", () => {
    expect(rows()[0]).toMatchObject({
      ...{ node: "host-a", self: true, sync: "synced", connected: false, load: "late" },
      ...{ lateMs: 900, doubt: 1, waiting: 3, software: "2", answerMs: null }
    })
  })

  it("tell what the peer said, when both were compared, and what its record is here", () => {
    const book = new SyncBook()
    book.note(other.peer, true, 4_000)
    book.note(other.peer, false, 9_000)
    expect(rows({ book })[1]).toEqual({
      ...{ node: "host-b", peer: other.peer, self: false, sync: "synced", detail: null },
      ...{ state: "alive", draining: false, connected: true, load: "ok", lateMs: 4, doubt: 1 },
      ...{ waiting: 3, software: "2", newer: null, comparedMs: 1_000, equalMs: 6_000 },
      ...{ rttMs: 0.42, answerMs: 3.25 },
      record: { epoch: 1, version: 7, signedAt: sampleNow - 5_000 }
    })
  })

  it("tell of a newer record that the peer has and this node lacks", () => {
    const newer = (epoch: number, version: number) => {
      const figures = { ...own, epoch, version }
      return rows({ answers: new Map([[other.peer, { ...equal, figures }]]) })[1]?.newer
    }
    expect([newer(1, 8), newer(2, 0)]).toEqual([
      { epoch: 1, version: 8 },
      { epoch: 2, version: 0 }
    ])
    expect([newer(1, 7), newer(1, 6), newer(0, 9)]).toEqual([null, null, null])
  })

  it("call nodes by their names, and leave out those that have left", () => {
    const reason = `the node ${other.peer} is gone`
    const silent: PeerAnswer = {
      ...{ answerMs: undefined, figures: undefined },
      outcome: { kind: "silent", reason }
    }
    expect(rows({ answers: new Map([[other.peer, silent]]) })[1]).toMatchObject({
      ...{ sync: "unreachable", detail: "the node host-b is gone" },
      ...{ load: null, lateMs: null, software: other.software }
    })
    expect(rows({ members: [self, { ...other, state: "left" }] }).length).toBe(1)
  })

  it("who was to be asked and was not is told from who was not to be", () => {
    const answers = new Map<PeerKey, PeerAnswer>()
    const isConnected = () => false
    expect(rows({ answers, isConnected })[1]?.detail).toContain("ask again")
    expect(rows({ answers, isConnected, asked: new Set() })[1]?.detail).toContain("--all")
  })
})

describe("who is asked", () => {
  const states = ["alive", "suspect", "refused", "dead", "left"] as const
  const asked = (all: boolean, connected: boolean) =>
    states.map((state) => askable([self, { ...other, state }], all, () => connected).size)

  it("is who is connected, dead or not, and never this node or who has left", () => {
    expect(asked(false, true)).toEqual([1, 1, 1, 1, 0])
    expect(asked(false, false)).toEqual([0, 0, 0, 0, 0])
  })

  it("is, of all, no dead one to which a connection would have to be made", () => {
    expect(asked(true, true)).toEqual([1, 1, 1, 1, 0])
    expect(asked(true, false)).toEqual([1, 1, 1, 0, 0])
  })
})
