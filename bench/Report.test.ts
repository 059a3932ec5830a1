import { describe, expect, test } from "vitest"
import { ticksOf } from "./CpuTime.ts"
import { type BenchResult, compareResults, describeResult, median, spread } from "./Report.ts"
import { MissingTool } from "./Tools.ts"
import { parseReport } from "./Wrk.ts"

const result = (rate: number): BenchResult => ({
  bench: "http",
  at: "2026-01-01T00:00:00.000Z",
  runtime: "v24",
  processor: "2 × x",
  secondsPerRound: 4,
  series: [
    {
      path: "direct",
      connections: 64,
      requestsPerSecond: [20_000, 20_000],
      p50: [1, 1],
      p99: [2, 2],
      cpuMicros: []
    },
    {
      path: "mesh",
      connections: 64,
      requestsPerSecond: [rate * 0.99, rate, rate * 1.01],
      p50: [4, 4, 4],
      p99: [9, 9, 9],
      cpuMicros: [80, 80, 80]
    }
  ]
})

describe("numbers", () => {
  test("median and spread", () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
    expect(spread([90, 100, 110])).toBeCloseTo(0.2)
    expect(median([])).toBeNaN()
  })

  test("processor ticks are found behind a name with blanks and brackets", () => {
    const rest = `S ${Array.from({ length: 10 }, () => 0).join(" ")} 123 45 0 0`
    expect(ticksOf(`4242 (a (b) c) ${rest}`)).toBe(168)
  })
})

describe("text", () => {
  test("mesh against direct", () => {
    const text = describeResult(result(10_000))
    expect(text).toContain("64 connections: 0.500 of the direct rate, 3.00 ms more at the median")
    expect(text).toMatch(/^mesh +64 +10000 +2 % +4\.00 +9\.00 +80\.0 +0 %$/m)
  })

  test("a change within the spread is called so, a larger one is not", () => {
    const rate = (before: number, now: number) =>
      compareResults(result(before), result(now))
        .split("\n")
        .find((line) => line.startsWith("mesh, 64 connections, requests/s"))
    expect(rate(10_000, 10_100)).toContain("+1.0 %  within spread")
    expect(rate(10_000, 12_000)).toMatch(/\+20\.0 %\s*$/)
  })

  test("a missing tool says how to get it", () => {
    expect(new MissingTool(["wrk", "nginx"]).message).toContain("apt-get install wrk nginx-light")
  })

  test("wrk's report is found among its other lines", () => {
    const report = { requests: 1, durationUs: 2, p50Us: 3, p99Us: 4, errors: {} }
    expect(parseReport(`Running 1s test\nreport ${JSON.stringify(report)}\n`)).toEqual(report)
    expect(() => parseReport("wrk: unable to connect")).toThrow("wrk made no report")
  })
})
