import { it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { expect } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { MeshRpcError } from "../host/MeshRpc.ts"
import type { SyncPort } from "./AntiEntropy.ts"
import { Catalogue } from "./Catalogue.ts"
import { makeCatalogueSync, syncTimes } from "./CatalogueSync.ts"

const [self, other] = ["1", "2"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))

/** A neighbour with the same catalogue, and when it was asked, ms. */
const makeSync = (fails = false) =>
  Effect.gen(function* () {
    const asked: Array<number> = []
    const clock = yield* Effect.clock
    const port: SyncPort = {
      digest: () =>
        Effect.suspend(() => {
          asked.push(clock.unsafeCurrentTimeMillis())
          return fails
            ? Effect.fail(new MeshRpcError({ code: "unavailable", message: "gone" }))
            : Effect.succeed({ same: true, buckets: [] })
        }),
      versions: () => Effect.succeed([]),
      exchange: () => Effect.succeed([])
    }
    const sync = yield* makeCatalogueSync(
      { self: self!, connect: () => Effect.succeed(port), neighbours: () => [self!, other!] },
      { current: () => Catalogue.empty, receive: () => Effect.succeed(0) }
    )
    return { ...sync, asked }
  })

it.scoped("compares every 30 s, and no more often while nothing is found", () =>
  Effect.gen(function* () {
    const { asked } = yield* makeSync()
    yield* TestClock.adjust("5 minutes")
    expect(asked.length).toBeGreaterThanOrEqual(8)
    expect(asked.length).toBeLessThanOrEqual(12)
  })
)

for (const fails of [false, true]) {
  it.scoped(
    `spreads old news at once, and ends when ${fails ? "nobody answers" : "all know it"}`,
    () =>
      Effect.gen(function* () {
        const { asked, spread } = yield* makeSync(fails)
        yield* TestClock.adjust("1 second")
        spread()
        yield* TestClock.adjust(1.5 * syncTimes.soon * syncTimes.sames)
        expect(asked).toHaveLength(syncTimes.sames)
        yield* TestClock.adjust("15 seconds")
        expect(asked).toHaveLength(syncTimes.sames)
        spread()
        yield* TestClock.adjust("15 seconds")
        expect(asked).toHaveLength(2 * syncTimes.sames)
      })
  )
}
