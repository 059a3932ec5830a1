import { afterEach, describe, expect, it } from "vitest"
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
})
