import { describe, expect, it } from "vitest"
import type { PeerKey } from "../model/Names.ts"
import { DialBackLimits, dialBackLimits } from "./DialBackLimits.ts"

const peer = (n: number) => `peer-${n}` as PeerKey // only compared

/** So many tries, one after the other: how many were allowed. */
const allowed = (limits: DialBackLimits, of: PeerKey, tries: number, now: number): number => {
  let count = 0
  for (let n = 0; n < tries; n++) {
    if (limits.begin(of, now) !== undefined) continue
    limits.end(of)
    count++
  }
  return count
}

describe("what is dialled for others", () => {
  it("is a burst for each member, then one in ten seconds", () => {
    const limits = new DialBackLimits(0)
    expect(allowed(limits, peer(1), 100, 0)).toBe(dialBackLimits.burst)
    expect(limits.begin(peer(1), 0)).toMatch(/too often/)
    expect(allowed(limits, peer(1), 100, 9_999)).toBe(0)
    expect(allowed(limits, peer(1), 100, 60_000)).toBe(6)
    expect(allowed(limits, peer(2), 5, 60_000)).toBe(5)
    // Unused, it does not add up beyond the burst.
    expect(allowed(limits, peer(1), 100, 86_400_000)).toBe(dialBackLimits.burst)
  })

  it("is one at a time for each, and few in all", () => {
    const limits = new DialBackLimits(0)
    expect(limits.begin(peer(1), 0)).toBeUndefined()
    expect(limits.begin(peer(1), 0)).toMatch(/at a time/)
    for (let n = 2; n <= dialBackLimits.concurrent; n++) {
      expect(limits.begin(peer(n), 0)).toBeUndefined()
    }
    expect(limits.begin(peer(99), 0)).toMatch(/others/)
    limits.end(peer(2))
    expect(limits.begin(peer(99), 0)).toBeUndefined()
  })

  it("has a limit for all members together", () => {
    const limits = new DialBackLimits(0)
    let total = 0
    for (let n = 0; n < 500; n++) total += allowed(limits, peer(n), 10, 0)
    expect(total).toBe(dialBackLimits.burstOfAll)
    expect(limits.begin(peer(900), 0)).toMatch(/too many/)
    expect(allowed(limits, peer(900), 100, 3_000)).toBe(3)
  })

  it("remembers so many members, and makes room when they have waited", () => {
    const limits = new DialBackLimits(0)
    let now = 0
    for (let n = 0; n < dialBackLimits.members; n++) {
      now += 2_000
      expect(allowed(limits, peer(n), 1, now)).toBe(1)
    }
    // All but the last five have their whole allowance again.
    expect(allowed(limits, peer(5_000), 1, now)).toBe(1)
    // A clock that stands still: nobody's is whole, and there is no room.
    const stuck = new DialBackLimits(0)
    let refused = 0
    for (let n = 0; n < 3 * dialBackLimits.members; n++) {
      if (stuck.begin(peer(n), n) === undefined) stuck.end(peer(n))
      else refused++
    }
    expect(refused).toBeGreaterThan(dialBackLimits.members)
  })
})
