import { Either } from "effect"
import { expect, test } from "vitest"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { nodeOut, revoking } from "../../../test/fixtures/Revoking.ts"
import { ServiceName } from "../../model/Names.ts"
import type { NodeRecord, ServiceEntry } from "../../model/NodeRecord.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { sealEnvelope } from "../trust/Envelope.ts"
import type { NodeIdentity } from "../trust/NodeIdentity.ts"
import { makeRecordDoor, recordKind } from "./RecordDoor.ts"
import { lifetimes } from "./RecordEntry.ts"
import { isBlameworthy } from "./RecordRefused.ts"
import { maxAhead } from "./RecordTime.ts"

const now = 1_800_000_000_000
const hour = 3_600_000
const [reader, writer, other] = makeMembers(3, now, { services: ["shop-*"], capabilities: [] })
const [stranger] = makeMembers(1, now, undefined, 1)

const offer = (name: string, ids: ReadonlyArray<string> = ["0"]): ServiceEntry => ({
  name: ServiceName.make(name),
  protocol: "http",
  endpoints: ids.map((id) => ({ id, healthy: true, draining: false, weight: 100 }))
})

const recordOf = (identity: NodeIdentity, change: Partial<NodeRecord> = {}): NodeRecord => ({
  peer: identity.peer,
  name: identity.name,
  addresses: ["/ip4/127.0.0.1/tcp/4001"],
  epoch: now,
  version: 0,
  signedAt: now,
  state: "serving",
  services: [offer("shop-orders")],
  software: "skein/test",
  ...change
})

const seal = (identity: NodeIdentity, record: unknown) =>
  sealEnvelope(identity, recordKind, encodeCbor(record))

const door = makeRecordDoor({ current: reader! })
const nodeOf = (bytes: Uint8Array) => {
  const entry = Either.getOrThrow(door.admit(bytes, now))
  if (entry.kind !== "node") throw new Error(`${entry.key} is no node's record`)
  return entry
}
const refusal = (bytes: Uint8Array, at = now) => Either.flip(door.admit(bytes, at))
const codeOf = (bytes: Uint8Array, at = now) =>
  Either.match(refusal(bytes, at), {
    onLeft: () => "admitted",
    onRight: ({ code, ...refused }) => `${code}${refused.message === "" ? " without message" : ""}`
  })

test("admits what its owner signed, and keeps the bytes as they came", () => {
  const bytes = seal(writer!, recordOf(writer!))
  const entry = nodeOf(bytes)
  expect(entry.record).toEqual(recordOf(writer!))
  expect(entry.bytes).toEqual(bytes)
  expect(entry.withheld).toEqual([])
})

test("does not keep the chunk alive that a record came in", () => {
  const bytes = seal(writer!, recordOf(writer!))
  const chunk = new Uint8Array(100_000)
  chunk.set(bytes, 500)
  const entry = Either.getOrThrow(door.admit(chunk.subarray(500, 500 + bytes.length), now))
  expect(entry.bytes.buffer.byteLength).toBe(bytes.length)
})

test("leaves out services that the certificate does not grant, and says which", () => {
  const services = [offer("shop-orders"), offer("payments")]
  const entry = nodeOf(seal(writer!, recordOf(writer!, { services })))
  expect(entry.record.services.map(({ name }) => name)).toEqual(["shop-orders"])
  expect(entry.withheld).toEqual(["payments"])
})

test("refuses what somebody says who was thrown out, and leaves out what was taken from the others", () => {
  const grant = {
    revoke: "grant",
    peer: other!.peer,
    service: "shop-orders"
  } as const
  const revocations = { current: revoking(nodeOut(writer!.peer), grant) }
  const seen: Array<string> = []
  const sut = makeRecordDoor(
    { current: reader! },
    { revocations, onCertificate: ({ name }) => seen.push(name) }
  )
  const refused = Either.getOrThrow(Either.flip(sut.admit(seal(writer!, recordOf(writer!)), now)))
  expect([refused.code, isBlameworthy(refused)]).toEqual(["revoked", false])
  const further = { key: `more/${writer!.peer}`, epoch: now, version: 0, signedAt: now }
  const signed = sealEnvelope(writer!, "record", encodeCbor(further))
  expect(Either.flip(sut.admit(signed, now))).toMatchObject({ right: { code: "revoked" } })
  const services = [offer("shop-orders"), offer("shop-cart")]
  const entry = Either.getOrThrow(sut.admit(seal(other!, recordOf(other!, { services })), now))
  expect(entry).toMatchObject({ withheld: ["shop-orders"] })
  expect(seen).toEqual([other!.name])
})

test.each<{ what: string; bytes: Uint8Array; code: string; blame: boolean }>([
  {
    what: "a record about another node",
    bytes: seal(writer!, recordOf(other!)),
    code: "wrong_owner",
    blame: true
  },
  {
    what: "another mesh's record",
    bytes: seal(stranger!, recordOf(stranger!)),
    code: "forged",
    blame: true
  },
  {
    what: "something signed as another kind",
    bytes: sealEnvelope(writer!, "membership", encodeCbor(recordOf(writer!))),
    code: "forged",
    blame: true
  },
  { what: "noise", bytes: new Uint8Array([1, 2, 3]), code: "malformed", blame: true },
  {
    // Perhaps a later version's record, passed on by one that reads it.
    what: "a signed something",
    bytes: seal(writer!, { hello: "world" }),
    code: "unreadable",
    blame: false
  },
  {
    what: "a service named twice",
    bytes: seal(writer!, recordOf(writer!, { services: [offer("shop-a"), offer("shop-a")] })),
    code: "malformed",
    blame: true
  },
  {
    what: "an endpoint named twice",
    bytes: seal(writer!, recordOf(writer!, { services: [offer("shop-a", ["0", "0"])] })),
    code: "malformed",
    blame: true
  },
  {
    what: "a record over the limit",
    bytes: seal(writer!, { ...recordOf(writer!), software: "x".repeat(70_000) }),
    code: "too_large",
    blame: true
  },
  {
    what: "an epoch from the far future",
    bytes: seal(writer!, recordOf(writer!, { epoch: now + maxAhead + 1 })),
    code: "from_the_future",
    blame: false
  },
  {
    what: "a date from the far future",
    bytes: seal(writer!, recordOf(writer!, { signedAt: now + maxAhead + 1 })),
    code: "from_the_future",
    blame: false
  },
  {
    what: "a record past its life",
    bytes: seal(writer!, recordOf(writer!, { signedAt: now - lifetimes.record })),
    code: "too_old",
    blame: false
  }
])("refuses $what", ({ bytes, code, blame }) => {
  expect(codeOf(bytes)).toBe(code)
  expect(isBlameworthy(Either.getOrThrow(refusal(bytes)))).toBe(blame)
})

test("refuses every single altered byte", () => {
  const bytes = seal(writer!, recordOf(writer!))
  for (let at = 0; at < bytes.length; at += 7) {
    const altered = Uint8Array.from(bytes)
    altered[at]! ^= 1
    expect(codeOf(altered), `byte ${at}`).not.toBe("admitted")
  }
})

test("still reads a record when its signer's certificate is over, until the record is", () => {
  const bytes = seal(writer!, recordOf(writer!, { signedAt: now + 20 * hour }))
  expect(codeOf(bytes, now + 60 * hour)).toBe("admitted")
  expect(codeOf(bytes, now + 93 * hour)).toBe("too_old")
})

test("refuses what was signed after the certificate had ended", () => {
  const late = now + 30 * hour
  const bytes = seal(writer!, recordOf(writer!, { signedAt: late, epoch: late }))
  expect(codeOf(bytes, late)).toBe("forged")
})

test("our own record passes the same checks", () => {
  const mine = makeRecordDoor({ current: writer! })
  expect(Either.isRight(mine.seal(recordOf(writer!), now))).toBe(true)
  const tooMany = Array.from({ length: 257 }, (_, n) => offer(`shop-${n}`))
  const refused = Either.flip(mine.seal(recordOf(writer!, { services: tooMany }), now))
  expect(Either.getOrThrow(refused).code).toBe("unreadable")
})

test("what this node holds may be ahead of its clock by any time, and must be genuine all the same", () => {
  const ahead = seal(writer!, recordOf(writer!, { epoch: now, signedAt: now }))
  expect(codeOf(ahead, now - 30 * hour)).toBe("from_the_future")
  expect(Either.isRight(door.recall(ahead, now - 30 * hour))).toBe(true)
  expect(Either.isLeft(door.recall(seal(stranger!, recordOf(stranger!)), now))).toBe(true)
  expect(Either.isLeft(door.recall(ahead, now + lifetimes.record))).toBe(true)
})

test("its own word it takes back from whatever time, to go above it", () => {
  const mine = makeRecordDoor({ current: writer! })
  const bytes = seal(writer!, recordOf(writer!))
  expect(Either.isRight(mine.admit(bytes, now - 30 * hour))).toBe(true)
  expect(Either.isRight(mine.seal(recordOf(writer!), now - 30 * hour))).toBe(true)
})

test("tells whose record clocks keep out, and only then", () => {
  const told: Array<string> = []
  const telling = makeRecordDoor(
    { current: reader! },
    { onUntimely: ({ peer, message }) => told.push(`${peer}: ${message}`) }
  )
  const bytes = seal(writer!, recordOf(writer!))
  telling.admit(bytes, now)
  telling.admit(seal(stranger!, recordOf(stranger!)), now - hour)
  // Over, and perhaps still on its way from somebody who has not looked yet.
  telling.admit(bytes, now + lifetimes.tombstone)
  expect(told).toEqual([])
  telling.admit(bytes, now - 2 * hour)
  expect(told.splice(0)).toEqual([
    expect.stringMatching(`^${writer!.peer}: .* ahead of this node's clock`)
  ])
  telling.admit(bytes, now + lifetimes.tombstone + 3 * hour)
  expect(told.length).toBe(1)
})
