import { describe, expect, it } from "@effect/vitest"
import type { TraceSpan } from "../../stage/TraceCollector.ts"
import { callPaths } from "./Calls.ts"

const span = (
  spanId: string,
  parentSpanId: string | undefined,
  side: "caller" | "callee",
  service: string
): TraceSpan => ({
  ...{ traceId: "t", spanId, parentSpanId, side, service },
  ...{ node: "host", start: 0n, durationMs: 1, retries: 0 }
})

describe("the paths of calls", () => {
  const spans = [
    span("1", "customer", "caller", "order"),
    span("2", "1", "callee", "order"),
    span("3", "2", "caller", "payment"),
    span("4", "3", "callee", "payment"),
    span("5", "4", "caller", "inventory"),
    span("6", "5", "callee", "inventory")
  ]

  it("lead through all services that handed the trace on", () => {
    expect(callPaths(spans)).toEqual(["order", "order > payment", "order > payment > inventory"])
  })

  it("begin anew at one that did not, and lack one whose caller's span is not there", () => {
    const lost = spans.map((it) => (it.spanId === "5" ? { ...it, parentSpanId: undefined } : it))
    expect(callPaths(lost)).toEqual(["inventory", "order", "order > payment"])
    expect(callPaths(spans.filter(({ spanId }) => spanId !== "5"))).toContain("")
  })
})
