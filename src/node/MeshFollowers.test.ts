import { expect, it } from "@effect/vitest"
import { Deferred, Effect, TestClock } from "effect"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import { followMesh } from "./MeshFollowers.ts"

const peerOf = (index: number) => PeerKey.make(`12D3KooWPeer${"A".repeat(10)}${index}`)
const inviter = peerOf(1)

const entryOf = (index: number) => {
  const record = {
    ...{ peer: peerOf(index), addresses: [], services: [], state: "serving" as const },
    ...{ name: NodeName.make(`host-${index}`), software: "skein/test" },
    ...{ epoch: 1, version: 0, signedAt: 1 }
  }
  return nodeEntry(record, [], new TextEncoder().encode(JSON.stringify(record)))
}

/** A node whose comparison with whoever connects ends when the test says so. */
const start = (isNewcomer: boolean) =>
  Effect.gen(function* () {
    const compared = yield* Deferred.make<void, MeshRpcError>()
    const runtime = yield* Effect.runtime<never>()
    const world = {
      catalogue: Catalogue.empty,
      connected: [] as PeerKey[],
      told: {
        names: [] as number[],
        members: [] as number[],
        links: [] as number[],
        answered: 0,
        knocks: 0
      }
    }
    let onChange = (_: ReadonlyArray<EntryChange>) => {}
    let onUp = (_: PeerKey) => {}
    const stop = () => {}
    yield* followMesh({
      catalogue: {
        current: () => world.catalogue,
        subscribe: (listener) => {
          const before = onChange
          onChange = (changes) => {
            before(changes)
            listener(world.catalogue, changes)
          }
          return stop
        },
        syncWith: () =>
          Effect.as(Deferred.await(compared), { same: false, received: 3, offered: 0 })
      },
      membership: {
        changeRecords: (changed) => void world.told.members.push([...changed].length),
        linkUp: () => {},
        linkDown: () => {},
        stateOf: () => "alive",
        subscribe: () => stop
      },
      keeper: {
        connectedPeers: () => world.connected,
        onUp: (listener) => {
          onUp = listener
          return stop
        },
        onDown: () => stop,
        wake: () => {}
      },
      names: { follow: (changes) => void world.told.names.push([...changes].length) },
      linkKeeper: {
        follow: () => {},
        knockFurther: () => void world.told.knocks++,
        settle: () => {},
        followRecords: (changes) => void world.told.links.push([...changes].length)
      },
      found: { members: () => {}, records: () => {} },
      viewKeeper: { members: () => {}, records: () => {} },
      met: { answered: () => void world.told.answered++ },
      isNewcomer,
      runFork: (effect) => void Effect.runFork(Effect.provide(effect, runtime))
    })
    const hear = (index: number) => {
      const before = world.catalogue
      world.catalogue = before.merge(entryOf(index))[0]
      onChange(world.catalogue.changesSince(before))
    }
    const up = () => {
      world.connected.push(inviter)
      onUp(inviter)
    }
    return { compared, hear, told: world.told, up }
  })

it.scoped("a newcomer takes its place when it has heard of all, and not with each of them", () =>
  Effect.gen(function* () {
    const { compared, hear, told, up } = yield* start(true)
    up()
    for (const index of [1, 2, 3]) hear(index)
    expect(told.names.at(-1)).toBe(1)
    expect(told.members.filter((count) => count > 0)).toEqual([])
    expect(told.links.filter((count) => count > 0)).toEqual([])
    yield* Deferred.succeed(compared, undefined)
    yield* Effect.yieldNow()
    expect(told.members.at(-1)).toBe(3)
    expect(told.links.at(-1)).toBe(3)
    expect(told.answered).toBe(1)
    hear(4)
    expect(told.members.at(-1)).toBe(1)
    expect(told.links.at(-1)).toBe(1)
  })
)

it.scoped("a newcomer whose first comparison fails goes by those it has heard of", () =>
  Effect.gen(function* () {
    const { compared, hear, told, up } = yield* start(true)
    up()
    hear(1)
    yield* Deferred.fail(compared, new MeshRpcError({ code: "unavailable", message: "gone" }))
    yield* Effect.yieldNow()
    expect(told.links.at(-1)).toBe(1)
    expect(told.answered).toBe(0)
  })
)

it.scoped("a node that was here before goes by what it hears at once", () =>
  Effect.gen(function* () {
    const { hear, told } = yield* start(false)
    hear(1)
    expect(told.members.at(-1)).toBe(1)
    expect(told.links.at(-1)).toBe(1)
  })
)

it.scoped("a newcomer tries the next door each second until somebody opens", () =>
  Effect.gen(function* () {
    const { told, up } = yield* start(true)
    yield* TestClock.adjust("2 seconds")
    expect(told.knocks).toBe(2)
    up()
    yield* TestClock.adjust("5 seconds")
    expect(told.knocks).toBe(2)
  })
)
