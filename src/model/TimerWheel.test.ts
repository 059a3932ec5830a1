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

  it("fires at a time that is a tick in that tick, whatever the time was when it was said", () => {
    const wheel = new TimerWheel(0)
    const fired: Array<string> = []
    wheel.scheduleAt(7.3, 200, () => fired.push("at 200"))
    wheel.scheduleAt(33.777_777, 200, () => fired.push("at 200, too"))
    wheel.advance(100)
    wheel.scheduleAt(109, 50, () => fired.push("over"))
    expect(fired).toEqual([])
    wheel.advance(110)
    expect(fired).toEqual(["over"])
    wheel.advance(199)
    expect(fired.length).toBe(1)
    wheel.advance(200)
    expect(fired.length).toBe(3)
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

  it.each([1, 5_000])("fires the others of %s ms that are due when one throws", (apart) => {
    const wheel = new TimerWheel(0)
    const fired: Array<number> = []
    const defects: Array<unknown> = []
    wheel.onDefect = (error) => defects.push(error)
    for (const n of [1, 2, 3, 4]) {
      wheel.schedule(0, n * apart, () => {
        fired.push(n)
        if (n % 2 === 0) throw n
      })
    }
    wheel.advance(40_000)
    expect(fired.sort()).toEqual([1, 2, 3, 4])
    expect(defects.sort()).toEqual([2, 4])
    expect(wheel.size).toBe(0)
  })

  it("throws the first failure when all have fired, if nobody takes it", () => {
    const wheel = new TimerWheel(0)
    let fired = 0
    for (const n of [1, 2, 3]) {
      wheel.schedule(0, n * 100, () => {
        fired++
        throw new Error(`timer ${n}`)
      })
    }
    expect(() => wheel.advance(1_000)).toThrow("timer 1")
    expect(fired).toBe(3)
    expect(wheel.next()).toBeUndefined()
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

  it("says when its driver is to come back, and when that has become too late", () => {
    const wheel = new TimerWheel(0)
    const woken: Array<number> = []
    wheel.onWake = (at) => woken.push(at)
    wheel.schedule(0, 500, () => {})
    wheel.schedule(0, 20, () => {})
    wheel.schedule(0, 30, () => {})
    expect(woken).toEqual([500, 20])
    wheel.advance(20)
    expect(wheel.next()).toBe(30)
    wheel.advance(30)
    expect(wheel.next()).toBe(500)
    wheel.schedule(40, 600, () => {})
    wheel.schedule(40, 100, () => {})
    expect(woken).toEqual([500, 20, 140])
    wheel.advance(1_000)
    expect(wheel.next()).toBeUndefined()
    wheel.schedule(1_000, 50_000, () => {})
    expect(woken).toEqual([500, 20, 140, 51_000])
  })

  it("says when the timer that its driver waits for is called off", () => {
    const wheel = new TimerWheel(0)
    let told = 0
    wheel.onCalledOff = () => told++
    const first = wheel.schedule(0, 500, () => {})
    wheel.schedule(0, 800, () => {}).cancel()
    expect(told).toBe(0)
    first.cancel()
    first.cancel()
    expect(told).toBe(1)
    wheel.schedule(0, 900, () => {})
    expect(wheel.next()).toBe(900)
  })

  it("sleeps through the rounds of timers that are due in a later one", () => {
    const wheel = new TimerWheel(0, 10, 64)
    wheel.schedule(0, 10_000, () => {})
    let advances = 0
    for (let at = wheel.next(); at !== undefined; at = wheel.next()) {
      wheel.advance(at)
      advances++
    }
    expect(advances).toBe(Math.ceil(10_000 / 640))
  })

  it("fires everything in time when driven by what it says", () => {
    const timer = fc.record({ at: fc.nat(3_000), delay: fc.nat(20_000), cancel: fc.boolean() })
    fc.assert(
      fc.property(fc.array(timer, { maxLength: 80 }), (timers) => {
        const wheel = new TimerWheel(0, 10, 64)
        let alarm = Number.POSITIVE_INFINITY
        let now = 0
        wheel.onWake = (at) => {
          alarm = at
        }
        const run = (until: number) => {
          while (alarm <= until) {
            now = Math.max(now, alarm)
            wheel.advance(now)
            alarm = wheel.next() ?? Number.POSITIVE_INFINITY
          }
          now = until
        }
        const late: Array<number> = []
        let fired = 0
        for (const { at, cancel, delay } of timers.toSorted((a, b) => a.at - b.at)) {
          run(at)
          const made = wheel.schedule(at, delay, () => {
            fired++
            if (now < at + delay || now > at + delay + 20) late.push(now - at - delay)
          })
          if (cancel) made.cancel()
        }
        run(100_000)
        expect(late).toEqual([])
        expect(fired).toBe(timers.filter(({ cancel }) => !cancel).length)
        expect(wheel.size).toBe(0)
      })
    )
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

  it("fires one that can wait with others, and by itself when its patience is over", () => {
    const wheel = new TimerWheel(0, 10, 64)
    const fired: Array<string> = []
    wheel.schedule(0, 100, () => fired.push("patient"), 500)
    wheel.schedule(0, 50, () => fired.push("early"))
    expect(wheel.next()).toBe(50)
    wheel.advance(50)
    // Not due yet; then nobody is to come for it before its patience is over.
    expect(wheel.isRipe(90)).toBe(false)
    expect(wheel.next()).toBe(600)
    expect(wheel.isRipe(100)).toBe(true)
    wheel.advance(250)
    expect(fired).toEqual(["early", "patient"])
    wheel.schedule(250, 100, () => fired.push("alone"), 500)
    expect(wheel.next()).toBe(850)
    wheel.advance(850)
    expect(fired).toEqual(["early", "patient", "alone"])
    expect(wheel.size).toBe(0)
    expect(wheel.isRipe(10_000)).toBe(false)
  })

  it("one that can wait is called off, and schedules and throws as others do", () => {
    const wheel = new TimerWheel(0, 10, 64)
    const fired: Array<string> = []
    wheel.schedule(0, 20, () => fired.push("called off"), 100).cancel()
    wheel.schedule(
      0,
      20,
      () => {
        wheel.schedule(30, 20, () => fired.push("again"), 100)
        throw new Error("a bug")
      },
      100
    )
    wheel.schedule(0, 20, () => fired.push("other"), 100)
    expect(() => wheel.advance(30)).toThrow("a bug")
    expect(fired).toEqual(["other"])
    wheel.advance(60)
    expect(fired).toEqual(["other", "again"])
    expect(wheel.size).toBe(0)
  })
})
