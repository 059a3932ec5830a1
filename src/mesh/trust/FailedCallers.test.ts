import fc from "fast-check"
import { expect, it } from "vitest"
import { FailedCallers } from "./FailedCallers.ts"

const attacker = "203.0.113.9"
const fails = (callers: FailedCallers, times: number, at: number, address = attacker): number => {
  let away = 0
  for (let n = 0; n < times; n++) away = callers.failed(address, at)
  return away
}

it("bears some failures of an address, then turns it away, and nobody else", () => {
  const callers = new FailedCallers()
  expect(fails(callers, 31, 0)).toBe(0)
  expect(callers.turnedAway(attacker, 0)).toBe(0)
  const away = fails(callers, 1, 0)
  expect(away).toBe(2_000)
  expect(callers.turnedAway(attacker, 0)).toBe(away)
  expect(callers.turnedAway(attacker, away - 1)).toBe(1)
  expect(callers.turnedAway(attacker, away)).toBe(0)
  expect(callers.turnedAway("203.0.113.10", 0)).toBe(0)
  // Whoever fails now and then never comes to that.
  const slow = new FailedCallers()
  for (let at = 0; at < 100_000; at += 300) expect(slow.failed(attacker, at)).toBe(0)
})

it("forgets what failed when a member was let in from there", () => {
  const callers = new FailedCallers()
  fails(callers, 60, 0)
  callers.succeeded(attacker, 10)
  expect(callers.turnedAway(attacker, 10)).toBe(0)
  expect(fails(callers, 31, 10)).toBe(0)
  expect(fails(callers, 1, 10)).toBeGreaterThan(0)
})

it("counts an IPv6 network as one, and an IPv4 address however it is written", () => {
  const callers = new FailedCallers()
  for (let n = 0; n < 32; n++) callers.failed(`2001:db8:1:2::${n.toString(16)}`, 0)
  expect(callers.turnedAway("2001:db8:1:2:ffff::1", 0)).toBeGreaterThan(0)
  expect(callers.turnedAway("2001:db8:1:3::1", 0)).toBe(0)
  fails(callers, 32, 0, "::ffff:198.51.100.7")
  expect(callers.turnedAway("198.51.100.7", 0)).toBeGreaterThan(0)
})

it("whatever fails when: few a second are looked at on average, and nobody is away for more than ten seconds", () => {
  const comes = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(comes, (pauses) => {
      const callers = new FailedCallers()
      let [now, looked] = [0, 0]
      for (const pause of pauses) {
        now += pause
        if (callers.turnedAway(attacker, now) > 0) continue
        looked++
        const away = callers.failed(attacker, now)
        expect(away).toBeLessThanOrEqual(10_000)
        expect(callers.turnedAway(attacker, now)).toBe(away)
      }
      expect(looked).toBeLessThanOrEqual(32 + (now / 1_000) * 4 + 1)
    })
  )
})

it("keeps no more than so many addresses in mind", () => {
  const callers = new FailedCallers()
  fails(callers, 32, 0)
  for (let n = 0; n < 4_096; n++) callers.failed(`10.0.${n >> 8}.${n & 255}`, 0)
  expect(callers.turnedAway(attacker, 0)).toBe(0)
})
