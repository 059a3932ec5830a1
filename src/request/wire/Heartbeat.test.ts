import { describe, expect, it } from "vitest"
import { Heartbeat, measureEvery } from "./Heartbeat.ts"

const limits = { pingEvery: 500, deadAfter: 2_500 }

/** Beats of one end for `ms`, each ping answered after 1 ms; returns when it pinged. */
const pings = (heart: Heartbeat, ms: number, peerPings: (now: number) => boolean) => {
  const sent: Array<number> = []
  for (let now = 0; now < ms; now += limits.pingEvery) {
    if (peerPings(now)) heart.pinged(now)
    const id = heart.ping(now)
    if (id === undefined) continue
    sent.push(now)
    heart.pong(id, now + 1)
  }
  return sent
}

describe("the end that leads", () => {
  it("pings at every beat, whatever the peer does", () => {
    expect(pings(new Heartbeat(limits, false, 0), 10_000, () => true)).toHaveLength(20)
  })

  it("has one unanswered ping at a time", () => {
    const heart = new Heartbeat(limits, false, 0)
    expect(heart.ping(0)).toBeDefined()
    expect(heart.ping(500)).toBeUndefined()
  })
})

describe("the end that yields", () => {
  it("pings now and then for the round trip while it is pinged", () => {
    const heart = new Heartbeat(limits, true, 0)
    expect(pings(heart, 60_000, () => true)).toEqual(
      [0, 1, 2, 3, 4, 5].map((n) => n * measureEvery)
    )
    expect(heart.rtt).toBe(1)
  })

  it("pings at every beat from one and a half after the last it was sent", () => {
    const silentFrom = 5_000
    const sent = pings(new Heartbeat(limits, true, 0), 10_000, (now) => now < silentFrom)
    expect(sent).toEqual([
      0,
      ...Array.from({ length: 9 }, (_, beat) => silentFrom + 500 + beat * 500)
    ])
  })
})
