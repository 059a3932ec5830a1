import { expect, test } from "vitest"
import { parseReport, wrkArguments } from "./Wrk.ts"

const target = { wrk: "wrk", entry: "127.0.0.1:1", host: "bench.mesh", seconds: 3 }

test("wrk's report is found among its other lines", () => {
  const report = {
    requests: 1,
    durationUs: 2,
    p50Us: 3,
    p99Us: 4,
    errors: { connect: 0, read: 0, write: 0, status: 5, timeout: 0 }
  }
  expect(parseReport(`Running 1s test\nreport ${JSON.stringify(report)}\n`)).toEqual(report)
  expect(() => parseReport("wrk: unable to connect")).toThrow("wrk made no report")
})

test("method and body length reach the script", () => {
  const load = { path: "/x", connections: 8, method: "POST", bodyBytes: 1_024 }
  const args = wrkArguments(load, target)
  expect(args.slice(-4)).toEqual(["http://127.0.0.1:1/x", "--", "POST", "1024"])
  expect(args).toContain("Host: bench.mesh")
})
