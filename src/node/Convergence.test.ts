import { describe, expect, it } from "vitest"
import { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import { PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { prometheusText } from "../telemetry/PrometheusText.ts"
import { Convergence, recordAge } from "./Convergence.ts"

const peer = (n: number) => PeerKey.make(`12D3KooWPeerPeerPeer${String(n).replaceAll("0", "x")}`)
const wall = 1_800_000_000_000

const make = () => {
  const time = { now: 50_000, wall }
  const clocks = new PeerClocks({ now: () => time.now, wall: () => time.wall })
  const registry = new MetricRegistry()
  const convergence = new Convergence({ clocks, metrics: registry })
  const line = (start: string) => {
    registry.collect()
    const found = prometheusText(registry)
      .split("\n")
      .find((one) => one.startsWith(`${start} `))
    return found === undefined ? undefined : Number(found.split(" ").at(-1))
  }
  return { time, clocks, convergence, line }
}

const sum = (way: string) => `skein_catalogue_record_age_seconds_sum{way="${way}"}`
const count = (way: string) => `skein_catalogue_record_age_seconds_count{way="${way}"}`

describe("the age of a record when it is first seen", () => {
  it("counts by how it came, in seconds", () => {
    const { convergence, line } = make()
    convergence.firstSeen({ peer: peer(1), signedAt: wall - 250 }, "gossip")
    convergence.firstSeen({ peer: peer(2), signedAt: wall - 750 }, "gossip")
    convergence.firstSeen({ peer: peer(3), signedAt: wall - 7_200_000 }, "comparison")
    expect([line(sum("gossip")), line(count("gossip"))]).toEqual([1, 2])
    expect([line(sum("comparison")), line(count("comparison"))]).toEqual([7_200, 1])
    expect(line(count("notice"))).toBe(0)
    const below = `skein_catalogue_record_age_seconds_bucket{way="gossip",le="0.3"}`
    expect(line(below)).toBe(1)
  })

  it("is 0 when it was signed ahead of this clock, which is counted", () => {
    const { convergence, line } = make()
    convergence.firstSeen({ peer: peer(1), signedAt: wall + 40 }, "gossip")
    expect([line(sum("gossip")), line(count("gossip"))]).toEqual([0, 1])
    expect(line("skein_catalogue_record_ahead_total")).toBe(1)
  })

  it("is corrected by a clock that is known to be off, and not by what measuring is off", () => {
    const { clocks, convergence, line, time } = make()
    clocks.answered(peer(1), wall + 90_000, time.now)
    convergence.firstSeen({ peer: peer(1), signedAt: wall + 90_000 - 400 }, "gossip")
    expect(line(sum("gossip"))).toBeCloseTo(0.4)
    expect(line("skein_catalogue_record_ahead_total")).toBe(0)
    clocks.answered(peer(2), wall + 900, time.now)
    convergence.firstSeen({ peer: peer(2), signedAt: wall - 600 }, "gossip")
    expect(line(sum("gossip"))).toBeCloseTo(1)
  })

  it("goes by the clocks of most where the author's is not known and this one is off", () => {
    const { clocks, convergence, line, time } = make()
    for (const n of [1, 2, 3]) clocks.answered(peer(n), wall - 60_000, time.now)
    convergence.firstSeen({ peer: peer(9), signedAt: wall - 60_000 - 500 }, "gossip")
    expect(line(sum("gossip"))).toBeCloseTo(0.5)
  })

  it("is what it says it is", () => {
    expect(recordAge(1_000, 3_000, undefined)).toBe(2_000)
    expect(recordAge(1_000, 3_000, 4_999)).toBe(2_000)
    expect(recordAge(1_000, 3_000, 5_000)).toBe(7_000)
    expect(recordAge(9_000, 3_000, -5_000)).toBe(-11_000)
  })
})

describe("comparisons", () => {
  it("are counted by what they came to, and remembered by peer unless they failed", () => {
    const { convergence, line, time } = make()
    const equal = "skein_catalogue_last_equal_timestamp_seconds"
    convergence.compared(peer(1), "failed")
    convergence.compared(peer(1), "changed")
    expect(convergence.book.of(peer(1))).toEqual({ at: 50_000, equalAt: undefined })
    expect(line(equal)).toBeUndefined()
    time.now += 1_000
    time.wall += 1_000
    convergence.compared(peer(1), "same")
    convergence.compared(peer(1), "same")
    expect(convergence.book.of(peer(1))).toEqual({ at: 51_000, equalAt: 51_000 })
    const results = ["same", "changed", "failed"].map((result) =>
      line(`skein_catalogue_comparisons_total{result="${result}"}`)
    )
    expect(results).toEqual([2, 1, 1])
    time.now += 30_000
    time.wall += 30_000
    expect(line(equal)).toBe((wall + 1_000) / 1_000)
  })

  it("that another node began are remembered, too", () => {
    const { convergence, line } = make()
    convergence.looked(peer(1), true)
    expect(convergence.book.of(peer(1))).toEqual({ at: 50_000, equalAt: 50_000 })
    expect(line(`skein_catalogue_comparisons_total{result="same"}`)).toBe(0)
  })
})
