import { afterEach, describe, expect, it, vi } from "vitest"
import { until } from "../../test/fixtures/Processes.ts"
import { LoopTicker } from "./LoopTicker.ts"

describe("LoopTicker", () => {
  let ticker = new LoopTicker()
  afterEach(() => {
    ticker.stop()
    ticker = new LoopTicker()
  })

  it("reports a timer that throws, and fires those that are due later", async () => {
    const defects: Array<readonly [unknown, string]> = []
    ticker.onDefect = (...told) => defects.push(told)
    const error = new Error("in a timer")
    let fired = false
    ticker.after(1, () => {
      throw error
    })
    ticker.after(50, () => {
      fired = true
    })
    await until("the timer has fired", () => fired || undefined)
    expect(defects).toEqual([[error, "a timer"]])
  })

  it("does not wake for a timer that was called off", () => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"]
    })
    try {
      const sleeper = new LoopTicker()
      let fired = 0
      const began = performance.now()
      const first = sleeper.after(500, () => fired++)
      sleeper.after(2_000, () => fired++)
      vi.advanceTimersByTime(150)
      sleeper.now()
      first.cancel()
      vi.advanceTimersByTime(10)
      vi.advanceTimersToNextTimer()
      // Nothing has woken it in between.
      expect(performance.now() - began).toBeGreaterThan(1_950)
      vi.advanceTimersByTime(100)
      expect(fired).toBe(1)
      sleeper.stop()
    } finally {
      vi.useRealTimers()
    }
  })
})
