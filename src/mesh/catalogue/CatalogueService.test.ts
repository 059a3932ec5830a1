import { expect, it } from "@effect/vitest"
import { Context, Effect, Either, Exit, Layer, Scope, TestClock } from "effect"
import { Catalogues } from "../../../test/fixtures/Catalogues.ts"
import { Crashes } from "../../../test/fixtures/Crashes.ts"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { nodeOut, revoking } from "../../../test/fixtures/Revoking.ts"
import { ServiceName } from "../../model/Names.ts"
import type { NodeRecord, ServiceEntry } from "../../model/NodeRecord.ts"
import { MemoryBus } from "../../testing/MemoryGossip.ts"
import { Supervisor } from "../actor/Supervisor.ts"
import { Gossip, type GossipHandler } from "../host/Gossip.ts"
import type { Conduct } from "../trust/PeerConduct.ts"
import { Revocations } from "../trust/Revocations.ts"
import { CatalogueStore, CatalogueStoreError } from "./CatalogueStore.ts"
import { makeRecordDoor } from "./RecordDoor.ts"

const start = 1_800_000_000_000
const members = makeMembers(3, start, { services: ["shop-*"], capabilities: [] })

const offer = (name: string): ServiceEntry => ({
  name: ServiceName.make(name),
  protocol: "http",
  endpoints: [{ id: "0", healthy: true, draining: false, weight: 100 }]
})

const alone = () => new MemoryBus().layer()

const makeMesh = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const stores = yield* Effect.all(members.map(() => Layer.build(CatalogueStore.layerMemory)))
  return new Catalogues(members, stores)
})

const settle = TestClock.adjust(1)

it.scoped("a change reaches the other node by gossip at once", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0)
    const b = yield* mesh.node(1)
    const entry = yield* a.updateOwn({
      services: [offer("shop-orders")],
      addresses: ["/ip4/10.0.0.1/tcp/4001"]
    })
    expect(entry.record).toMatchObject({ epoch: start, version: 0, signedAt: start })
    yield* settle
    expect(b.current().node(members[0]!.peer)?.record).toEqual(entry.record)
    expect(b.addressesOf(members[0]!.peer)).toEqual(["/ip4/10.0.0.1/tcp/4001"])
    expect(b.addressesOf(members[2]!.peer)).toEqual([])
  })
)

it.scoped(
  "lets go of what it holds of somebody who is thrown out, and of services that are taken away",
  () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const stores = yield* Effect.all(members.map(() => Layer.build(CatalogueStore.layerMemory)))
      const revocations = { current: Revocations.none }
      const mesh = new Catalogues(members, stores, (identity) =>
        makeRecordDoor({ current: identity }, identity === members[0] ? { revocations } : {})
      )
      const a = yield* mesh.node(0)
      const [b, c] = [yield* mesh.node(1), yield* mesh.node(2)]
      const two = [offer("shop-orders"), offer("shop-cart")]
      yield* Effect.all([a, b, c].map((node) => node.updateOwn({ services: two })))
      yield* settle
      const [, outcast, other] = members
      const seen: Array<string> = []
      a.subscribe((_, changes) => {
        for (const { before, after } of changes) {
          const names = after?.record.services.map(({ name }) => name).join() ?? "gone"
          seen.push(`${before?.record.name}: ${names}`)
        }
      })
      const grant = { revoke: "grant", peer: other!.peer, service: "shop-cart" } as const
      revocations.current = revoking(nodeOut(outcast!.peer), grant)
      yield* a.rejudge([outcast!.peer])
      yield* settle
      expect(seen).toEqual(["host-1: gone", "host-2: shop-orders"])
      // What others still hold does not come back.
      yield* Effect.either(a.syncWith(outcast!.peer))
      yield* settle
      expect(a.current().node(outcast!.peer)).toBeUndefined()
      // What was given back is there again; who is let in again says so itself.
      revocations.current = Revocations.none
      yield* a.rejudge([other!.peer])
      yield* Effect.either(a.syncWith(outcast!.peer))
      yield* settle
      expect(a.current().node(other!.peer)?.record.services).toEqual(two)
      expect(a.current().node(outcast!.peer)?.record.services).toEqual(two)
    })
)

it.scoped("tells its listeners each new snapshot, and survives a broken one", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0)
    const sizes: Array<number> = []
    a.subscribe(() => {
      throw new Error("a bug elsewhere")
    })
    const seen = new Set<string>()
    const stop = a.subscribe((catalogue, changes) => {
      sizes.push(catalogue.size)
      for (const { after } of changes) if (after !== undefined) seen.add(after.key)
      expect(new Set(Array.from(catalogue.entries(), ({ key }) => key))).toEqual(seen)
    })
    yield* a.updateOwn({})
    const b = yield* mesh.node(1)
    yield* b.updateOwn({})
    yield* settle
    expect(sizes).toEqual([1, 2])
    stop()
    yield* TestClock.adjust("1 second")
    yield* a.updateOwn({ state: "draining" })
    expect(sizes).toEqual([1, 2])
  })
)

it.scoped.each([
  { age: "0 seconds", told: true },
  { age: "31 seconds", told: false }
] as const)("what is met in a comparison at an age of $age is told on: $told", ({ age, told }) =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const b = yield* mesh.node(1, alone())
    yield* b.updateOwn({})
    yield* TestClock.adjust(age)
    const a = yield* mesh.node(0)
    const c = yield* mesh.node(2)
    yield* a.syncWith(members[1]!.peer)
    yield* settle
    expect(a.current().node(members[1]!.peer)).toBeDefined()
    expect(c.current().node(members[1]!.peer) !== undefined).toBe(told)
  })
)

it.scoped("catalogues that heard nothing of each other agree after one comparison", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0, alone())
    const b = yield* mesh.node(1, alone())
    yield* a.updateOwn({})
    yield* b.updateOwn({})
    expect(yield* a.syncWith(members[1]!.peer)).toEqual({ same: false, received: 1, offered: 1 })
    expect(a.current().root()).toEqual(b.current().root())
    expect(yield* b.syncWith(members[0]!.peer)).toMatchObject({ same: true })
    expect((yield* Effect.flip(a.syncWith(members[2]!.peer))).code).toBe("unavailable")
  })
)

it.scoped("compares with a random neighbour about every 30 s", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0, alone())
    const b = yield* mesh.node(1, alone())
    yield* a.updateOwn({})
    yield* TestClock.adjust("20 seconds")
    expect(b.current().size).toBe(0)
    yield* TestClock.adjust("17 seconds")
    expect(b.current().size).toBe(1)
  })
)

it.scoped("goes on comparing after a comparison that broke", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0, alone())
    const b = yield* mesh.node(1, alone())
    yield* a.updateOwn({})
    mesh.broken = true
    yield* TestClock.adjust("2 minutes")
    expect(b.current().size).toBe(0)
    mesh.broken = false
    yield* TestClock.adjust("37 seconds")
    expect(b.current().size).toBe(1)
  })
)

it.effect("starts with what it knew, under a new epoch, also after being killed", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const mesh = yield* makeMesh
      const first = yield* Scope.make()
      const a = yield* Scope.extend(mesh.node(0), first)
      const b = yield* mesh.node(1)
      yield* b.updateOwn({ addresses: ["/ip4/10.0.0.2/tcp/4001"] })
      yield* a.updateOwn({ services: [offer("shop-orders")] })
      // Not closed: as killed a moment after the second in which it saves.
      yield* TestClock.adjust("1100 millis")
      const again = yield* mesh.node(0, alone())
      expect(again.addressesOf(members[1]!.peer)).toEqual(["/ip4/10.0.0.2/tcp/4001"])
      expect(again.current().size).toBe(2)
      const entry = yield* again.updateOwn({ services: [offer("shop-orders")] })
      expect(entry.epoch).toBeGreaterThan(start)
      expect(entry.epoch).toBe(again.status().epoch)
      yield* Scope.close(first, Exit.void)
    })
  )
)

it.effect("saves once more when it is stopped", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const mesh = yield* makeMesh
      yield* Effect.scoped(Effect.flatMap(mesh.node(0), (a) => a.updateOwn({})))
      const again = yield* mesh.node(0)
      expect(again.current().size).toBe(1)
    })
  )
)

it.scoped("started with a clock two hours behind it keeps what it knew, and is believed", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const b = yield* mesh.node(1)
    yield* b.updateOwn({ services: [offer("shop-cart")] })
    yield* Effect.scoped(
      Effect.gen(function* () {
        const a = yield* mesh.node(0)
        yield* a.updateOwn({ services: [offer("shop-orders")] })
        yield* a.syncWith(members[1]!.peer)
        expect(a.current().size).toBe(2)
      })
    )
    yield* TestClock.setTime(start - 2 * 3_600_000)
    const again = yield* mesh.node(0, mesh.bus.layer(), Supervisor.layer(), "unknown")
    yield* TestClock.adjust("2 minutes")
    expect(again.current().node(members[1]!.peer)?.record.services).toEqual([offer("shop-cart")])
    const { bytes, record } = yield* again.updateOwn({ services: [offer("shop-search")] })
    expect(record.epoch).toBe(start + 1)
    const outcome = makeRecordDoor({ current: members[2]! }).admit(bytes, start)
    expect(Either.isRight(outcome)).toBe(true)
  })
)

it.scoped("says what a change was refused for", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0)
    const addresses = Array.from({ length: 17 }, () => "/ip4/10.0.0.1/tcp/1")
    const refused = yield* Effect.flip(a.updateOwn({ addresses }))
    expect(refused.code).toBe("unreadable")
  })
)

it.scoped("lists services that certificates do not grant", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const b = yield* mesh.node(1)
    yield* b.updateOwn({ services: [offer("payments"), offer("shop-orders")] })
    expect(b.current().node(members[1]!.peer)?.withheld).toEqual(["payments"])
  })
)

it.scoped("takes a record that comes on its own, and refuses a forged one", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0, alone())
    const b = yield* mesh.node(1, alone())
    const { bytes } = yield* b.updateOwn({ state: "draining" })
    expect(yield* a.receive(bytes)).toBe("added")
    expect(yield* a.receive(bytes)).toBe("known")
    const forged = Uint8Array.from(bytes)
    forged[forged.length - 1]! ^= 1
    expect((yield* Effect.flip(a.receive(forged))).code).toBe("forged")
  })
)

it.scoped("judges gossip: news is passed on, the known is not, forgery is blamed", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const sender = yield* mesh.node(1, alone())
    const { bytes } = yield* sender.updateOwn({})
    let handler: GossipHandler | undefined
    const gossip = Layer.succeed(Gossip, {
      publish: () => Effect.void,
      subscribe: (_topic, given) =>
        Effect.sync(() => {
          handler = given
        })
    })
    yield* mesh.node(0, gossip)
    const forged = Uint8Array.from(bytes)
    forged[forged.length - 1]! ^= 1
    expect(handler?.(forged)).toBe("reject")
    expect(handler?.(bytes)).toBe("accept")
    yield* settle
    expect(handler?.(bytes)).toBe("ignore")
  })
)

it.scoped("blames who signs two things as one version", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const [, other] = members
    const door = makeRecordDoor({ current: other! })
    const record = {
      ...{ peer: other!.peer, name: other!.name, addresses: [], epoch: start, signedAt: start },
      ...{ state: "serving" as const, services: [], software: "skein/test" }
    }
    const say = (version: number, change: Partial<NodeRecord> = {}) =>
      Either.getOrThrow(door.seal({ ...record, version, ...change }, start)).bytes
    const noted: Array<string> = []
    const conduct: Conduct = {
      allows: () => true,
      note: (peer, what) => void noted.push(`${peer === other!.peer ? "host-1" : peer} ${what}`)
    }
    const a = yield* mesh.node(0, alone(), Supervisor.layer(), "right", conduct)
    yield* a.receive(say(1))
    yield* a.receive(say(1))
    yield* a.receive(say(0))
    expect(noted).toEqual([])
    yield* Effect.either(a.receive(say(1, { zone: "one" })))
    yield* Effect.either(a.receive(say(1, { zone: "two" })))
    // Whichever of them stays, the other ones are not it.
    expect(new Set(noted)).toEqual(new Set(["host-1 equivocated"]))
  })
)

it.scoped("a store that cannot be written costs a warning, not the catalogue", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const store = Context.get(mesh.stores[0]!, CatalogueStore)
    let tries = 0
    const broken = Context.make(CatalogueStore, {
      ...store,
      save: () =>
        Effect.suspend(() => {
          tries++
          return new CatalogueStoreError({ message: "the disk is full", cause: undefined })
        })
    })
    const a = yield* new Catalogues(members, [broken]).node(0)
    yield* a.updateOwn({})
    yield* TestClock.adjust("13 seconds")
    expect(tries).toBeGreaterThanOrEqual(3)
    expect(a.current().size).toBe(1)
  })
)

it.scoped(
  "keeps all it knew when it has to begin from scratch, and says again what it offers",
  () =>
    Effect.gen(function* () {
      const mesh = yield* makeMesh
      const crashes = new Crashes()
      const a = yield* mesh.node(0, mesh.bus.layer(), crashes.layer({ restarts: 0, jitter: 0 }))
      const b = yield* mesh.node(1)
      const mine = yield* a.updateOwn({ services: [offer("shop-orders")] })
      yield* b.updateOwn({ services: [offer("shop-cart")] })
      // Time to have it on disk, which is what a start from scratch begins with.
      yield* TestClock.adjust("2 seconds")
      const sizes: Array<number> = []
      a.subscribe((catalogue) => sizes.push(catalogue.size))
      crashes.crash("catalogue")
      yield* TestClock.adjust("1 minute")
      // Whoever calls services by what it says never saw it shrink.
      expect(sizes.filter((size) => size < 2)).toEqual([])
      expect(a.current().node(members[1]!.peer)?.record.services).toEqual([offer("shop-cart")])
      const again = a.current().node(members[0]!.peer)?.record
      expect(again?.services).toEqual([offer("shop-orders")])
      expect(again?.version).toBeGreaterThan(mine.version)
      expect(b.current().node(members[0]!.peer)?.record).toEqual(again)
    })
)

it.scoped("tells of each record of another node once, how it came, and of each comparison", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const [gossips, listens, isAlone] = members.map(({ name }) => name)
    const a = yield* mesh.node(0)
    const b = yield* mesh.node(1)
    const c = yield* mesh.node(2, alone())
    yield* a.updateOwn({ services: [offer("shop-a")] })
    yield* settle
    expect(mesh.told.splice(0)).toEqual([`${listens} saw ${gossips} 0 by gossip`])
    yield* c.updateOwn({ services: [offer("shop-c")] })
    yield* b.syncWith(members[2]!.peer)
    yield* settle
    expect(mesh.told.splice(0)).toEqual([
      `${isAlone} saw ${gossips} 0 by comparison`,
      `${listens} saw ${isAlone} 0 by comparison`,
      `${listens}: changed`,
      `${gossips} saw ${isAlone} 0 by gossip`
    ])
    yield* b.syncWith(members[2]!.peer)
    mesh.broken = true
    yield* Effect.exit(b.syncWith(members[2]!.peer))
    yield* TestClock.adjust(1_000)
    const leaving = yield* a.updateOwn({ state: "draining" })
    yield* c.receive(leaving.bytes)
    yield* c.receive(leaving.bytes)
    yield* settle
    expect(mesh.told).toEqual([
      `${listens}: same`,
      `${listens}: failed`,
      `${listens} saw ${gossips} 1 by gossip`,
      `${isAlone} saw ${gossips} 1 by notice`
    ])
  })
)
