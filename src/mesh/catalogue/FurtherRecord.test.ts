import { Either } from "effect"
import { expect, test } from "vitest"
import { laterRecordOf, sealFurther } from "../../../test/fixtures/LaterVersion.ts"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { sealEnvelope } from "../trust/Envelope.ts"
import { Catalogue } from "./Catalogue.ts"
import { makeRecordDoor, recordKind } from "./RecordDoor.ts"
import { type FurtherEntry, lifetimes } from "./RecordEntry.ts"
import { isBlameworthy } from "./RecordRefused.ts"
import { maxAhead } from "./RecordTime.ts"

const now = 1_800_000_000_000
const hour = 3_600_000
const [reader, writer, other] = makeMembers(3, now)
const [stranger] = makeMembers(1, now, undefined, 1)
const door = makeRecordDoor({ current: reader! })
const payments = laterRecordOf(writer!.peer, "payments", now, { retries: 3 })

test("a record of a later kind is admitted as far as it can be judged, with its bytes as they came", () => {
  const bytes = sealFurther(writer!, payments)
  expect(Either.getOrThrow(door.admit(bytes, now))).toMatchObject({
    ...{ kind: "further", signer: writer!.peer, key: payments.key, epoch: now, version: 0 },
    ...{ bytes, expiresAt: now + lifetimes.record }
  })
})

test.each([
  {
    what: "of another mesh",
    bytes: sealFurther(stranger!, laterRecordOf(stranger!.peer, "payments", now)),
    code: "forged",
    blame: true
  },
  {
    what: "in the place of somebody else's",
    bytes: sealFurther(other!, payments),
    code: "wrong_owner",
    blame: true
  },
  {
    what: "in the place of a node's record",
    bytes: sealFurther(writer!, { ...payments, key: `node/${writer!.peer}` }),
    code: "unreadable",
    blame: false
  },
  {
    what: "without an owner",
    bytes: sealFurther(writer!, { ...payments, key: "setting/payments" }),
    code: "unreadable",
    blame: false
  },
  {
    what: "without an order",
    bytes: sealFurther(writer!, { ...payments, version: undefined }),
    code: "unreadable",
    blame: false
  },
  {
    what: "signed as something else",
    bytes: sealEnvelope(writer!, "membership", encodeCbor(payments)),
    code: "forged",
    blame: true
  },
  {
    what: "that is a node's, signed as of a later kind",
    bytes: sealFurther(writer!, { peer: writer!.peer, epoch: now, version: 0, signedAt: now }),
    code: "unreadable",
    blame: false
  },
  {
    what: "signed as a node's",
    bytes: sealEnvelope(writer!, recordKind, encodeCbor(payments)),
    code: "unreadable",
    blame: false
  },
  {
    what: "over the limit",
    bytes: sealFurther(writer!, { ...payments, more: "x".repeat(70_000) }),
    code: "too_large",
    blame: true
  },
  {
    what: "from the far future",
    bytes: sealFurther(writer!, { ...payments, epoch: now + maxAhead + 1 }),
    code: "from_the_future",
    blame: false
  },
  {
    what: "past its life",
    bytes: sealFurther(writer!, { ...payments, signedAt: now - lifetimes.record }),
    code: "too_old",
    blame: false
  },
  {
    what: "signed after the certificate had ended",
    bytes: sealFurther(writer!, { ...payments, signedAt: now + 30 * hour, epoch: now }),
    at: now + 30 * hour,
    code: "forged",
    blame: true
  }
])("a record $what is refused", ({ bytes, code, blame, at = now }) => {
  const refused = Either.getOrThrow(Either.flip(door.admit(bytes, at)))
  expect(refused.code).toBe(code)
  expect(isBlameworthy(refused)).toBe(blame)
})

test("no altered byte is admitted", () => {
  const bytes = sealFurther(writer!, payments)
  for (let at = 0; at < bytes.length; at += 7) {
    const altered = Uint8Array.from(bytes)
    altered[at]! ^= 1
    expect(Either.isLeft(door.admit(altered, now)), `byte ${at}`).toBe(true)
  }
})

const entryOf = (identity: typeof writer, name: string, change = {}): FurtherEntry => {
  const bytes = sealFurther(identity!, { ...laterRecordOf(identity!.peer, name, now), ...change })
  const entry = Either.getOrThrow(door.admit(bytes, now))
  if (entry.kind !== "further") throw new Error(`${entry.key} is known`)
  return entry
}
const nodeEntryOf = (identity: typeof writer) =>
  Either.getOrThrow(
    makeRecordDoor({ current: identity! }).seal(
      {
        ...{ peer: identity!.peer, name: identity!.name, addresses: [], services: [] },
        ...{ epoch: now, version: 0, signedAt: now, state: "serving", software: "skein/test" }
      },
      now
    )
  )

test("they are ordered as all are, and no node's record", () => {
  const first = entryOf(writer, "payments")
  const second = entryOf(writer, "payments", { version: 1 })
  const node = nodeEntryOf(writer)
  const catalogue = Catalogue.empty.merge(second)[0].merge(node)[0]
  expect(catalogue.merge(first)[1]).toBe("stale")
  expect(catalogue.merge(second)[1]).toBe("known")
  expect(Array.from(catalogue.entries())).toEqual([node])
  expect(new Set(catalogue.all())).toEqual(new Set([node, second]))
  expect(catalogue.size).toBe(1)
  expect(catalogue.further).toEqual({ records: 1, bytes: second.bytes.length })
  expect(catalogue.changesSince(Catalogue.empty)).toEqual([{ before: undefined, after: node }])
  expect(catalogue.without(first.key).further.records).toBe(0)
  expect(catalogue.filter(({ kind }) => kind === "node").further).toEqual({ records: 0, bytes: 0 })
})

test("nobody takes all the room there is for them, and they none of the nodes'", () => {
  const room = { records: 3, bytes: 100_000, perSigner: { records: 2, bytes: 100_000 } }
  let catalogue = Catalogue.withLimits({ records: 2, bytes: 100_000 }, room)
  const take = (entry: Parameters<Catalogue["merge"]>[0]) => {
    const [next, outcome] = catalogue.merge(entry)
    catalogue = next
    return outcome
  }
  const isOpen = (identity: typeof writer) =>
    catalogue.isOpenTo(laterRecordOf(identity!.peer, "more", now).key)
  expect([take(entryOf(writer, "a")), take(entryOf(writer, "b"))]).toEqual(["added", "added"])
  expect(isOpen(writer)).toBe(false)
  expect(take(entryOf(writer, "c"))).toBe("full")
  expect(take(entryOf(writer, "b", { version: 1 }))).toBe("replaced")
  expect(isOpen(other)).toBe(true)
  expect(take(entryOf(other, "a"))).toBe("added")
  expect(isOpen(other), "in all").toBe(false)
  expect(take(entryOf(other, "b"))).toBe("full")
  expect([take(nodeEntryOf(writer)), take(nodeEntryOf(other))]).toEqual(["added", "added"])
  catalogue = catalogue.without(entryOf(writer, "a").key)
  expect(take(entryOf(writer, "c"))).toBe("added")
})

test("nobody takes all the bytes there are for them", () => {
  const [small, large] = [entryOf(writer, "a"), entryOf(writer, "b", { more: "x".repeat(1_000) })]
  const bytes = small.bytes.length + 500
  const perSigner = { records: 10, bytes }
  const catalogue = Catalogue.withLimits(
    { records: 10, bytes: 10 },
    { records: 10, bytes: 10 * bytes, perSigner }
  ).merge(small)[0]
  expect(catalogue.merge(large)[1]).toBe("full")
  expect(catalogue.merge(entryOf(writer, "a", { version: 1, more: "x".repeat(1_000) }))[1]).toBe(
    "full"
  )
  expect(catalogue.merge(entryOf(other, "b"))[1]).toBe("added")
})
