import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type CellBatch, maxEntries } from "./CellJournal.ts"
import { Histogram, latencyBounds } from "./Cells.ts"
import { MetricRegistry } from "./Metrics.ts"

const chunkOf = (batch: CellBatch | undefined): SharedArrayBuffer => {
  for (const entry of batch?.entries ?? []) if (entry.kind === "chunk") return entry.memory
  throw new Error("no chunk was told of")
}

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
    const registry = new MetricRegistry({ cells: 2 })
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
    const registry = new MetricRegistry({ cells: 1 })
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

describe("the journal", () => {
  const kinds = (batch: CellBatch | undefined) => batch?.entries.map(({ kind }) => kind)

  test("tells all there is at first, and then what has changed", () => {
    const registry = new MetricRegistry()
    const family = registry.gauge("g", "Gs.", ["service"], "max")
    family.cell({ service: "a" })
    const first = registry.takeJournal()
    expect(first?.whole).toBe(true)
    expect(kinds(first)).toEqual(["chunk", "family", "cell"])
    expect(first?.entries[1]).toMatchObject({ facts: { name: "g", help: "Gs.", merge: "max" } })
    expect(registry.takeJournal()).toBeUndefined()
    family.cell({ service: "a" })
    expect(registry.hasJournal).toBe(false)
    family.cell({ service: "b" })
    family.remove({ service: "a" })
    registry.histogram("h_seconds", "", [], [1, 2])
    const next = registry.takeJournal()
    expect(next?.whole).toBe(false)
    expect(kinds(next)).toEqual(["cell", "removed", "family"])
    expect(structuredClone(next)).toEqual(next)
  })

  test("slots of a removed cell go to another only after the reader knows", () => {
    const registry = new MetricRegistry({ chunkSlots: 2, chunks: 1 })
    const family = registry.counter("c_total", "", ["service"])
    family.cell({ service: "a" }).inc(5)
    const memory = new Float64Array(chunkOf(registry.takeJournal()))
    family.remove({ service: "a" })
    family.cell({ service: "b" }).inc()
    expect([...memory]).toEqual([5, 1])
    const batch = registry.takeJournal()!
    registry.journalApplied(batch.serial - 1)
    family.remove({ service: "b" })
    expect(family.cell({ service: "c" }).value).toBe(0)
    expect([...memory]).toEqual([5, 1]) // the memory is full: this one nobody else sees
    registry.journalApplied(batch.serial)
    family.clear()
    family.cell({ service: "d" }).inc(9)
    expect([...memory]).toEqual([9, 1])
  })

  test("who holds a removed cell cannot write into another's", () => {
    const registry = new MetricRegistry()
    const family = registry.gauge("g", "", ["endpoint"])
    const gone = family.cell({ endpoint: "a" })
    gone.set(3)
    family.remove({ endpoint: "a" })
    const next = family.cell({ endpoint: "b" })
    gone.add(-1)
    expect([gone.value, next.value]).toEqual([2, 0])
  })

  test("that nobody takes is bounded, and then begins anew", () => {
    const registry = new MetricRegistry()
    const family = registry.counter("c_total", "", ["service"])
    registry.takeJournal()
    for (let i = 0; i < maxEntries; i++) {
      family.cell({ service: `s${i}` })
      family.remove({ service: `s${i}` })
    }
    family.cell({ service: "last" })
    const batch = registry.takeJournal()
    expect(batch?.whole).toBe(true)
    expect(batch?.entries.filter(({ kind }) => kind === "cell").length).toBe(1)
  })

  test("without a reader nothing is kept", () => {
    const registry = new MetricRegistry({ chunkSlots: 2, chunks: 1 })
    const family = registry.counter("c_total", "", ["service"])
    for (let i = 0; i < 100; i++) {
      family.cell({ service: `s${i}` }).inc()
      family.remove({ service: `s${i}` })
    }
    family.cell({ service: "last" }).inc(4)
    expect([...new Float64Array(chunkOf(registry.takeJournal()))]).toContain(4)
  })

  test("a full memory is like too many labels", () => {
    const registry = new MetricRegistry({ chunkSlots: 2, chunks: 1 })
    const family = registry.counter("c_total", "", ["service"])
    for (let i = 0; i < 5; i++) family.cell({ service: `s${i}` }).inc()
    expect([...family.cells.values()].map(({ labels, cell }) => [labels, cell.value])).toEqual([
      [{ service: "s0" }, 1],
      [{ service: "s1" }, 1],
      [{ service: "other" }, 3]
    ])
  })

  test("a sweep frees what was not asked for since the last one, and tells of nothing else", () => {
    const registry = new MetricRegistry()
    const family = registry.gauge("g", "", ["service"])
    const scrape = (...services: ReadonlyArray<string>) => {
      for (const service of services) family.cell({ service }).set(1)
      family.sweep()
      return kinds(registry.takeJournal())
    }
    scrape("a", "b")
    expect(scrape("a", "b")).toBeUndefined()
    expect(scrape("b", "c")).toEqual(["cell", "removed"])
    expect([...family.cells.values()].map(({ labels }) => labels["service"])).toEqual(["b", "c"])
  })
})
