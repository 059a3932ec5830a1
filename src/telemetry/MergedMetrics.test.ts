import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { CellBatch } from "../request/cells/CellJournal.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { orphanKept } from "./MergedFamily.ts"
import { MergedMetrics } from "./MergedMetrics.ts"
import { prometheusText } from "./PrometheusText.ts"

/** A node whose threads have registries of their own; nothing but batches goes between. */
const setUp = (limit?: number) => {
  let now = 0
  const own = new MetricRegistry()
  const merged = new MergedMetrics({
    own,
    now: () => now,
    ...(limit === undefined ? {} : { limit })
  })
  const begin = () => {
    const registry = new MetricRegistry()
    const cells = merged.thread()
    return {
      registry,
      /** The batch reaches the mesh thread, and its answer the thread. */
      tell: () => {
        const batch: CellBatch | undefined = registry.takeJournal()
        if (batch === undefined) return
        cells.apply(batch)
        registry.journalApplied(batch.serial)
      },
      end: () => cells.end()
    }
  }
  const lines = () =>
    prometheusText(merged)
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
  return {
    own,
    merged,
    begin,
    lines,
    pass: (ms: number) => {
      now += ms
    }
  }
}

describe("MergedMetrics", () => {
  test("counters, gauges and histograms of all threads add up; what all say alike is the most", () => {
    const node = setUp()
    const threads = [node.begin(), node.begin()]
    for (const [i, { registry, tell }] of threads.entries()) {
      registry
        .counter("c_total", "Cs.", ["service"])
        .cell({ service: "x" })
        .inc(i + 1)
      registry
        .gauge("g", "Gs.", [])
        .cell({})
        .set(10 * (i + 1))
      registry
        .gauge("m", "Ms.", [], "max")
        .cell({})
        .set(-i - 1)
      const histogram = registry.histogram("h_seconds", "Hs.", [], [7.5, 10]).cell({})
      histogram.record(7.5)
      histogram.record(100)
      tell()
    }
    node.own.counter("c_total", "Cs.", ["service"]).cell({ service: "x" }).inc(4)
    expect(node.lines()).toEqual([
      'c_total{service="x"} 7',
      "g 30",
      "m -1",
      "h_seconds_count 4",
      "h_seconds_sum 0.215",
      'h_seconds_bucket{le="0.0075"} 2',
      'h_seconds_bucket{le="0.01"} 2',
      'h_seconds_bucket{le="+Inf"} 4'
    ])
  })

  test("numbers are read where they are, without a word from the thread", () => {
    const node = setUp()
    const { registry, tell } = node.begin()
    const cell = registry.counter("c_total", "", []).cell({})
    tell()
    cell.inc(3)
    expect(node.lines()).toEqual(["c_total 3"])
    cell.inc()
    expect(node.lines()).toEqual(["c_total 4"])
  })

  test("a thread that ends leaves what it counted, and takes what it measured along", () => {
    const node = setUp()
    const [first, second] = [node.begin(), node.begin()]
    for (const { registry, tell } of [first, second]) {
      registry.counter("c_total", "", []).cell({}).inc(2)
      registry.gauge("g", "", []).cell({}).set(5)
      registry.histogram("h_seconds", "", [], [1]).cell({}).record(1)
      tell()
    }
    first.end()
    expect(node.lines().slice(0, 2)).toEqual(["c_total 4", "g 5"])
    second.end()
    expect(node.lines()).toEqual(
      [
        "c_total 4",
        "h_seconds_count 2",
        "h_seconds_sum 0.002",
        'h_seconds_bucket{le="1"} 2',
        'h_seconds_bucket{le="+Inf"} 2'
      ].map((line) => line.replace('le="1"', 'le="0.001"'))
    )
    const third = node.begin()
    third.registry.counter("c_total", "", []).cell({}).inc()
    third.tell()
    expect(node.lines()[0]).toBe("c_total 5")
    node.pass(orphanKept)
    expect(node.lines()).toEqual(["c_total 5"])
  })

  test("what one thread frees stays counted while another has it, and then ends", () => {
    const node = setUp()
    const [first, second] = [node.begin(), node.begin()]
    for (const { registry, tell } of [first, second]) {
      registry.counter("c_total", "", ["service"]).cell({ service: "x" }).inc(2)
      tell()
    }
    const family = first.registry.counter("c_total", "", ["service"])
    family.remove({ service: "x" })
    family.cell({ service: "y" }).inc(7) // must not be taken for what x was
    expect(node.lines()).toEqual(['c_total{service="x"} 4'])
    first.tell()
    expect(node.lines()).toEqual(['c_total{service="x"} 4', 'c_total{service="y"} 7'])
    second.registry.counter("c_total", "", ["service"]).remove({ service: "x" })
    second.tell()
    expect(node.lines()).toEqual(['c_total{service="y"} 7'])
  })

  test("a thread that had more to tell than it keeps is read anew", () => {
    const node = setUp()
    const { registry, tell } = node.begin()
    const family = registry.counter("c_total", "", ["service"])
    family.cell({ service: "kept" }).inc()
    family.cell({ service: "gone" }).inc()
    tell()
    family.remove({ service: "gone" })
    for (let i = 0; i < 20_000; i++) {
      family.cell({ service: "brief" })
      family.remove({ service: "brief" })
    }
    tell()
    expect(node.lines()).toEqual(['c_total{service="kept"} 1'])
  })

  test("labels are bounded over all threads; orphans make room for what is alive", () => {
    const node = setUp(3)
    const ended = node.begin()
    ended.registry.counter("c_total", "", ["service"]).cell({ service: "old" }).inc()
    ended.tell()
    ended.end()
    for (const [thread, services] of [["ab"], ["cde"]].map(([s]) => [node.begin(), s] as const)) {
      for (const service of services ?? "") {
        thread.registry.counter("c_total", "", ["service"]).cell({ service }).inc()
      }
      thread.tell()
    }
    expect(node.lines()).toEqual([
      'c_total{service="a"} 1',
      'c_total{service="b"} 1',
      'c_total{service="c"} 1',
      'c_total{service="other"} 2'
    ])
  })

  test("one name cannot be two kinds, in different threads neither", () => {
    const node = setUp()
    const { registry, tell } = node.begin()
    node.own.counter("a_total", "")
    node.lines()
    registry.gauge("a_total", "").cell({})
    expect(tell).toThrow("metric a_total is a counter with 0 bounds, not a gauge with 0")
  })

  test("no counter ever goes down while a thread has it, whatever threads do and when it is told", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("inc" as const), thread: fc.nat(2), service: fc.nat(3) }),
      fc.record({ kind: fc.constant("remove" as const), thread: fc.nat(2), service: fc.nat(3) }),
      fc.record({ kind: fc.constant("tell" as const), thread: fc.nat(2), service: fc.nat(3) }),
      fc.record({ kind: fc.constant("end" as const), thread: fc.nat(2), service: fc.nat(3) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const node = setUp()
        const keeper = node.begin()
        const kept = Array.from({ length: 4 }, (_, i) =>
          keeper.registry.counter("c_total", "", ["service"]).cell({ service: String(i) })
        )
        keeper.tell()
        expect(kept.length).toBe(4)
        const threads = [node.begin(), node.begin(), node.begin()]
        const seen = new Map<string, number>()
        for (const { kind, thread, service } of steps) {
          const { registry, tell, end } = threads[thread]!
          const labels = { service: String(service) }
          const family = registry.counter("c_total", "", ["service"])
          if (kind === "inc") family.cell(labels).inc()
          if (kind === "remove") family.remove(labels)
          if (kind === "tell") tell()
          if (kind === "end") {
            end()
            threads[thread] = node.begin()
          }
          node.merged.collect()
          const merged = node.merged.families.get("c_total")
          if (merged?.kind !== "counter") throw new Error("c_total is missing")
          for (const [key, { cell }] of merged.cells) {
            expect(cell.value).toBeGreaterThanOrEqual(seen.get(key) ?? 0)
            seen.set(key, cell.value)
          }
        }
      })
    )
  })
})
