import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { TimerWheel } from "./TimerWheel.ts"

describe("TimerWheel", () => {
  it("fires at the deadline rounded up to a tick, once", () => {
    const wheel = new TimerWheel(0)
    let fired = 0
    wheel.schedule(0, 25, () => fired++)
    wheel.advance(20)
    expect(fired).toBe(0)
    wheel.advance(30)
    wheel.advance(10_000)
    expect(fired).toBe(1)
    expect(wheel.size).toBe(0)
  })

  it("does not fire what was cancelled, also by another timer of the same tick", () => {
    const wheel = new TimerWheel(0)
    const fired: Array<string> = []
    let second = wheel.schedule(0, 10, () => fired.push("never"))
    second.cancel()
    wheel.schedule(0, 10, () => second.cancel())
    second = wheel.schedule(0, 10, () => fired.push("second"))
    const first = fired.length
    wheel.advance(10)
    expect(first).toBe(0)
    expect(fired).toEqual([])
    expect(wheel.size).toBe(0)
  })

  it("lets a callback schedule again", () => {
    const wheel = new TimerWheel(0)
    const at: Array<number> = []
    const again = (now: number) => {
      at.push(now)
      if (at.length < 3) wheel.schedule(now, 10, () => again(now + 10))
    }
    wheel.schedule(0, 10, () => again(10))
    for (let now = 10; now <= 100; now += 10) wheel.advance(now)
    expect(at).toEqual([10, 20, 30])
  })

  it("says when it stops being empty", () => {
    const wheel = new TimerWheel(0)
    let woken = 0
    wheel.onWake = () => woken++
    wheel.schedule(0, 10, () => {})
    wheel.schedule(0, 10, () => {})
    wheel.advance(10)
    wheel.schedule(10, 10, () => {})
    expect(woken).toBe(2)
  })

  it("never fires early, and never later than the first advance past the deadline", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ delay: fc.nat(50_000), cancel: fc.boolean() }), { maxLength: 50 }),
        fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 30 }),
        (timers, steps) => {
          const wheel = new TimerWheel(0, 10, 64)
          let now = 0
          const firedAt = new Map<number, number>()
          timers.forEach(({ delay, cancel }, index) => {
            const timer = wheel.schedule(0, delay, () => firedAt.set(index, now))
            if (cancel) timer.cancel()
          })
          let before = 0
          const visited: Array<readonly [number, number]> = []
          for (const step of steps) {
            now += step
            wheel.advance(now)
            visited.push([before, now])
            before = now
          }
          timers.forEach(({ delay, cancel }, index) => {
            const due = Math.max(10, Math.ceil(delay / 10) * 10)
            const expected = visited.find(([, to]) => Math.floor(to / 10) * 10 >= due)?.[1]
            expect(firedAt.get(index)).toBe(cancel ? undefined : expected)
          })
          expect(wheel.size).toBe(timers.filter((t) => !t.cancel).length - firedAt.size)
        }
      )
    )
  })
})
