import { describe, expect, it } from "vitest"
import {
  judgeAnswer,
  judgeLoad,
  judgePeer,
  type PeerAnswer,
  type PeerFacts,
  verdictLimits
} from "./PeerVerdict.ts"

const figures = { software: "1", epoch: 1, version: 1, lateMs: 3, doubt: 0, waiting: 0 }
const answered = (outcome: PeerAnswer["outcome"], said: PeerAnswer["figures"] = figures) => ({
  ...{ outcome, figures: said, answerMs: 2 }
})
const equal = answered({ kind: "equal" })
const differs = (standing: number | undefined) => answered({ kind: "differs", standing })

const judge = (facts: Partial<PeerFacts>) =>
  judgePeer({ state: "alive", connected: true, answer: equal, equalFor: undefined, ...facts })
const syncOf = (facts: Partial<PeerFacts>) => judge(facts).sync

describe("a peer that was asked", () => {
  it("is synced when both hold the same, whatever others think of it", () => {
    for (const state of ["alive", "suspect", "refused", "dead"] as const) {
      expect(judge({ state })).toEqual({ sync: "synced", detail: undefined })
    }
  })

  it("is stale when a difference stays, and syncing while it is on its way", () => {
    expect(judge({ answer: differs(3) })).toEqual({
      sync: "stale",
      detail: "3 of 256 parts of the catalogues differ, and neither side changes them"
    })
    expect(syncOf({ answer: differs(0) })).toBe("syncing")
    expect(judge({ answer: differs(undefined), equalFor: 1 })).toMatchObject({
      sync: "syncing",
      detail: expect.stringContaining("only once")
    })
  })

  it("is stale when its record is refused because of time, and that is why", () => {
    const { detail, sync } = judge({ state: "refused", answer: differs(undefined) })
    expect([sync, detail]).toEqual(["stale", "its record is refused here because of time"])
  })

  it("is unreachable without an answer, however lately both were equal", () => {
    const answer = answered({ kind: "silent", reason: "no answer within 1 s" }, undefined)
    expect(judge({ answer, equalFor: 0 })).toEqual({
      sync: "unreachable",
      detail: "no answer within 1 s"
    })
  })

  it("of an older version is compared all the same", () => {
    const older = "of an older version, which does not tell how it fares"
    expect(judge({ answer: answered({ kind: "equal" }, "older") })).toEqual({
      sync: "synced",
      detail: older
    })
    const { detail, sync } = judge({ answer: answered({ kind: "differs", standing: 1 }, "older") })
    expect([sync, detail]).toEqual(["stale", expect.stringMatching(new RegExp(`; ${older}$`))])
    const puzzled = answered({ kind: "puzzled", reason: "it knows no such question" }, undefined)
    expect(judge({ answer: puzzled })).toEqual({
      sync: "unknown",
      detail: "it knows no such question"
    })
  })
})

describe("a peer that is busy with handshakes", () => {
  it("is that, and no more is known of it", () => {
    const busy = answered({ kind: "busy" }, undefined)
    expect(judge({ answer: busy, connected: false })).toEqual({
      sync: "unknown",
      detail: "busy with handshakes: it has asked to come back in a moment"
    })
    expect([judgeAnswer(busy), judgeAnswer(equal), judgeAnswer(undefined)]).toEqual([
      ...["busy", "ok", undefined]
    ])
  })
})

describe("a peer that was not asked", () => {
  const unasked = { answer: undefined, connected: false } as const

  it("is synced while both were equal lately, and else unknown", () => {
    expect(syncOf({ ...unasked, equalFor: verdictLimits.equalFor })).toBe("synced")
    expect(judge({ ...unasked, equalFor: verdictLimits.equalFor + 1 })).toMatchObject({
      sync: "unknown",
      detail: expect.stringContaining("--all")
    })
    expect(syncOf(unasked)).toBe("unknown")
  })

  it("because the time was over is told from one that was not to be asked", () => {
    expect(judge({ answer: "pending" })).toMatchObject({
      sync: "unknown",
      detail: expect.stringContaining("ask again")
    })
  })

  it("is unreachable when it is dead, has left, or is suspected and not connected", () => {
    for (const state of ["dead", "left", "suspect"] as const) {
      expect(syncOf({ ...unasked, state, equalFor: 0 })).toBe("unreachable")
    }
    expect(syncOf({ answer: undefined, connected: true, state: "suspect", equalFor: 0 })).toBe(
      "synced"
    )
  })
})

describe("how a peer fares", () => {
  it("is late before it is busy, and unknown of one that does not tell", () => {
    const { late: lateMs, waiting } = verdictLimits
    expect(judgeLoad(figures)).toBe("ok")
    expect(judgeLoad({ ...figures, lateMs: lateMs - 1, waiting: waiting - 1 })).toBe("ok")
    expect(judgeLoad({ ...figures, waiting })).toBe("busy")
    expect(judgeLoad({ ...figures, lateMs, waiting })).toBe("late")
    expect([judgeLoad("older"), judgeLoad(undefined)]).toEqual([undefined, undefined])
  })
})
