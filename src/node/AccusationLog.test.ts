import { expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { AccusationLog } from "./AccusationLog.ts"

const letters = "ABCDEFGHJK"
const peerOf = (n: number) =>
  PeerKey.make(
    `12D3KooWPeerPeer${[...`${n}`.padStart(6, "0")].map((d) => letters[Number(d)]).join("")}`
  )

it.effect("counts who accuses, and names in the log who does not stop", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push(String(message)))
    const metrics = new MetricRegistry()
    let now = 0
    const options = { metrics, nameOf: (peer: PeerKey) => `host-${peer.at(-1)}`, now: () => now }
    const log = yield* AccusationLog.make(options).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    const told = () => Effect.as(Effect.yieldNow(), lines.splice(0))

    // An observer that cannot reach this node for an hour.
    for (; now < 3_600_000; now += 666) log.add(peerOf(1))
    expect(yield* told()).toEqual([])

    for (let n = 0; n < 100_000; n++) log.add(peerOf(2))
    expect(yield* told()).toEqual([
      expect.stringMatching(/^host-C \(12D3\S+\) has accused this node 300 times within a minute/)
    ])
    now += 599_999
    for (let n = 0; n < 1_000; n++) log.add(peerOf(2))
    expect(yield* told()).toEqual([])
    now += 60_000
    for (let n = 0; n < 1_000; n++) log.add(peerOf(2))
    expect((yield* told()).length).toBe(1)

    for (let n = 0; n < 1_000; n++) log.add(peerOf(n))
    const family = metrics.families.get("skein_membership_accusations_total")
    expect(family?.cells.get('{"node":"host-C"}')?.cell).toMatchObject({ value: 102_100 })
    expect(family?.cells.size).toBe(letters.length)
  })
)
