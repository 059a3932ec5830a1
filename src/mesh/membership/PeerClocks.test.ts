import { expect, test } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { clockTimes, maxClocks, PeerClocks } from "./PeerClocks.ts"

const letters = "ABCDEFGHJK"
const peerOf = (n: number) =>
  PeerKey.make(
    `12D3KooWPeerPeer${[...`${n}`.padStart(6, "0")].map((d) => letters[Number(d)]).join("")}`
  )
const a = peerOf(1)
const start = 1_800_000_000_000

class Run {
  now = 500
  skew = 0
  readonly clocks = new PeerClocks({
    now: () => this.now,
    wall: () => start + this.now + this.skew
  })

  /** A question and its answer, of a peer whose clock is ahead of the truth by this much. */
  ask(peer: PeerKey, ahead: number, there = 1, back = 1): void {
    const askedAt = this.now
    this.now += there
    const clock = start + this.now + ahead
    this.now += back
    this.clocks.answered(peer, clock, askedAt)
  }
}

test("is wrong by half the round trip at most", () => {
  const run = new Run()
  run.ask(a, 30_000, 400, 0)
  expect(run.clocks.aheadOf(a)).toBe(30_200)
  run.ask(a, 30_000, 0, 400)
  expect(run.clocks.aheadOf(a)).toBe(29_800)
})

test("keeps the narrower of two that agree, for a minute", () => {
  const run = new Run()
  run.ask(a, 30_000, 1, 1)
  run.ask(a, 30_000, 900, 0)
  expect(run.clocks.aheadOf(a)).toBe(30_000)
  run.now += clockTimes.narrow
  run.ask(a, 30_000, 900, 0)
  expect(run.clocks.aheadOf(a)).toBe(30_450)
})

test("believes at once that a clock was set, that of a peer or our own", () => {
  const run = new Run()
  run.ask(a, 30_000)
  run.ask(a, 0, 300, 300)
  expect(run.clocks.aheadOf(a)).toBe(0)
  run.skew = -7_200_000
  expect(run.clocks.aheadOf(a)).toBe(7_200_000)
})

test("takes the clock in a question as sent a moment ago, until it can ask itself", () => {
  const run = new Run()
  run.clocks.told(a, start + run.now + 1_800_000 - 400)
  expect(Math.abs(run.clocks.aheadOf(a)! - 1_800_000)).toBeLessThan(1_000)
  run.ask(a, 1_800_000)
  run.clocks.told(a, start + run.now + 1_800_000 - 400)
  expect(run.clocks.aheadOf(a)).toBe(1_800_000)
})

test("forgets in time, and is bounded", () => {
  const run = new Run()
  run.ask(a, 0)
  run.now += clockTimes.fresh + 1
  expect(run.clocks.aheadOf(a)).toBeUndefined()
  expect(run.clocks.own()).toEqual({ ahead: undefined, measured: 0, agreeing: 0 })
  for (let n = 0; n < maxClocks + 10; n++) run.ask(peerOf(n), 0)
  expect(run.clocks.own().measured).toBe(maxClocks)
  expect(run.clocks.aheadOf(peerOf(0))).toBeUndefined()
})

test.each([
  { who: "nobody could be asked", offsets: [], ahead: undefined, verdict: "unknown" },
  { who: "all agree", offsets: [0, 10, -10], ahead: 0, verdict: "right" },
  { who: "one of three is far off", offsets: [0, 10, 90_000_000], ahead: -10, verdict: "right" },
  {
    who: "all say another time",
    offsets: [-1_800_000, -1_800_001],
    ahead: 1_800_000,
    verdict: "wrong"
  },
  { who: "one of two agrees", offsets: [5, -1_800_000], ahead: -5, verdict: "right" },
  { who: "the only other one differs", offsets: [7_200_000], ahead: -7_200_000, verdict: "wrong" }
])("judges our own clock by the others: $who", ({ offsets, ahead, verdict }) => {
  const run = new Run()
  for (const [n, offset] of offsets.entries()) run.ask(peerOf(n), offset)
  expect(run.clocks.own().ahead).toBe(ahead)
  expect(run.clocks.verdict).toBe(verdict)
})
