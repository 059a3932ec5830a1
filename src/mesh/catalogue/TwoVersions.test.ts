/** A mesh that is upgraded node by node: what newer nodes say goes through those that are not, whole. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Schema, TestClock } from "effect"
import { Catalogues } from "../../../test/fixtures/Catalogues.ts"
import {
  laterDoor,
  laterField,
  laterRecordOf,
  laterService,
  sealFurther
} from "../../../test/fixtures/LaterVersion.ts"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { ServiceName } from "../../model/Names.ts"
import { MemoryBus } from "../../testing/MemoryGossip.ts"
import { Gossip, type GossipHandler, type GossipVerdict } from "../host/Gossip.ts"
import { decodeCbor } from "../trust/Cbor.ts"
import { openEnvelope } from "../trust/Envelope.ts"
import type { Catalogue } from "./Catalogue.ts"
import { CatalogueStore } from "./CatalogueStore.ts"
import { furtherKind } from "./FurtherRecord.ts"
import { makeRecordDoor, recordKind } from "./RecordDoor.ts"
import { lifetimes, nodeKey } from "./RecordEntry.ts"

const start = 1_800_000_000_000
const members = makeMembers(3, start, { services: ["shop-*"], capabilities: [] })
const [later, older, third] = members
const alone = () => new MemoryBus().layer()

const offer = {
  name: ServiceName.make("shop-orders"),
  protocol: "http",
  endpoints: [{ id: "0", healthy: true, draining: false, weight: 100 }]
} as const

/** The first and the third are of a later version, the second is not. */
const makeMesh = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const stores = yield* Effect.all(members.map(() => Layer.build(CatalogueStore.layerMemory)))
  return new Catalogues(members, stores, (identity) =>
    identity === older ? makeRecordDoor({ current: identity }) : laterDoor(identity)
  )
})

/** All that is in the signed bytes, as a node reads it that knows the kind. */
const saidIn = (catalogue: Catalogue, key: string, kind: string) => {
  const bytes = catalogue.get(key)?.bytes ?? new Uint8Array()
  const opened = openEnvelope(bytes, {
    ...{ roots: third!.roots, now: start, kind, maxBytes: 100_000 }
  })
  return opened.pipe(
    (envelope) => (envelope._tag === "Right" ? envelope.right.payload : new Uint8Array()),
    (payload) => decodeCbor(Schema.Unknown, payload, "the record"),
    (decoded) => (decoded._tag === "Right" ? decoded.right : undefined)
  )
}

const route = laterRecordOf(later!.peer, "payments", start, { retries: { attempts: 3 } })

it.scoped("comparisons carry what a node cannot read from one that can to another", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const a = yield* mesh.node(0, alone())
    const b = yield* mesh.node(1, alone())
    const c = yield* mesh.node(2, alone())
    yield* a.updateOwn({ services: [offer] })
    expect(yield* a.receive(sealFurther(later!, route))).toBe("added")
    yield* b.syncWith(later!.peer)
    // Of what it cannot read the one between shows nothing.
    expect(Array.from(b.current().entries(), ({ key }) => key)).toEqual([nodeKey(later!.peer)])
    expect(b.current().node(later!.peer)?.record.services).toEqual([offer])
    expect(b.status()).toMatchObject({ records: 1, further: { records: 1 } })
    yield* c.syncWith(older!.peer)
    expect(saidIn(c.current(), nodeKey(later!.peer), recordKind)).toMatchObject({
      ...laterField,
      services: [offer, laterService]
    })
    expect(saidIn(c.current(), route.key, furtherKind)).toEqual(route)
    // All are equal, so a further comparison costs one question.
    expect(b.current().root()).toEqual(a.current().root())
    expect(c.current().root()).toEqual(a.current().root())
    expect(yield* c.syncWith(older!.peer)).toMatchObject({ same: true })
    // A newer one goes the same way, and nobody's older one comes back.
    const changed = { ...route, version: 1, retries: { attempts: 5 } }
    yield* a.receive(sealFurther(later!, changed))
    yield* c.syncWith(older!.peer)
    yield* b.syncWith(later!.peer)
    yield* b.syncWith(third!.peer)
    expect(saidIn(c.current(), route.key, furtherKind)).toEqual(changed)
    expect(saidIn(a.current(), route.key, furtherKind)).toEqual(changed)
  })
)

it.scoped("gossip passes on what a node cannot read, once, and blames nobody", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    let heard: GossipHandler = () => "reject"
    const gossip = Layer.succeed(Gossip, {
      publish: () => Effect.void,
      subscribe: (_topic, handler) =>
        Effect.sync(() => {
          heard = handler
        })
    })
    const a = yield* mesh.node(0, alone())
    const own = yield* a.updateOwn({ services: [offer] })
    const b = yield* mesh.node(1, gossip)
    const verdicts: Array<GossipVerdict> = []
    for (const bytes of [
      own.bytes,
      sealFurther(later!, route),
      sealFurther(later!, route),
      // Of a form that not even that can be read of.
      sealFurther(later!, { key: "route", at: { physical: start, logical: 1 } })
    ]) {
      verdicts.push(heard(bytes))
      yield* TestClock.adjust(1)
    }
    expect(verdicts).toEqual(["accept", "accept", "ignore", "ignore"])
    expect(b.status()).toMatchObject({ records: 1, further: { records: 1 } })
  })
)

it.scoped("what a node cannot read survives its restart, and ends with its time", () =>
  Effect.gen(function* () {
    const mesh = yield* makeMesh
    const old = { ...route, signedAt: start - lifetimes.record + 60_000 }
    yield* Effect.scoped(
      Effect.flatMap(mesh.node(1, alone()), (b) => b.receive(sealFurther(later!, old)))
    )
    const b = yield* mesh.node(1, alone())
    expect(saidIn(b.current(), old.key, furtherKind)).toEqual(old)
    yield* TestClock.adjust("2 minutes")
    expect(b.status().further.records).toBe(0)
  })
)
