import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base"
import { describe, expect, it } from "vitest"
import { TimerWheel } from "../model/TimerWheel.ts"
import { CollectorExporter, longestPause } from "./CollectorExporter.ts"

/** A collector by hand: how many batches came, and what each is told. */
const setUp = () => {
  let now = 0
  const wheel = new TimerWheel(now)
  const sent: Array<(ok: boolean) => void> = []
  const exporter: SpanExporter = {
    export: (_, callback) => {
      sent.push((ok) => callback({ code: ok ? 0 : 1 }))
    },
    shutdown: async () => undefined
  }
  const settled: Array<string> = []
  const watched = new CollectorExporter({
    exporter,
    ticker: { now: () => now, random: () => 0.5, after: (ms, run) => wheel.schedule(now, ms, run) },
    onSettled: (_, error) => settled.push(error === undefined ? "taken" : error.message)
  })
  const batch: Array<ReadableSpan> = []
  return {
    watched,
    sent,
    settled,
    advance: (ms: number) => {
      now += ms
      wheel.advance(now)
    },
    offer: () => watched.export(batch, () => undefined)
  }
}

describe("a collector that takes nothing", () => {
  it("is left alone for longer each time, and what is offered meanwhile waits", () => {
    const { advance, offer, sent } = setUp()
    offer()
    for (const pause of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      const before = sent.length
      sent.at(-1)?.(false)
      offer()
      advance(pause - 20)
      expect(sent.length).toBe(before)
      advance(40)
      expect(sent.length).toBe(before + 1)
    }
    expect(longestPause).toBeGreaterThanOrEqual(10_000)
  })

  it("and then takes one is tried again at once", () => {
    const { advance, offer, sent, settled } = setUp()
    offer()
    sent[0]?.(false)
    advance(1_020)
    offer()
    sent[1]?.(true)
    offer()
    expect(sent.length).toBe(3)
    expect(settled).toEqual(["refused", "taken"])
  })

  it("is tried once more when the node closes", () => {
    const { offer, sent, watched } = setUp()
    offer()
    sent[0]?.(false)
    offer()
    expect(sent.length).toBe(1)
    watched.close()
    expect(sent.length).toBe(2)
    sent[1]?.(false)
    offer()
    expect(sent.length).toBe(3)
  })
})
