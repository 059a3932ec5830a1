import { expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, TestClock } from "effect"
import * as fc from "fast-check"
import { test } from "vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { MeshRpcError } from "../host/MeshRpc.ts"
import {
  answerDigest,
  answerVersions,
  answerWanted,
  compareVersions,
  type SyncPort,
  synchronise,
  syncLimits
} from "./AntiEntropy.ts"
import { Catalogue } from "./Catalogue.ts"
import { bucketCount, nodeEntry } from "./RecordEntry.ts"

const letters = "ABCDEFGHJK"
const peerOf = (n: number) =>
  PeerKey.make(
    `12D3KooWPeerPeer${[...`${n}`.padStart(6, "0")].map((d) => letters[Number(d)]).join("")}`
  )

const encode = (n: number, version: number, padding = 0) => {
  const record: NodeRecord = {
    peer: peerOf(n),
    name: NodeName.make("host"),
    addresses: [],
    epoch: 1,
    version,
    signedAt: 1,
    state: "serving",
    services: [],
    software: "x".repeat(padding)
  }
  return new TextEncoder().encode(JSON.stringify(record))
}

const entryOf = (bytes: Uint8Array) => {
  // Written by `encode` just above.
  const record = JSON.parse(new TextDecoder().decode(bytes)) as NodeRecord
  return nodeEntry(record, [], bytes)
}

interface Held {
  readonly n: number
  readonly version: number
}

/** One side, with what passed over it. */
class Side {
  catalogue = Catalogue.empty
  asked = 0
  largest = { records: 0, bytes: 0 }

  constructor(held: ReadonlyArray<Held>, padding = 0) {
    for (const { n, version } of held) this.take([encode(n, version, padding)])
  }

  take(envelopes: ReadonlyArray<Uint8Array>): number {
    const before = this.catalogue
    for (const bytes of envelopes) this.catalogue = this.catalogue.merge(entryOf(bytes))[0]
    return before === this.catalogue ? 0 : envelopes.length
  }

  #measure(batch: ReadonlyArray<Uint8Array>): void {
    this.largest.records = Math.max(this.largest.records, batch.length)
    const bytes = batch.reduce((sum, { length }) => sum + length, 0)
    this.largest.bytes = Math.max(this.largest.bytes, bytes)
  }

  readonly self = {
    current: () => this.catalogue,
    receive: (envelopes: ReadonlyArray<Uint8Array>) => Effect.sync(() => this.take(envelopes))
  }

  readonly port: SyncPort = {
    digest: (root) =>
      Effect.sync(() => {
        this.asked++
        return answerDigest(this.catalogue, root)
      }),
    versions: (buckets) =>
      Effect.sync(() => {
        this.asked++
        expect(buckets.length).toBeLessThanOrEqual(syncLimits.buckets)
        return answerVersions(this.catalogue, buckets)
      }),
    exchange: (wanted, offered) =>
      Effect.sync(() => {
        this.asked++
        expect(wanted.length).toBeLessThanOrEqual(syncLimits.records)
        this.#measure(offered)
        this.take(offered)
        const answer = answerWanted(this.catalogue, wanted)
        this.#measure(answer)
        return answer
      })
  }
}

const anyHeld = fc.array(
  fc.record({ n: fc.integer({ min: 0, max: 300 }), version: fc.integer({ min: 0, max: 3 }) }),
  { maxLength: 200 }
)

test("afterwards both hold the newest of both", () => {
  fc.assert(
    fc.property(anyHeld, anyHeld, (left, right) => {
      const [a, b] = [new Side(left), new Side(right)]
      Effect.runSync(synchronise(a.self, b.port))
      const both = new Side([...left, ...right]).catalogue.root()
      expect(a.catalogue.root()).toEqual(both)
      expect(b.catalogue.root()).toEqual(both)
    }),
    { numRuns: 40 }
  )
})

const range = (from: number, to: number, version = 0): ReadonlyArray<Held> =>
  Array.from({ length: to - from }, (_, index) => ({ n: from + index, version }))

it.effect("equal catalogues cost one question", () =>
  Effect.gen(function* () {
    const [a, b] = [new Side(range(0, 100)), new Side(range(0, 100))]
    expect(yield* synchronise(a.self, b.port)).toEqual({ same: true, received: 0, offered: 0 })
    expect(b.asked).toBe(1)
  })
)

it.effect("one difference costs three questions, and moves one record", () =>
  Effect.gen(function* () {
    const [a, b] = [new Side(range(0, 500)), new Side([...range(0, 500), { n: 7, version: 1 }])]
    const report = yield* synchronise(a.self, b.port)
    expect(report).toEqual({ same: false, received: 1, offered: 0 })
    expect(b.asked).toBe(3)
  })
)

it.effect("a newcomer gets everything in bounded batches, and gives what it has", () =>
  Effect.gen(function* () {
    const padding = 20_000
    const [a, b] = [new Side(range(400, 403), padding), new Side(range(0, 300), padding)]
    const report = yield* synchronise(a.self, b.port)
    expect(report).toEqual({ same: false, received: 300, offered: 3 })
    expect(a.catalogue.root()).toEqual(b.catalogue.root())
    expect(b.largest.records).toBeLessThanOrEqual(syncLimits.records)
    expect(b.largest.bytes).toBeLessThanOrEqual(syncLimits.bytes)
  })
)

/** Each answer takes 100 ms; `most`: questions at a time. */
const faraway = (port: SyncPort) => {
  const seen = { now: 0, most: 0 }
  const late = <A>(answer: Effect.Effect<A, MeshRpcError>) =>
    Effect.suspend(() => {
      seen.most = Math.max(seen.most, ++seen.now)
      return Effect.ensuring(
        Effect.delay(answer, "100 millis"),
        Effect.sync(() => seen.now--)
      )
    })
  const slow: SyncPort = {
    digest: (root) => late(port.digest(root)),
    versions: (buckets) => late(port.versions(buckets)),
    exchange: (wanted, offered) => late(port.exchange(wanted, offered))
  }
  return { seen, slow }
}

/** What a comparison comes to, and how long it takes, ms. */
const timed = (a: Side, port: SyncPort) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.timed(synchronise(a.self, port)))
    yield* TestClock.adjust("1 minute")
    const [took, report] = yield* Fiber.join(fiber)
    return { took: Duration.toMillis(took), report }
  })

it.effect("a newcomer asks for four parts at a time, and others for one after the other", () =>
  Effect.gen(function* () {
    // Fifteen or sixteen questions of buckets, and as many exchanges.
    const [newcomer, b] = [new Side([]), new Side(range(0, 600))]
    const first = faraway(b.port)
    const { report, took } = yield* timed(newcomer, first.slow)
    expect(report).toEqual({ same: false, received: 600, offered: 0 })
    expect(newcomer.catalogue.root()).toEqual(b.catalogue.root())
    expect(first.seen.most).toBe(4)
    expect(took).toBeLessThanOrEqual(1_000)

    const other = new Side(range(600, 1_200))
    const second = faraway(b.port)
    const back = yield* timed(other, second.slow)
    expect(back.report).toEqual({ same: false, received: 600, offered: 600 })
    expect(second.seen.most).toBe(1)
    expect(back.took).toBeGreaterThan(3_000)
  })
)

it.effect("ends when the other side names records that it does not give", () =>
  Effect.gen(function* () {
    const [a, b] = [new Side([]), new Side(range(0, 200))]
    const report = yield* synchronise(a.self, { ...b.port, exchange: () => Effect.succeed([]) })
    expect(report).toEqual({ same: false, received: 0, offered: 0 })
  })
)

it.effect("ends when the other side's answers make no sense", () =>
  Effect.gen(function* () {
    const [a, b] = [new Side(range(0, 10)), new Side([])]
    const buckets = [new Uint8Array(16)]
    const digest = () => Effect.succeed({ same: false, buckets })
    expect(yield* synchronise(a.self, { ...b.port, digest })).toMatchObject({ received: 0 })
  })
)

it.effect("fails with the other side, and keeps what it got until then", () =>
  Effect.gen(function* () {
    const [a, b] = [new Side([]), new Side(range(0, 300))]
    const gone = new MeshRpcError({ code: "unavailable", message: "gone" })
    const exchange: SyncPort["exchange"] = (wanted, offered) =>
      b.asked > 6 ? Effect.fail(gone) : b.port.exchange(wanted, offered)
    expect(yield* Effect.flip(synchronise(a.self, { ...b.port, exchange }))).toBe(gone)
    expect(a.catalogue.size).toBeGreaterThan(0)
  })
)

it.effect("tells what it has given up, and is not offered that any more", () =>
  Effect.gen(function* () {
    const [a, b] = [new Side(range(0, 20)), new Side(range(0, 18))]
    const [given, later] = [18, 19].map((n) => {
      const { epoch, key, version } = a.catalogue.get(`node/${peerOf(n)}`)!
      return { key, epoch, version }
    })
    // Of the second one less is given up than is held here.
    const gone = [given!, { ...later!, epoch: later!.epoch - 1 }]
    const heard: Array<unknown> = []
    const onGone = (versions: ReadonlyArray<unknown>) => void heard.push(...versions)
    const versions: SyncPort["versions"] = (buckets) =>
      Effect.sync(() => answerVersions(b.catalogue, buckets, gone))
    const port = { ...b.port, versions }
    expect(yield* synchronise({ ...a.self, onGone }, port)).toMatchObject({ offered: 1 })
    expect(heard).toMatchObject([given])
    expect(b.catalogue.get(given!.key)).toBeUndefined()
    expect(b.catalogue.get(later!.key)).toBeDefined()
    // Who does not hold it either neither hears of it nor asks for it.
    const c = new Side([])
    yield* synchronise({ ...c.self, onGone: () => expect.fail("it holds nothing") }, port)
    expect(c.catalogue.root()).toEqual(b.catalogue.root())
  })
)

test("wants records of kinds that this version cannot read, of which it knows whose they are", () => {
  const hash = new Uint8Array(16)
  const theirs = [
    { key: "policy/payments", epoch: 1, version: 1, hash },
    { key: `policy/${peerOf(1)}/payments`, epoch: 1, version: 1, hash },
    { key: `node/${peerOf(1)}`, epoch: 1, version: 1, hash }
  ]
  const all = Array.from({ length: bucketCount }, (_, index) => index)
  const wanted = [`policy/${peerOf(1)}/payments`, `node/${peerOf(1)}`]
  expect(compareVersions(Catalogue.empty, all, theirs).wanted).toEqual(wanted)
  const none = { records: 0, bytes: 0, perSigner: { records: 0, bytes: 0 } }
  const full = Catalogue.withLimits({ records: 10, bytes: 1_000 }, none)
  expect(compareVersions(full, all, theirs).wanted).toEqual(wanted.slice(1))
})
