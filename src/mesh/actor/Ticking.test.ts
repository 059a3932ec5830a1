import { Effect, Exit, Fiber, Scope } from "effect"
import { describe, expect, test, vi } from "vitest"
import { TimerWheel } from "../../model/TimerWheel.ts"
import { DueTicking, lookingAfter, restFor, Ticking } from "./Ticking.ts"

const make = (start: number) => {
  const wheel = new TimerWheel(start)
  const world = { now: start }
  const timers = {
    now: () => world.now,
    after: (delay: number, callback: () => void, patience?: number) =>
      wheel.schedule(world.now, delay, callback, patience),
    at: (time: number, callback: () => void, patience?: number) =>
      wheel.scheduleAt(world.now, time, callback, patience)
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

test("is not late because it was armed late in a turn that took long", () => {
  const { sleep, timers, wheel, world } = make(1_070)
  // As the thread's clock, which is read once in a turn.
  const slow = { ...timers, now: () => world.now - (world.now === 1_160 ? 90 : 0) }
  const late: Array<number> = []
  const note = (at: number) => late.push(world.now - at)
  world.now = 1_160
  new Ticking(slow, 200, note)
  new DueTicking(slow, { every: 200, atLeast: 200, dueIn: () => 0 }, note)
  sleep(40)
  expect(late).toEqual([0, 0])
  expect(wheel.size).toBe(2)
})

test("waits for something else to wake the thread, as long as it can", () => {
  const { timers, wheel, world } = make(1_000)
  const at: Array<number> = []
  const ticking = new Ticking(timers, 1_000, () => at.push(world.now), 400)
  expect(wheel.next()).toBe(2_400)
  world.now = 2_150
  wheel.advance(world.now)
  expect(at).toEqual([2_150])
  expect(wheel.next()).toBe(3_400)
  world.now = 3_400
  wheel.advance(world.now)
  expect(at).toEqual([2_150, 3_400])
  ticking.stop()
  expect(wheel.size).toBe(0)
})

test("a fiber rests until something else wakes the thread, half as long again at most", async () => {
  const { timers, wheel, world } = make(0)
  const fiber = Effect.runFork(restFor(5_000, timers))
  await Promise.resolve()
  expect(wheel.next()).toBe(7_500)
  world.now = 5_100
  wheel.advance(world.now)
  expect(Exit.isSuccess(await Effect.runPromise(Fiber.await(fiber)))).toBe(true)
  const given = Effect.runFork(restFor(5_000, timers))
  await Promise.resolve()
  expect(wheel.size).toBe(1)
  await Effect.runPromise(Fiber.interrupt(given))
  expect(wheel.size).toBe(0)
})

test("looks in plain code, and waits for what a look answers with, until its scope closes", async () => {
  const { timers, wheel, world } = make(0)
  const wake = (at: number) => {
    world.now = at
    wheel.advance(at)
  }
  const looked: Array<number> = []
  const latch = Effect.runSync(Effect.makeLatch())
  const scope = Effect.runSync(Scope.make())
  const look = () => {
    looked.push(world.now)
    return looked.length === 2 ? latch.await : undefined
  }
  await Effect.runPromise(Scope.extend(lookingAfter(timers, 5_000, look), scope))
  expect(wheel.next()).toBe(7_500)
  wake(5_100)
  expect(wheel.next()).toBe(12_600)
  wake(12_600)
  expect(wheel.next()).toBeUndefined()
  await Effect.runPromise(Effect.zipRight(latch.open, Effect.yieldNow()))
  await vi.waitFor(() => expect(wheel.next()).toBe(20_100))
  expect(looked).toEqual([5_100, 12_600])
  await Effect.runPromise(Scope.close(scope, Exit.void))
  expect(wheel.size).toBe(0)
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

describe("ticks that are left out", () => {
  /** Something to do at these times. */
  const makeDue = (start: number, times: Array<number>) => {
    const all = make(start)
    const { timers, world } = all
    const ticked: Array<readonly [at: number, meant: number]> = []
    const dueIn = () => (times[0] ?? Number.POSITIVE_INFINITY) - world.now
    const ticks = new DueTicking(timers, { every: 200, atLeast: 1_000, dueIn }, (meant) => {
      ticked.push([world.now, meant])
      while (times[0] !== undefined && times[0] <= world.now) times.shift()
      ticks.look()
    })
    ticks.look()
    return { ...all, ticked, ticks, times: () => ticked.map(([at]) => at) }
  }

  test("come at the multiples at which there is something to do, and once in a while", () => {
    const { sleep, times } = makeDue(1_070, [1_090, 1_300, 1_400, 4_850])
    sleep(4_930)
    expect(times()).toEqual([1_200, 1_400, 2_400, 3_400, 4_400, 5_000, 6_000])
  })

  test("come sooner or later as soon as that is known, and never twice at one multiple", () => {
    const due = [5_000]
    const { sleep, ticks, times } = makeDue(1_000, due)
    sleep(110)
    due[0] = 1_100
    ticks.look()
    sleep(90)
    due[0] = 1_200
    ticks.look()
    sleep(100)
    expect(times()).toEqual([1_200])
    due[0] = 1_900
    ticks.look()
    sleep(700)
    expect(times()).toEqual([1_200, 2_000])
    ticks.stop()
    sleep(5_000)
    expect(times().length).toBe(2)
  })

  test("tell for when they were meant, and do not catch up", () => {
    const { sleep, ticked, wheel, world } = makeDue(1_000, [1_100])
    world.now += 2_150
    wheel.advance(world.now)
    sleep(1_050)
    expect(ticked).toEqual([
      [3_150, 1_200],
      [4_000, 4_000]
    ])
  })

  test("tell how late they are though something is looked at before them", () => {
    const { sleep, ticked, ticks, wheel, world } = makeDue(1_000, [1_150])
    // The loop stood still, and what was heard meanwhile is handled first.
    world.now += 950
    ticks.look()
    wheel.advance(world.now)
    sleep(250)
    expect(ticked).toEqual([[1_950, 1_200]])
    sleep(900)
    expect(ticked.at(-1)).toEqual([2_800, 2_800])
  })

  test("come before their time where the thread is awake for something else, once between two multiples", () => {
    const { timers, wheel, world } = make(1_000)
    const due = [1_730, 2_350, 9_000]
    const ticked: Array<readonly [at: number, meant: number]> = []
    const dueIn = () => (due[0] ?? Number.POSITIVE_INFINITY) - world.now
    const options = { every: 200, atLeast: 1_000, dueIn, early: 200 }
    const ticks = new DueTicking(timers, options, (meant) => {
      ticked.push([world.now, meant])
      while (due[0] !== undefined && due[0] <= world.now + 200) due.shift()
    })
    const wake = (at: number) => {
      world.now = at
      wheel.advance(at)
      ticks.look()
    }
    ticks.look()
    wake(1_510)
    expect(ticked).toEqual([])
    expect(wheel.next()).toBe(1_800)
    wake(1_540)
    expect(ticked).toEqual([[1_540, 1_800]])
    // Nothing else comes.
    expect(wheel.next()).toBe(2_400)
    wake(2_400)
    expect(ticked.at(-1)).toEqual([2_400, 2_400])
    // What is looked at once in a while, too.
    wake(3_190)
    wake(3_210)
    expect(ticked.slice(2)).toEqual([[3_210, 3_400]])
    due[0] = 3_220
    ticks.look()
    wake(3_390)
    expect(ticked.length).toBe(3)
    wake(3_400)
    expect(ticked.slice(3)).toEqual([[3_400, 3_400]])
  })

  test("come at their time where what is due is so already, or may be done early", () => {
    const { timers, wheel, world } = make(1_000)
    let due = 9_000
    const ticked: Array<number> = []
    const options = { every: 200, atLeast: 1_000, dueIn: () => due - world.now, early: 100 }
    const ticks = new DueTicking(timers, options, () => ticked.push(world.now))
    world.now = 1_200
    wheel.advance(1_200)
    for (const late of [0, 80]) {
      world.now = 1_750
      due = 1_750 + late
      ticks.look()
      expect(wheel.next()).toBe(1_800 + (late > 50 ? 200 : 0))
    }
    expect(ticked).toEqual([1_200])
  })

  test("come though one of them throws", () => {
    const { sleep, timers } = make(1_000)
    let ticks = 0
    const options = { every: 200, atLeast: 400, dueIn: () => 0 }
    new DueTicking(timers, options, () => {
      ticks++
      throw new Error("a bug")
    })
    expect(() => sleep(200)).toThrow("a bug")
    expect(() => sleep(400)).toThrow("a bug")
    expect(ticks).toBe(2)
  })
})
