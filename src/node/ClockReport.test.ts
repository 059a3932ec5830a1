import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import { PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { prometheusText } from "../telemetry/PrometheusText.ts"
import { ClockReport, maxTroubled } from "./ClockReport.ts"

const letters = "ABCDEFGHJK"
const peerOf = (n: number) =>
  PeerKey.make(
    `12D3KooWPeerPeer${[...`${n}`.padStart(6, "0")].map((d) => letters[Number(d)]).join("")}`
  )
const minutes = 60_000
const start = 1_800_000_000_000

const run = Effect.gen(function* () {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) =>
    lines.push(`${logLevel.label} ${String(message)}`)
  )
  const time = { now: 0, skew: 0, set: 0 }
  const clocks = new PeerClocks({ now: () => time.now, wall: () => start + time.now + time.skew })
  const metrics = new MetricRegistry()
  const members = [1, 2, 3].map(peerOf)
  const report = yield* ClockReport.make({
    clocks,
    metrics,
    nameOf: (peer) => `host-${letters.indexOf(peer.at(-1) ?? "")}`,
    members: () => members,
    onSet: () => {
      time.set++
    }
  }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  /** A look after everybody has answered, with the clocks that far ahead of the truth. */
  const look = (...ahead: ReadonlyArray<number>) => {
    time.now += 5_000
    for (const [index, by] of ahead.entries()) {
      clocks.answered(members[index]!, start + time.now + by, time.now)
    }
    report.look()
    return Effect.as(Effect.yieldNow(), lines.splice(0))
  }
  const sample = (name: string) =>
    prometheusText(metrics)
      .split("\n")
      .filter((line) => line.startsWith(name))
  return { clocks, look, lines, report, sample, time }
})

describe("ClockReport", () => {
  it.effect("tells once that a clock is off, and once that it is right again", () =>
    Effect.gen(function* () {
      const { look, sample } = yield* run
      expect(yield* look(0, 0, 0)).toEqual([])
      expect(yield* look(0, 30 * minutes, 0)).toEqual([
        `WARN the clock of host-2 (${peerOf(2)}) is 30 min ahead of this host's: check time synchronisation on both`
      ])
      expect(yield* look(0, 30 * minutes, 0)).toEqual([])
      expect(sample("skein_peer_clock_offset_seconds")).toEqual([
        'skein_peer_clock_offset_seconds{node="host-1"} 0',
        'skein_peer_clock_offset_seconds{node="host-2"} 1800',
        'skein_peer_clock_offset_seconds{node="host-3"} 0'
      ])
      expect(sample("skein_clock_offset_seconds")).toEqual(["skein_clock_offset_seconds 0"])
      expect(yield* look(0, 0, 0)).toEqual([
        `INFO the clock of host-2 (${peerOf(2)}) agrees with this host's again`
      ])
    })
  )

  it.effect("keeps a node from being ready whose clock is beyond what others put up with", () =>
    Effect.gen(function* () {
      const { look, report, time } = yield* run
      expect(report.readiness()).toEqual([])
      yield* look(0, 0, 0)
      time.skew = minutes
      yield* look(0, 0, 0)
      expect(report.readiness()).toEqual([])
      time.skew = 30 * minutes
      yield* look(0, 0, 0)
      const detail = "the clock of this host is 30 min ahead of those of 3 of 3 other nodes"
      expect(report.readiness()).toEqual([{ name: "clock", ready: false, detail }])
      // Nobody knows whose is wrong when each says something else.
      yield* look(90 * minutes, -90 * minutes, 0)
      expect(report.readiness()).toEqual([])
    })
  )

  it.effect(
    "knows its own clock for the wrong one when the others agree, and says that alone",
    () =>
      Effect.gen(function* () {
        const { look, report, sample, time } = yield* run
        yield* look(0, 0, 0)
        expect(time.set).toBe(0)
        time.skew = -120 * minutes
        expect(yield* look(0, 0, 0)).toEqual([
          expect.stringMatching(
            /^WARN the clock of this host is 2 h behind those of 3 of 3 other nodes:/
          )
        ])
        expect(report.status()).toMatchObject({ aheadMs: -120 * minutes, measured: 3, agreeing: 3 })
        expect(sample("skein_clock_offset_seconds")).toEqual(["skein_clock_offset_seconds -7200"])
        expect(yield* look(0, 0, 0)).toEqual([])
        time.skew = 0
        expect(yield* look(0, 0, 0)).toEqual([
          "INFO the clock of this host agrees with the others again"
        ])
      })
  )

  it.effect("tells once what is refused and whose it is, and when it is no longer", () =>
    Effect.gen(function* () {
      const { look, lines, report, sample, time } = yield* run
      yield* look(30 * minutes, 0, 0)
      lines.splice(0)
      const word = { peer: peerOf(1), what: "record", message: "it is ahead" } as const
      for (let n = 0; n < 1_000; n++) report.add(word)
      yield* Effect.yieldNow()
      expect(lines.splice(0)).toEqual([
        `WARN host-1 (${peerOf(1)}): its record is refused because of time: it is ahead; its clock is 30 min ahead of this host's. \`skein doctor\` tells on which host to look`
      ])
      expect(report.status().refused).toMatchObject([
        { node: "host-1", what: "record", count: 1_000 }
      ])
      expect(sample("skein_refused_by_time_total")).toEqual([
        'skein_refused_by_time_total{node="host-1",what="record"} 1000'
      ])
      // Its clock was set right.
      expect(yield* look(0, 0, 0)).toEqual([
        expect.stringMatching(/agrees with this host's again$/)
      ])
      time.now += 10_000
      expect(yield* look(0, 0, 0)).toEqual([
        `INFO host-1 (${peerOf(1)}): its record is no longer refused because of time`
      ])
      expect(report.status().refused).toEqual([])
    })
  )

  it.effect("forgets what is not refused again, and is bounded", () =>
    Effect.gen(function* () {
      const { look, report, time } = yield* run
      for (let n = 0; n < 1_000; n++) {
        report.add({ peer: peerOf(n), what: "certificate", message: "expired" })
      }
      expect(report.status().refused.length).toBe(maxTroubled)
      time.now += 10 * minutes
      yield* look()
      expect(report.status().refused).toEqual([])
    })
  )
})
