import { describe, expect, test } from "vitest"
import { compareResults, describeComparison, hasRegressed } from "./Compare.ts"
import { decodeResults, encodeResults, type Result, type Row, withResult } from "./Result.ts"
import { describeResult, markdownOf } from "./ResultTable.ts"

const row = (peer: string, cpu: ReadonlyArray<number>, rest: Partial<Row> = {}): Row => ({
  case: "get-64",
  peer,
  rounds: { cpu, rate: cpu.map((value) => 1e6 / value) },
  errors: 0,
  ...rest
})

const result = (rows: ReadonlyArray<Row>, rest: Partial<Result> = {}): Result => ({
  question: "http",
  at: "2026-01-01T00:00:00.000Z",
  code: "abc1234",
  runtime: "Node v24",
  processor: "2 × x",
  method: "wrk",
  reference: "haproxy",
  measures: [
    { key: "cpu", label: "CPU µs/request", digits: 1, better: "lower", judged: 0.02 },
    { key: "rate", label: "requests/s", digits: 0, better: "higher", judged: false }
  ],
  rows,
  absent: [],
  ...rest
})

const haproxy = row("haproxy", [20, 20, 20])

describe("a change is judged by the ratio to the reference", () => {
  test("a machine that is half as fast is no regression", () => {
    const before = result([row("skein", [80, 80, 80]), haproxy])
    const now = result([row("skein", [160, 162, 158]), row("haproxy", [40, 40.5, 39.5])])
    const found = compareResults(before, now)
    expect(hasRegressed(found)).toBe(false)
    expect(found.findings).toMatchObject([{ before: 4, now: 4, regressed: false }])
  })

  test("worse by more than the spread is a regression, within it is none", () => {
    const before = result([row("skein", [78, 80, 82, 80, 80]), haproxy])
    const at = (values: ReadonlyArray<number>) =>
      compareResults(before, result([row("skein", values), haproxy]))
    expect(hasRegressed(at([88, 88, 88, 88, 88]))).toBe(true)
    expect(hasRegressed(at([60, 80, 88, 100, 120]))).toBe(false)
    expect(hasRegressed(at([81, 81, 81, 81, 81]))).toBe(false)
    expect(at([60, 60, 60, 60, 60]).findings[0]?.worse).toBeCloseTo(-0.25)
  })

  test("where more is better, less is a regression", () => {
    const measures = [
      { key: "rate", label: "requests/s", digits: 0, better: "higher", judged: 0.02 }
    ] as const
    const of = (cpu: number) => result([row("skein", [cpu, cpu, cpu]), haproxy], { measures })
    expect(hasRegressed(compareResults(of(80), of(100)))).toBe(true)
    expect(hasRegressed(compareResults(of(100), of(80)))).toBe(false)
  })

  test("without a reference figures stand for themselves", () => {
    const { reference: _, ...alone } = result([row("skein", [100])])
    expect(hasRegressed(compareResults(alone, { ...alone, rows: [row("skein", [110])] }))).toBe(
      true
    )
  })

  test("what cannot be judged is said, never passed over", () => {
    const before = result([row("skein", [80]), haproxy])
    const lone = compareResults(before, result([row("skein", [300])]))
    expect(lone.findings).toEqual([])
    expect(lone.missing).toEqual(["get-64, CPU µs/request: no haproxy in one run"])
    const other = result([row("skein", [80], { case: "new" })])
    expect(compareResults(before, other).missing).toEqual(["new: not in the baseline"])
    const failed = result([row("skein", [80], { errors: 3 }), haproxy])
    expect(compareResults(before, failed).missing).toEqual(["get-64: 3 requests failed"])
  })

  test("each way of running Skein is judged, and what it is divided by beside it is not asked", () => {
    const ways = (two: number) => [
      row("skein, 1 thread", [80, 80]),
      row("skein, 2 threads", [two, two], { over: "skein, 1 thread" }),
      row("haproxy", [20, 20]),
      row("haproxy, 2 threads", [two, two], { over: "haproxy" })
    ]
    const { findings } = compareResults(result(ways(90)), result(ways(120)))
    expect(findings.map((it) => [it.case, it.regressed])).toEqual([
      ["get-64, skein, 1 thread", false],
      ["get-64, skein, 2 threads", true]
    ])
  })

  test("the text names what became worse", () => {
    const before = result([row("skein", [80, 80]), haproxy])
    const now = result([row("skein", [100, 100]), haproxy])
    const text = describeComparison(before, now, compareResults(before, now))
    expect(text).toMatch(/get-64 +CPU µs\/request \/ haproxy +4\.000 +5\.000 +\+25\.0 % .* WORSE/)
  })
})

describe("results", () => {
  test("the table has medians, ratios and spread, and marks failures", () => {
    const text = describeResult(
      result([row("skein", [78, 80, 84], { errors: 2 }), row("haproxy", [20, 20, 20])], {
        absent: [{ peer: "envoy", why: "no wheel" }]
      })
    )
    expect(text).toMatch(/^get-64 +skein +80\.0 +×4\.00 +±4 % +12500 +2 FAILED$/m)
    expect(text).toMatch(/^ +haproxy +20\.0 +±0 % +50000$/m)
    expect(text).toContain("absent: envoy: no wheel")
  })

  test("what is divided by another of its kind has a column for that, and only then", () => {
    const own = row("skein, 2 threads", [88, 88, 88], { over: "skein, 1 thread" })
    const text = describeResult(result([row("skein, 1 thread", [80, 80, 80]), own, haproxy]))
    expect(text).toMatch(/CPU µs\/request +\/ haproxy +\/ own +spread/)
    expect(text).toMatch(/^get-64 +skein, 1 thread +80\.0 +×4\.00 +±0 % +12500$/m)
    expect(text).toMatch(/^ +skein, 2 threads +88\.0 +×4\.40 +×1\.10 +±0 % +11364$/m)
    expect(describeResult(result([haproxy]))).not.toContain("/ own")
    const lines = markdownOf(result([own, haproxy])).split("\n")
    expect(new Set(lines.map((line) => line.split("|").length)).size).toBe(1)
  })

  test("the document's table has a rule below its head", () => {
    const lines = markdownOf(result([haproxy])).split("\n")
    expect(lines[1]).toMatch(/^\| --- \| --- \| ---: \|/)
    expect(new Set(lines.map((line) => line.split("|").length)).size).toBe(1)
  })

  test("a file is read as it was written, one result per question", () => {
    const first = withResult(undefined, result([haproxy]))
    const file = withResult(withResult(first, result([], { question: "bulk" })), result([]))
    const again = decodeResults(encodeResults(file))
    expect(again).toEqual(file)
    expect(again.results.map(({ question, rows }) => [question, rows.length])).toEqual([
      ["bulk", 0],
      ["http", 0]
    ])
  })

  test("a file of another kind is refused", () => {
    expect(() => decodeResults('{"format":2,"results":[]}')).toThrow("format")
  })
})
