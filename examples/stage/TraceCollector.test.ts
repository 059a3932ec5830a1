import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { startCollector, type TraceSpan, traceTree } from "./TraceCollector.ts"

const span = (
  spanId: string,
  parentSpanId: string | undefined,
  more: Partial<TraceSpan>
): TraceSpan => ({
  traceId: "t",
  spanId,
  parentSpanId,
  side: "caller",
  node: "host-a",
  service: "order",
  start: 0n,
  durationMs: 1.25,
  retries: 0,
  ...more
})

describe("TraceCollector", () => {
  it.scopedLive("takes OTLP JSON and refuses what is not", () =>
    Effect.gen(function* () {
      const collector = yield* startCollector
      const post = (body: unknown) =>
        Effect.promise(() =>
          fetch(`${collector.url}/v1/traces`, { method: "POST", body: JSON.stringify(body) })
        )
      const sent = {
        traceId: "abc",
        spanId: "1",
        name: "GET order",
        kind: 3,
        startTimeUnixNano: "1700000000000000000",
        endTimeUnixNano: "1700000000002500000",
        attributes: [
          { key: "skein.node", value: { stringValue: "host-a" } },
          { key: "skein.service", value: { stringValue: "order" } },
          { key: "server.port", value: { intValue: 80 } }
        ],
        events: [{ name: "retry", timeUnixNano: "1700000000000000000" }]
      }
      const body = { resourceSpans: [{ scopeSpans: [{ spans: [sent] }] }] }
      expect((yield* post(body)).status).toBe(200)
      expect((yield* post({ spans: 1 })).status).toBe(400)
      expect(collector.trace("abc")).toEqual([
        span("1", undefined, {
          traceId: "abc",
          start: 1_700_000_000_000_000_000n,
          durationMs: 2.5,
          retries: 1
        })
      ])
    })
  )

  it("shows callees below their callers, and what has no known parent at the left", () => {
    const lines = traceTree([
      span("1", "the client's own", {}),
      span("2", "1", { side: "callee" }),
      span("3", "2", { service: "payment", retries: 2 }),
      span("4", "3", { service: "payment", node: "host-b", side: "callee" })
    ])
    expect(lines.map((line) => line.replace(/ +(\d)/, " | $1"))).toEqual([
      "host-a sends it to order | 1.3 ms",
      "  host-a hands it to its order | 1.3 ms",
      "    host-a sends it to payment | 1.3 ms, 2 retried",
      "      host-b hands it to its payment | 1.3 ms"
    ])
  })
})
