import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Logger, TestClock } from "effect"
import type { Refusal } from "../mesh/trust/AdmissionEncrypter.ts"
import { PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { prometheusText } from "../telemetry/PrometheusText.ts"
import { RefusalLog } from "./RefusalLog.ts"

const peer = PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M")
const refusal = (change: Partial<Refusal> = {}): Refusal => ({
  direction: "inbound",
  address: "/ip4/10.0.0.9/tcp/5",
  peer,
  code: "expired",
  by: "us",
  message: "its certificate has ended",
  ...change
})

const recorded = <A>(
  run: (log: RefusalLog, lines: Array<string>) => Effect.Effect<A>,
  metrics = new MetricRegistry()
) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push(String(message)))
    return yield* Effect.flatMap(RefusalLog.make(metrics), (log) => run(log, lines)).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
  })

describe("RefusalLog", () => {
  it.effect("says who refused whom, where and why", () =>
    recorded((log, lines) =>
      Effect.sync(() => {
        log.add(refusal())
        log.add(refusal({ direction: "outbound" }))
        log.add(refusal({ direction: "outbound", by: "peer" }))
        log.add(refusal({ by: "peer", peer: undefined, address: undefined }))
        expect(lines).toEqual([
          `refused a connection from ${peer} at /ip4/10.0.0.9/tcp/5: expired: its certificate has ended`,
          `refused a connection to ${peer} at /ip4/10.0.0.9/tcp/5: expired: its certificate has ended`,
          `was refused by ${peer} at /ip4/10.0.0.9/tcp/5: expired: its certificate has ended`,
          "was refused by somebody: expired: its certificate has ended"
        ])
      })
    )
  )

  it.effect("tells a kind once a minute, with how many there were since", () =>
    recorded((log, lines) =>
      Effect.gen(function* () {
        for (let i = 0; i < 1_000; i++) log.add(refusal())
        log.add(refusal({ code: "revoked" }))
        expect(lines.length).toBe(2)
        yield* TestClock.adjust("59 seconds")
        log.add(refusal())
        expect(lines.length).toBe(2)
        yield* TestClock.adjust("1 second")
        log.add(refusal())
        expect(lines.at(-1)).toContain("(1000 more like it)")
        yield* TestClock.adjust("1 minute")
        log.add(refusal())
        expect(lines.at(-1)).not.toContain("more like it")
      })
    )
  )

  it.effect("counts them all", () => {
    const metrics = new MetricRegistry()
    return recorded(
      (log) =>
        Effect.sync(() => {
          for (let i = 0; i < 3; i++) log.add(refusal())
          log.add(refusal({ direction: "outbound", by: "peer", code: "busy" }))
          const lines = prometheusText(metrics).split("\n")
          const of = (labels: string) =>
            lines.find(
              (line) => line.startsWith("skein_handshakes_refused_total") && line.includes(labels)
            )
          expect(of('direction="inbound",by="us",code="expired"')).toMatch(/ 3$/)
          expect(of('direction="outbound",by="peer",code="busy"')).toMatch(/ 1$/)
        }),
      metrics
    )
  })

  it.effect("is not silenced by a clock that is set back", () =>
    Effect.gen(function* () {
      const time = { wall: 1_800_000_000_000, monotonic: 0 }
      const clock: Clock.Clock = {
        ...Clock.make(),
        unsafeCurrentTimeMillis: () => time.wall,
        unsafeCurrentTimeNanos: () => BigInt(time.monotonic) * 1_000_000n
      }
      yield* recorded((log, lines) =>
        Effect.sync(() => {
          log.add(refusal())
          time.wall -= 7_200_000
          time.monotonic += 60_000
          log.add(refusal())
          expect(lines.length).toBe(2)
        })
      ).pipe(Effect.withClock(clock))
    })
  )
})
