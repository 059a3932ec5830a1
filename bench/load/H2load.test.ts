import { describe, expect, test } from "vitest"
import { grpcCalls, h2loadArguments, parseLog, parseReport } from "./H2load.ts"

const said = (well: number, data: number): string => `
finished in 2.01s, 100.00 req/s, 159.62KB/s
requests: 100 total, 116 started, 100 done, 98 succeeded, 2 failed, 0 errored, 0 timeout
status codes: ${well} 2xx, 0 3xx, 0 4xx, ${100 - well} 5xx
traffic: 159.62KB (163446) total, 24.06KB (24634) headers (space savings 95.32%), 59.80KB (${data}) data
`

describe("what h2load says", () => {
  test("are requests that were done, and those that were answered badly", () => {
    expect(parseReport(said(100, 6_900), 69)).toEqual({ requests: 100, errors: 0, data: 6_900 })
    expect(parseReport(said(97, 6_900), 69).errors).toBe(3)
  })

  test("with errors of gRPC among them, which have no message", () => {
    expect(parseReport(said(100, 6_210), 69).errors).toBe(10)
  })

  test("or nothing, where it could not begin", () => {
    expect(() => parseReport("could not resolve host", 69)).toThrow("could not resolve host")
  })

  test("of each answer is how long it took", () => {
    expect(parseLog("1796030529350534\t200\t4427\n1796030529350535\t200\t3569\n")).toEqual([
      3.569, 4.427
    ])
  })
})

test("a rate is parted among the connections", () => {
  const target = { entry: "127.0.0.1:1", host: "bench.mesh", seconds: 1.5 }
  const load = grpcCalls({ connections: 8, streams: 32, rate: 1_000 })
  const words = h2loadArguments(load, target, { body: "b", log: "l" })
  expect(words.join(" ")).toContain("-c 8 -m 32 -D 2 --rps 125")
  expect(words.join(" ")).toContain("-H content-type: application/grpc -H te: trailers -d b")
})
