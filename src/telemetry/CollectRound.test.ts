import { describe, expect, test } from "vitest"
import { TimerWheel } from "../model/TimerWheel.ts"
import { CollectRound } from "./CollectRound.ts"

/** Scrapes of threads `a` and `b`, on a clock by hand. */
const setUp = () => {
  let now = 0
  const wheel = new TimerWheel(now)
  const round = new CollectRound<string>({
    ticker: { after: (ms, run) => wheel.schedule(now, ms, run) },
    patience: 100
  })
  const asked: Array<string> = []
  const done: Array<string> = []
  return {
    round,
    asked,
    done,
    scrape: (name: string, threads = ["a", "b"]) =>
      round.begin(
        threads,
        (thread) => asked.push(thread),
        () => done.push(`${name} at ${now}`)
      ),
    pass: (ms: number) => {
      now += ms
      wheel.advance(now)
    }
  }
}

describe("CollectRound", () => {
  test("without threads is done at once", () => {
    const { done, scrape } = setUp()
    scrape("one", [])
    expect(done).toEqual(["one at 0"])
  })

  test("is done when the last has answered, once", () => {
    const { asked, done, pass, round, scrape } = setUp()
    scrape("one")
    round.answered("b")
    pass(30)
    expect([asked, done]).toEqual([["a", "b"], []])
    round.answered("a")
    expect(done).toEqual(["one at 30"])
    pass(1_000)
    round.answered("a")
    expect(done).toEqual(["one at 30"])
  })

  test("is done at once where all answer at once, as a plane in this thread does", () => {
    const { done, round } = setUp()
    const begin = () => round.begin(["a", "b"], round.answered.bind(round), () => done.push("done"))
    begin()
    begin()
    expect(done).toEqual(["done", "done"])
  })

  test("waits for a stalled thread as long as its patience, and asks it no second time", () => {
    const { asked, done, pass, round, scrape } = setUp()
    scrape("one")
    round.answered("a")
    pass(90)
    expect(done).toEqual([])
    pass(20)
    expect(done).toEqual(["one at 110"])
    expect(round.owing).toBe(1)
    for (let i = 0; i < 100; i++) {
      scrape("again")
      round.answered("a")
      pass(110)
    }
    expect(asked.filter((thread) => thread === "b").length).toBe(1)
    expect(done.length).toBe(101)
    scrape("last")
    round.answered("a")
    round.answered("b") // it is back
    expect(done.at(-1)).toBe(`last at ${101 * 110}`)
    scrape("next")
    expect(asked.slice(-2)).toEqual(["a", "b"])
  })

  test("waits for nobody who is no more", () => {
    const { done, round, scrape } = setUp()
    scrape("one")
    round.answered("a")
    round.ended("b")
    expect(done).toEqual(["one at 0"])
    round.ended("c")
    expect(round.owing).toBe(0)
  })

  test("a scrape beside another goes along with it", () => {
    const { asked, done, pass, scrape } = setUp()
    scrape("one")
    pass(50)
    scrape("two")
    pass(60)
    expect(done).toEqual(["one at 110", "two at 110"])
    expect(asked).toEqual(["a", "b"])
  })
})
