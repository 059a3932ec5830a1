import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Breaker, type Permit } from "./Breaker.ts"
import { OwnRunCount } from "./RunCount.ts"

const policy = { consecutiveFailures: 3, open: { base: 1_000, max: 60_000 }, probe: 500 }
/** In the middle of the jitter: exactly base, 2·base, … */
const middle = 0.5

const openedAt = (now: number): Breaker => {
  const breaker = new Breaker(policy)
  for (let i = 0; i < 3; i++) breaker.failure("normal", now, middle)
  return breaker
}

describe("failures of a thread", () => {
  it("count while no success is between them, and anew when there are enough", () => {
    const failures = new OwnRunCount()
    expect(failures.add(2)).toBe(false)
    failures.clear()
    expect([failures.add(2), failures.value]).toEqual([false, 1])
    expect([failures.add(2), failures.value]).toEqual([true, 0])
  })
})

describe("Breaker", () => {
  it("opens at the threshold, and only says so once", () => {
    const breaker = new Breaker(policy)
    expect(breaker.failure("normal", 0, middle)).toBe(false)
    expect(breaker.failure("normal", 0, middle)).toBe(false)
    expect(breaker.state).toBe("closed")
    expect(breaker.failure("normal", 0, middle)).toBe(true)
    expect(breaker.state).toBe("open")
    expect(breaker.failure("normal", 0, middle)).toBe(false)
  })

  it("a success in between starts the count anew", () => {
    const breaker = new Breaker(policy)
    breaker.failure("normal", 0, middle)
    breaker.failure("normal", 0, middle)
    breaker.success("normal")
    breaker.failure("normal", 0, middle)
    expect(breaker.state).toBe("closed")
  })

  it("refuses until its time is over, then lets exactly one through", () => {
    const breaker = openedAt(0)
    expect(breaker.openUntil).toBe(1_000)
    expect(breaker.admit(999)).toBeUndefined()
    expect(breaker.ready(1_000)).toBe(true)
    expect(breaker.admit(1_000)).toBe(1)
    expect(breaker.state).toBe("half_open")
    expect(breaker.ready(1_499)).toBe(false)
    expect(breaker.admit(1_499)).toBeUndefined()
  })

  it("sends another probe when one is stuck, and whichever succeeds first closes it", () => {
    for (const first of [1, 2]) {
      const breaker = openedAt(0)
      expect(breaker.admit(1_000)).toBe(1)
      expect(breaker.openUntil).toBe(1_500)
      expect(breaker.ready(1_500)).toBe(true)
      expect(breaker.admit(1_500)).toBe(2)
      expect(breaker.admit(1_999)).toBeUndefined()
      expect(breaker.success(first)).toBe(true)
      expect(breaker.state).toBe("closed")
      expect(breaker.failure(3 - first, 2_000, middle)).toBe(false)
      expect(breaker.state).toBe("closed")
    }
  })

  it("opens again by the latest probe only", () => {
    const breaker = openedAt(0)
    breaker.admit(1_000)
    breaker.admit(1_500)
    expect(breaker.failure(1, 1_600, middle)).toBe(false)
    expect(breaker.abandon(1, 1_600)).toBe(false)
    expect(breaker.state).toBe("half_open")
    expect(breaker.failure(2, 1_600, middle)).toBe(true)
    expect(breaker.openUntil).toBe(3_600)
  })

  it("is not closed by a probe of an earlier time", () => {
    const breaker = openedAt(0)
    breaker.admit(1_000)
    breaker.admit(1_500)
    breaker.failure(2, 1_600, middle)
    expect(breaker.success(1)).toBe(false)
    expect(breaker.admit(3_600)).toBe(3)
    expect(breaker.success(1)).toBe(false)
    expect(breaker.state).toBe("half_open")
  })

  it("closes when the probe succeeds, and forgets the past", () => {
    const breaker = openedAt(0)
    breaker.admit(1_000)
    expect(breaker.success(1)).toBe(true)
    expect(breaker.state).toBe("closed")
    expect(breaker.failure("normal", 2_000, middle)).toBe(false)
    breaker.failure("normal", 2_000, middle)
    breaker.failure("normal", 2_000, middle)
    expect(breaker.openUntil).toBe(3_000)
  })

  it("stays open twice as long after each failed probe, up to the maximum", () => {
    const breaker = openedAt(0)
    const times: Array<number> = []
    let now = breaker.openUntil
    for (let i = 0; i < 8; i++) {
      expect(breaker.admit(now)).toBe(i + 1)
      expect(breaker.failure(i + 1, now, middle)).toBe(true)
      times.push(breaker.openUntil - now)
      now = breaker.openUntil
    }
    expect(times).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  it("jitters by ± 50 %", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const breaker = new Breaker({ ...policy, consecutiveFailures: 1 })
        breaker.failure("normal", 0, random)
        expect(breaker.openUntil).toBeGreaterThanOrEqual(500)
        expect(breaker.openUntil).toBeLessThanOrEqual(1_500)
      })
    )
  })

  it("ignores what was sent before it opened", () => {
    const breaker = openedAt(0)
    breaker.admit(1_000)
    expect(breaker.success("normal")).toBe(false)
    expect(breaker.state).toBe("half_open")
    expect(breaker.failure("normal", 1_100, middle)).toBe(false)
    expect(breaker.state).toBe("half_open")
  })

  it("lets the next one probe when the probe's caller left", () => {
    const breaker = openedAt(0)
    breaker.admit(1_000)
    expect(breaker.abandon(1, 1_400)).toBe(true)
    expect(breaker.admit(1_400)).toBe(2)
    expect(breaker.abandon("normal", 1_400)).toBe(false)
  })

  it("can be probed early when there is news", () => {
    const breaker = openedAt(0)
    breaker.probeFrom(200)
    expect(breaker.admit(199)).toBeUndefined()
    expect(breaker.admit(200)).toBe(1)
  })

  it("never has two probes within the time of one, whatever happens", () => {
    const action = fc.constantFrom("admit", "succeed", "fail", "abandon", "wait")
    const probe = 40
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const breaker = new Breaker({ consecutiveFailures: 2, open: { base: 10, max: 80 }, probe })
        let now = 0
        const underWay: Array<Permit> = []
        let lastProbe = { permit: 0, at: Number.NEGATIVE_INFINITY }
        for (const what of actions) {
          if (what === "wait") now += 15
          else if (what === "admit") {
            const ready = breaker.ready(now)
            const permit = breaker.admit(now)
            expect(permit !== undefined).toBe(ready)
            if (permit === undefined) continue
            underWay.push(permit)
            if (permit === "normal") continue
            if (underWay.includes(lastProbe.permit)) {
              expect(now - lastProbe.at).toBeGreaterThanOrEqual(probe)
            }
            lastProbe = { permit, at: now }
          } else {
            const permit = underWay.shift()
            if (permit === undefined) continue
            if (what === "succeed") breaker.success(permit)
            else if (what === "fail") breaker.failure(permit, now, middle)
            else breaker.abandon(permit, now)
          }
          if (breaker.state === "half_open") expect(breaker.openUntil).toBe(lastProbe.at + probe)
        }
      })
    )
  })
})

describe("circuits of several threads around one endpoint", () => {
  it("open when one of them opens, for as long, and count it as one opening", () => {
    const [one, other] = [openedAt(1_000), new Breaker(policy)]
    expect(other.learn(one.news)).toBe(true)
    expect(other.state).toBe("open")
    expect(other.openUntil).toBe(one.openUntil)
    const permit = other.admit(2_000)!
    other.failure(permit, 2_000, middle)
    expect(other.openUntil).toBe(2_000 + 2 * policy.open.base)
  })

  it("let one probe through, whichever asks first, until its time is over", () => {
    const [one, other] = [openedAt(0), openedAt(0)]
    one.admit(1_000)
    expect(other.learn(one.news)).toBe(false)
    expect(other.admit(1_000)).toBeUndefined()
    expect(other.admit(1_000 + policy.probe)).toBe(1)
  })

  it("close when a probe of one of them succeeds; what was under way elsewhere decides nothing", () => {
    const [one, other] = [openedAt(0), openedAt(0)]
    const theirs = other.admit(1_000)!
    one.success(one.admit(1_000)!)
    expect(other.learn(one.news)).toBe(true)
    expect(other.state).toBe("closed")
    expect(other.failure(theirs, 1_100, middle)).toBe(false)
    expect(other.state).toBe("closed")
  })

  it("stay open when a probe of one of them fails, and its own is no news any more", () => {
    const [one, other] = [openedAt(0), openedAt(0)]
    const theirs = other.admit(1_000)!
    one.failure(one.admit(1_000)!, 1_000, middle)
    other.learn(one.news)
    expect(other.state).toBe("open")
    expect(other.success(theirs)).toBe(false)
    expect(other.openUntil).toBe(one.openUntil)
  })

  it("keep their own probe when they hear of another's", () => {
    const [one, other] = [openedAt(0), openedAt(0)]
    const theirs = other.admit(1_000)!
    one.admit(1_000)
    other.learn(one.news)
    expect(other.success(theirs)).toBe(true)
  })

  it("agree again however their words cross", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 0, max: 2 }),
            fc.boolean(),
            fc.integer({ min: 0, max: 3_000 })
          ),
          {
            maxLength: 60
          }
        ),
        (events) => {
          const all = [new Breaker(policy), new Breaker(policy), new Breaker(policy)]
          let now = 0
          for (const [index, well, pause] of events) {
            now += pause
            const breaker = all[index]!
            const permit = breaker.admit(now)
            if (permit === undefined) continue
            const moved = well ? breaker.success(permit) : breaker.failure(permit, now, middle)
            if (!moved && permit === "normal") continue
            for (const other of all) if (other !== breaker) other.learn(breaker.news)
          }
          // One that is open or probing lets nobody through elsewhere either.
          const shut = all.filter((breaker) => !breaker.ready(now))
          expect([0, all.length]).toContain(shut.length)
        }
      )
    )
  })
})
