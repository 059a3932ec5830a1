import { expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { shortHash } from "../mesh/catalogue/RecordEntry.ts"
import { MeshRpcError, type RecordVersion } from "../mesh/host/MeshRpc.ts"
import { PeerKey } from "../model/Names.ts"
import { dialLimits } from "./DialTurn.ts"
import { makeSettingSpread, spreadLimits, type WantedVersion } from "./SettingSpread.ts"

const peerOf = (index: number) =>
  PeerKey.make(`12D3KooWPeer${"A".repeat(10)}${"B".repeat(index + 1)}`)
const wanted: WantedVersion = { key: "setting/x/policy.payments", epoch: 5, version: 1 }
const versionOf = ({ key, epoch, version }: WantedVersion): RecordVersion => ({
  ...{ key, epoch, version, hash: shortHash(new Uint8Array()) }
})

/** Members by what they hold, in order; undefined: they do not answer. */
const spreadOver = (
  held: Array<WantedVersion | "nothing" | undefined>,
  isConnected = (_: PeerKey) => true
) => {
  const asked: Array<number> = []
  let [atOnce, most] = [0, 0]
  const spread = makeSettingSpread({
    members: () => held.map((_, index) => ({ peer: peerOf(index), isThere: index !== 9 })),
    isConnected,
    versions: (peer) =>
      Effect.gen(function* () {
        const index = held.findIndex((_, at) => peerOf(at) === peer)
        asked.push(index)
        most = Math.max(most, ++atOnce)
        yield* Effect.sleep(10)
        atOnce--
        const version = held[index]
        if (version === undefined) {
          return yield* new MeshRpcError({ code: "unavailable", message: "gone" })
        }
        return version === "nothing" ? [] : [versionOf(version)]
      })
  })
  return { asked, held, most: () => most, spread }
}

it.effect("those that have it, or something later, have seen it", () =>
  Effect.gen(function* () {
    const { held, spread } = spreadOver([
      wanted,
      { ...wanted, epoch: 6, version: 0 },
      { ...wanted, version: 0 },
      "nothing",
      undefined
    ])
    const fiber = yield* Effect.fork(spread([wanted], 1_000))
    yield* TestClock.adjust(500)
    held[3] = wanted
    yield* TestClock.adjust(500)
    expect(yield* Fiber.join(fiber)).toEqual({
      seen: [peerOf(0), peerOf(1), peerOf(3)],
      missing: [peerOf(2)],
      away: [peerOf(4)]
    })
  })
)

it.effect("is done as soon as all have it", () =>
  Effect.gen(function* () {
    const { asked, spread } = spreadOver([wanted, wanted])
    const fiber = yield* Effect.fork(spread([wanted], 60_000))
    yield* TestClock.adjust(10)
    expect(yield* Fiber.join(fiber)).toEqual({
      seen: [peerOf(0), peerOf(1)],
      missing: [],
      away: []
    })
    expect(asked).toEqual([0, 1])
  })
)

it.effect("asks so many at a time, and nobody who is not there", () =>
  Effect.gen(function* () {
    const { asked, most, spread } = spreadOver(Array.from({ length: 40 }, () => wanted))
    const fiber = yield* Effect.fork(spread([wanted], 60_000))
    yield* TestClock.adjust(100)
    const report = yield* Fiber.join(fiber)
    expect(report.seen).toHaveLength(39)
    expect(report.away).toEqual([peerOf(9)])
    expect(asked).not.toContain(9)
    expect(most()).toBe(spreadLimits.atOnce)
  })
)

it.effect("makes connections at a rate", () =>
  Effect.gen(function* () {
    const { asked, spread } = spreadOver(
      Array.from({ length: 60 }, () => wanted),
      () => false
    )
    const fiber = yield* Effect.fork(spread([wanted], 60_000))
    yield* TestClock.adjust(200)
    expect(asked.length).toBeLessThan(dialLimits.burst + 8)
    yield* TestClock.adjust(5_000)
    expect((yield* Fiber.join(fiber)).seen).toHaveLength(59)
  })
)
