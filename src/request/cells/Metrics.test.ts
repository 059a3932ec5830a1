import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Histogram, latencyBounds, MetricRegistry } from "./Metrics.ts"

describe("MetricRegistry", () => {
  test("the same name and labels are the same cell", () => {
    const registry = new MetricRegistry()
    registry.counter("a_total", "").cell({ service: "x" }).inc()
    registry.counter("a_total", "").cell({ service: "x" }).inc(2)
    expect(registry.counter("a_total", "").cell({ service: "x" }).value).toBe(3)
    expect(registry.counter("a_total", "").cell({ service: "y" }).value).toBe(0)
  })

  test("one name cannot be two kinds", () => {
    const registry = new MetricRegistry()
    registry.counter("a_total", "")
    expect(() => registry.gauge("a_total", "")).toThrow("metric a_total is a counter, not a gauge")
    expect(() => registry.histogram("a_total", "")).toThrow("not a histogram")
  })

  test("past the limit new label values share one cell, and known ones keep theirs", () => {
    const registry = new MetricRegistry(2)
    const family = registry.gauge("g", "")
    const first = family.cell({ service: "a" })
    family.cell({ service: "b" })
    const third = family.cell({ service: "c" })
    expect(family.cell({ service: "d" })).toBe(third)
    expect(family.cell({ service: "a" })).toBe(first)
    expect([...family.cells.values()].map(({ labels }) => labels)).toEqual([
      { service: "a" },
      { service: "b" },
      { service: "other" }
    ])
  })

  test("a removed cell makes room", () => {
    const registry = new MetricRegistry(1)
    const family = registry.counter("c_total", "")
    family.cell({ endpoint: "a" }).inc()
    family.remove({ endpoint: "a" })
    expect(family.cell({ endpoint: "b" }).value).toBe(0)
    expect(family.cells.size).toBe(1)
    expect([...family.cells.values()][0]?.labels).toEqual({ endpoint: "b" })
  })
})

describe("Histogram", () => {
  const values = fc.array(fc.double({ min: 0, max: 100_000, noNaN: true }), { minLength: 1 })

  test("every value lies in the first bucket whose bound is not below it", () => {
    fc.assert(
      fc.property(values, (recorded) => {
        const histogram = new Histogram(latencyBounds)
        for (const value of recorded) histogram.record(value)
        expect(histogram.count).toBe(recorded.length)
        for (let i = 0; i <= latencyBounds.length; i++) {
          const above = i === 0 ? Number.NEGATIVE_INFINITY : latencyBounds[i - 1]!
          const upTo = latencyBounds[i] ?? Number.POSITIVE_INFINITY
          const expected = recorded.filter((value) => value > above && value <= upTo).length
          expect(histogram.counts[i]).toBe(expected)
        }
      })
    )
  })

  test("a quantile lies in the bucket of the value of that rank", () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (recorded, q) => {
        const histogram = new Histogram(latencyBounds)
        for (const value of recorded) histogram.record(value)
        const sorted = [...recorded].sort((a, b) => a - b)
        const exact = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
        const bucket = latencyBounds.findIndex((bound) => exact <= bound)
        const last = latencyBounds[latencyBounds.length - 1]!
        const upper = bucket === -1 ? last : latencyBounds[bucket]!
        const lower = bucket === -1 ? last : bucket === 0 ? 0 : latencyBounds[bucket - 1]!
        const found = histogram.quantile(q)
        expect(found).toBeGreaterThanOrEqual(lower)
        expect(found).toBeLessThanOrEqual(upper)
      })
    )
  })

  test("nothing recorded: 0", () => {
    expect(new Histogram([1, 2]).quantile(0.99)).toBe(0)
  })
})
