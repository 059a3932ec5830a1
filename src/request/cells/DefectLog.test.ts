import { describe, expect, it } from "vitest"
import { DefectLog } from "./DefectLog.ts"
import { MetricRegistry } from "./Metrics.ts"

const setUp = () => {
  const registry = new MetricRegistry()
  const lines: Array<string> = []
  const clock = { now: 0 }
  const defects = new DefectLog({
    registry,
    log: (level, message) => lines.push(`${level} ${message}`),
    now: () => clock.now
  })
  const family = registry.counter("skein_defects_total", "", ["where"])
  const counted = (): Record<string, number> =>
    Object.fromEntries(
      Array.from(family.cells.values(), ({ cell, labels }) => [labels["where"] ?? "", cell.value])
    )
  return { defects, lines, clock, counted }
}

describe("DefectLog", () => {
  it("counts all, and tells each place once a minute, with the stack", () => {
    const { defects, lines, clock, counted } = setUp()
    for (let i = 0; i < 5; i++) defects.report(new TypeError("x is undefined"), "a timer")
    defects.report("no error", "the view")
    expect(counted()).toEqual({ "a timer": 5, "the view": 1 })
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(
      /^error a bug in Skein threw in a timer; .*TypeError: x is undefined\n +at /s
    )
    expect(lines[1]).toMatch(/threw in the view; .*no error$/)
    clock.now = 59_999
    defects.report(new Error("again"), "a timer")
    expect(lines).toHaveLength(2)
    clock.now = 60_000
    defects.report(new Error("later"), "a timer")
    expect(lines[2]).toMatch(
      /in a timer \(and 5 times since the last line of this\); .*Error: later/
    )
  })

  it("tells a bounded number of places apart", () => {
    const { defects, lines, counted } = setUp()
    for (let i = 0; i < 1_000; i++) defects.report(new Error("x"), `place ${i}`)
    expect(Object.keys(counted())).toHaveLength(65)
    expect(counted()["elsewhere"]).toBe(1_000 - 64)
    expect(lines).toHaveLength(65)
  })
})
