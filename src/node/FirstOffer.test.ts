import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { makeNodeConfig, type NodeConfig } from "../config/NodeConfig.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import { PeerKey } from "../model/Names.ts"
import { makeFirstOffer } from "./FirstOffer.ts"

const config = (name: string) =>
  makeNodeConfig({
    node: { name: "host-a" },
    services: [{ name, address: "127.0.0.1:1" }]
  })

const make = (isNewcomer: boolean, fails = 0) =>
  Effect.gen(function* () {
    const events: Array<string> = []
    const met = yield* Effect.makeLatch(false)
    let failing = fails
    const first = yield* makeFirstOffer(
      {
        offer: {
          follow: ({ services }: NodeConfig) =>
            Effect.sync(() => void events.push(`offers ${services.map(({ name }) => name)}`))
        },
        isNewcomer,
        met: met.await,
        peers: () => [PeerKey.make(`12D3KooWNode${"A".repeat(10)}`)],
        syncWith: () =>
          Effect.suspend(() => {
            if (failing-- > 0) {
              events.push("fails")
              return Effect.fail(new MeshRpcError({ code: "unavailable", message: "gone" }))
            }
            events.push("tells")
            return Effect.succeed({ same: false, received: 0, offered: 1 })
          })
      },
      config("payments")
    )
    const ready = yield* Effect.forkScoped(
      Effect.zipRight(
        first.ready,
        Effect.sync(() => void events.push("is ready"))
      )
    )
    yield* Effect.yieldNow()
    return { events, first, met, ready }
  })

describe("the first offer", () => {
  it.scoped("of a node that was here before is made at once", () =>
    Effect.gen(function* () {
      const { events, first, met, ready } = yield* make(false)
      expect(events).toEqual(["offers payments"])
      yield* met.open
      yield* Fiber.join(ready)
      yield* first.follow(config("orders"))
      expect(events).toEqual(["offers payments", "is ready", "offers orders"])
      expect(first.missing()).toEqual([])
    })
  )

  it.scoped("of a newcomer waits for the mesh, and the node is ready when a member knows it", () =>
    Effect.gen(function* () {
      const { events, first, met, ready } = yield* make(true)
      expect(events).toEqual([])
      expect(first.missing()).toMatchObject([{ name: "services", ready: false }])
      yield* met.open
      yield* Fiber.join(ready)
      // The first comparison may have begun before there was anything to tell.
      expect(events).toEqual(["offers payments", "tells", "tells", "is ready"])
      expect(first.missing()).toEqual([])
    })
  )

  it.scoped("of a newcomer is the one of its last reload", () =>
    Effect.gen(function* () {
      const { events, first, met, ready } = yield* make(true)
      yield* first.follow(config("orders"))
      expect(events).toEqual([])
      yield* met.open
      yield* Fiber.join(ready)
      yield* first.follow(config("stock"))
      expect(events).toEqual(["offers orders", "tells", "tells", "is ready", "offers stock"])
    })
  )

  it.live("of a newcomer is told until somebody hears it", () =>
    Effect.gen(function* () {
      const { events, met, ready } = yield* make(true, 2)
      yield* met.open
      yield* Fiber.join(ready)
      expect(events).toEqual(["offers payments", "fails", "fails", "tells", "tells", "is ready"])
    }).pipe(Effect.scoped)
  )
})
