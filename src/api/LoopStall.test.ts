/** How a program finds that its event loop stood still, and what it costs while it does not. */
import { expect, it } from "vitest"
import { ManualTicker } from "../testing/LinkTestPair.ts"
import { LoopStall } from "./LoopStall.ts"

/** What a program that is silent for so long loses its links for, ms. */
const silence = 2_500

it("wakes a program once a second, when its other ticks of a second do", () => {
  const ticker = new ManualTicker()
  ticker.advance(370)
  const woken: Array<number> = []
  const stall = new LoopStall({
    now: () => ticker.now(),
    wall: () => ticker.wall(),
    random: () => ticker.random(),
    after: (delay, callback) =>
      ticker.after(delay, () => {
        woken.push(ticker.now())
        callback()
      })
  })
  ticker.advance(60_000)
  stall.stop()
  ticker.advance(5_000)
  expect(woken.length).toBeGreaterThan(55)
  expect(woken.length).toBeLessThanOrEqual(60)
  expect(woken.filter((at) => at % 1_000 > 10)).toEqual([])
  expect(stall.within(100_000)).toBeUndefined()
})

it("finds each stall that costs the links, wherever between two looks it began", () => {
  for (let began = 0; began < 1_500; began += 50) {
    const ticker = new ManualTicker()
    const stall = new LoopStall(ticker)
    ticker.advance(5_000 + began)
    ticker.jump(silence)
    const found = stall.within(100)
    expect(found).toBeGreaterThanOrEqual(1_000)
    expect(found).toBeLessThanOrEqual(silence)
    ticker.advance(200)
    expect(stall.within(100)).toBeUndefined()
    stall.stop()
  }
})
