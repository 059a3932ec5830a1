import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { LoopTicker } from "../LoopTicker.ts"
import { LoopDelay } from "./LoopDelay.ts"
import { MetricRegistry } from "./Metrics.ts"

describe("LoopDelay", () => {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "performance"]
    })
  })
  afterEach(() => vi.useRealTimers())

  /** One turn that takes so long: nothing fires meanwhile. */
  const hold = (ms: number) => {
    const end = performance.now() + ms
    vi.spyOn(performance, "now").mockReturnValue(end)
    vi.advanceTimersToNextTimer()
    vi.mocked(performance.now).mockRestore()
  }

  it("looks at the alarms that ring anyway, and wakes a thread that rests every five seconds", () => {
    const ticker = new LoopTicker()
    const delay = new LoopDelay(new MetricRegistry(), "0", ticker)
    const began = performance.now()
    vi.advanceTimersToNextTimer()
    expect(performance.now() - began).toBe(5_000)
    ticker.after(2_000, () => undefined)
    hold(2_300)
    expect(delay.recent).toBeGreaterThan(250)
    delay.stop()
    ticker.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  it("looks once a second where it is not told of alarms", () => {
    const delay = new LoopDelay(new MetricRegistry(), "0", {})
    const began = performance.now()
    vi.advanceTimersToNextTimer()
    expect(performance.now() - began).toBe(1_000)
    hold(1_400)
    expect(delay.recent).toBeCloseTo(400)
    delay.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})
