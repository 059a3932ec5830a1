import { expect, test } from "vitest"
import { TimerWheel } from "../../model/TimerWheel.ts"
import { Ticking } from "./Ticking.ts"

const make = (start: number) => {
  const wheel = new TimerWheel(start)
  const world = { now: start }
  const timers = {
    now: () => world.now,
    after: (delay: number, callback: () => void) => wheel.schedule(world.now, delay, callback)
  }
  const sleep = (ms: number) => {
    for (const end = world.now + ms; world.now < end; ) {
      world.now += 10
      wheel.advance(world.now)
    }
  }
  return { world, timers, sleep, wheel }
}

test("ticks at the same multiples of its interval as all others, and once in each", () => {
  const { sleep, timers, world } = make(1_070)
  const at: Array<number> = []
  const ticking = new Ticking(timers, 200, () => at.push(world.now))
  sleep(1_000)
  expect(at).toEqual([1_200, 1_400, 1_600, 1_800, 2_000])
  ticking.stop()
  sleep(1_000)
  expect(at.length).toBe(5)
})

test("does not tick twice where the first multiple is close, nor catch up with what was missed", () => {
  const { sleep, timers, wheel, world } = make(1_190)
  const at: Array<number> = []
  new Ticking(timers, 200, () => at.push(world.now))
  sleep(300)
  expect(at).toEqual([1_400])
  // The loop stood still.
  world.now += 2_000
  wheel.advance(world.now)
  sleep(200)
  expect(at.length).toBe(3)
})

test("goes on after a tick that throws", () => {
  const { sleep, timers } = make(1_000)
  let ticks = 0
  new Ticking(timers, 100, () => {
    ticks++
    throw new Error("a bug")
  })
  for (let round = 0; round < 3; round++) expect(() => sleep(100)).toThrow("a bug")
  expect(ticks).toBe(3)
})
