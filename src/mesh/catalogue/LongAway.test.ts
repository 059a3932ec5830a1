/**
 * Who was away for longer than tombstones live brings nothing back that was removed meanwhile: a
 * record is over long before the tombstone that stands against it, wherever it was kept.
 */
import { expect, it } from "@effect/vitest"
import { Effect, Either, Layer, TestClock } from "effect"
import * as fc from "fast-check"
import { test } from "vitest"
import { Catalogues } from "../../../test/fixtures/Catalogues.ts"
import { laterRecordOf, sealFurther } from "../../../test/fixtures/LaterVersion.ts"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { MemoryBus } from "../../testing/MemoryGossip.ts"
import type { CatalogueShape } from "./CatalogueService.ts"
import { CatalogueStore } from "./CatalogueStore.ts"
import { makeRecordDoor } from "./RecordDoor.ts"
import { lifetimes } from "./RecordEntry.ts"
import { maxAhead } from "./RecordTime.ts"

const start = 1_800_000_000_000
const hour = 3_600_000
const members = makeMembers(3, start, { services: ["shop-*"], capabilities: [] })
const [here, gone, away] = members
const alone = () => new MemoryBus().layer()

const makeMesh = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const stores = yield* Effect.all(members.map(() => Layer.build(CatalogueStore.layerMemory)))
  return new Catalogues(members, stores)
})

/** One meets the record of another and goes away; the other leaves, which only a third one hears of. */
const parted = Effect.gen(function* () {
  const mesh = yield* makeMesh
  const life = <A>(index: number, use: (node: CatalogueShape) => Effect.Effect<A, unknown>) =>
    Effect.scoped(Effect.flatMap(mesh.node(index, alone()), use))
  return yield* life(1, (leaver) =>
    Effect.gen(function* () {
      const { bytes } = yield* leaver.updateOwn({ addresses: ["/ip4/10.0.0.2/tcp/4001"] })
      yield* life(2, (node) => node.syncWith(gone!.peer))
      yield* TestClock.adjust("1 minute")
      const { bytes: tombstone } = yield* leaver.updateOwn({ state: "left" })
      yield* life(0, (node) => node.syncWith(gone!.peer))
      return { mesh, bytes, tombstone }
    })
  )
})

it.scoped("back while the tombstone lives, it takes that and drops what it had", () =>
  Effect.gen(function* () {
    const { mesh } = yield* parted
    yield* TestClock.setTime(start + lifetimes.record - 2 * hour)
    const a = yield* mesh.node(0, alone())
    const c = yield* mesh.node(2, alone())
    expect(c.current().node(gone!.peer)?.record.state).toBe("serving")
    yield* c.syncWith(here!.peer)
    expect(a.current().node(gone!.peer)?.record.state).toBe("left")
    expect(c.current().node(gone!.peer)?.record.state).toBe("left")
  })
)

it.scoped(
  "back when the record is over and the tombstone is not, it starts without the record",
  () =>
    Effect.gen(function* () {
      const { mesh } = yield* parted
      yield* TestClock.setTime(start + lifetimes.record)
      const a = yield* mesh.node(0, alone())
      const c = yield* mesh.node(2, alone())
      expect(c.current().node(gone!.peer)).toBeUndefined()
      yield* c.syncWith(here!.peer)
      expect(a.current().node(gone!.peer)?.record.state).toBe("left")
    })
)

it.scoped("back after the tombstone, it can bring the record to nobody", () =>
  Effect.gen(function* () {
    const { mesh, bytes, tombstone } = yield* parted
    yield* TestClock.setTime(start + lifetimes.tombstone + hour)
    const a = yield* mesh.node(0, alone())
    const c = yield* mesh.node(2, alone())
    expect(a.current().node(gone!.peer)).toBeUndefined()
    expect(c.current().node(gone!.peer)).toBeUndefined()
    expect(yield* c.syncWith(here!.peer)).toMatchObject({ same: true })
    // As from a node that was stopped with it in memory, or whose clock is days behind.
    expect((yield* Effect.flip(a.receive(bytes))).code).toBe("too_old")
    expect((yield* Effect.flip(a.receive(tombstone))).code).toBe("too_old")
    yield* a.handlers.CatalogueExchange({ wanted: [], offered: [bytes] })
    expect(a.current().node(gone!.peer)).toBeUndefined()
  })
)

it.scoped("the one that left may come back itself, by a new start", () =>
  Effect.gen(function* () {
    const { mesh } = yield* parted
    yield* TestClock.setTime(start + 2 * hour)
    const a = yield* mesh.node(0, alone())
    expect(a.current().node(gone!.peer)?.record.state).toBe("left")
    const back = yield* mesh.node(1, alone())
    yield* back.updateOwn({ state: "serving" })
    yield* a.syncWith(gone!.peer)
    expect(a.current().node(gone!.peer)?.record.state).toBe("serving")
  })
)

const recordAt = (signedAt: number, version: number, state: "serving" | "left") =>
  Either.getOrThrow(
    makeRecordDoor({ current: gone! }).seal(
      {
        ...{ peer: gone!.peer, name: gone!.name, addresses: [], services: [] },
        ...{ epoch: start, version, signedAt, state, software: "skein/test" }
      },
      start
    )
  )

test("whoever still takes the record, nobody near it in time has dropped the tombstone", () => {
  const door = makeRecordDoor({ current: away! })
  fc.assert(
    fc.property(
      // The record, how much later the tombstone, when, and by what two clocks differ.
      fc.integer({ min: 0, max: 20 * hour }),
      fc.integer({ min: 0, max: 3 * hour }),
      fc.integer({ min: 0, max: 200 * hour }),
      fc.integer({ min: 0, max: lifetimes.tombstone - lifetimes.record }),
      (signed, later, passed, apart) => {
        const record = recordAt(start + signed, 0, "serving")
        const tombstone = recordAt(start + signed + later, 1, "left")
        const now = start + signed + later + passed
        const isTaken = Either.isRight(door.admit(record.bytes, now))
        expect(isTaken).toBe(now < record.expiresAt)
        if (isTaken) expect(tombstone.expiresAt).toBeGreaterThan(now + apart)
      }
    ),
    { numRuns: 100 }
  )
})

test("a record of a kind that is not known ends before what replaced it, too", () => {
  const door = makeRecordDoor({ current: away! })
  const endOf = (version: number, signedAt: number) => {
    const setting = { ...laterRecordOf(gone!.peer, "payments", start), version, signedAt }
    return Either.getOrThrow(door.admit(sealFurther(gone!, setting), start)).expiresAt
  }
  expect(endOf(1, start + maxAhead)).toBeGreaterThan(endOf(0, start))
})
