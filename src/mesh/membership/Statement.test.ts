import { Either } from "effect"
import { expect, test } from "vitest"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { nodeOut, revoking } from "../../../test/fixtures/Revoking.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { sealEnvelope } from "../trust/Envelope.ts"
import { maxIncarnationAhead } from "./Incarnation.ts"
import { makeStatementDoor, statementKind } from "./Statement.ts"

const now = 1_800_000_000_000
const [reader, writer, other] = makeMembers(3, now)
const [stranger] = makeMembers(1, now, undefined, 1)
const door = makeStatementDoor({ current: reader! })
const writing = makeStatementDoor({ current: writer! })

const codeOf = (bytes: Uint8Array, at = now) =>
  Either.match(door.admit(bytes, at), { onLeft: ({ code }) => code, onRight: () => "admitted" })

const suspect = { kind: "suspect", subject: other!.peer, incarnation: 7, repeat: 0 } as const

test("an accusation is its signer's", () => {
  expect(Either.getOrThrow(door.admit(writing.seal(suspect), now))).toEqual({
    kind: "suspect",
    subject: other!.peer,
    incarnation: 7,
    by: writer!.peer
  })
})

test("only the member itself can say that it lives", () => {
  const bytes = writing.seal({ kind: "alive", incarnation: 7 })
  expect(Either.getOrThrow(door.admit(bytes, now))).toEqual({
    kind: "alive",
    subject: writer!.peer,
    incarnation: 7
  })
})

test("what somebody says who was thrown out counts for nothing, and is not held against the messenger", () => {
  const cell = { current: revoking(nodeOut(writer!.peer)) }
  const sut = makeStatementDoor({ current: reader! }, undefined, undefined, cell)
  const refused = Either.flip(sut.admit(writing.seal(suspect), now))
  expect(Either.getOrThrow(refused).code).toBe("revoked")
  cell.current = revoking()
  expect(Either.isRight(sut.admit(writing.seal(suspect), now))).toBe(true)
})

test("fields that a later version added are ignored", () => {
  const bytes = sealEnvelope(writer!, statementKind, encodeCbor({ ...suspect, reason: "late" }))
  expect(door.admit(bytes, now)).toEqual(door.admit(writing.seal(suspect), now))
})

test("a repeated accusation is another message", () => {
  expect(writing.seal(suspect)).toEqual(writing.seal(suspect))
  expect(writing.seal({ ...suspect, repeat: 1 })).not.toEqual(writing.seal(suspect))
})

test.each([
  { what: "noise", bytes: new Uint8Array([9]), code: "forged" },
  {
    what: "another mesh's",
    bytes: makeStatementDoor({ current: stranger! }).seal(suspect),
    code: "forged"
  },
  {
    what: "one signed as another kind",
    bytes: sealEnvelope(writer!, "node-record", encodeCbor(suspect)),
    code: "forged"
  },
  {
    what: "one of a kind that a later version may know",
    bytes: sealEnvelope(writer!, statementKind, encodeCbor({ kind: "busy", until: 7 })),
    code: "unknown"
  },
  {
    what: "one of no kind",
    bytes: sealEnvelope(writer!, statementKind, encodeCbor({ incarnation: 7 })),
    code: "forged"
  },
  {
    what: "one far ahead of our clock",
    bytes: writing.seal({ kind: "alive", incarnation: now + maxIncarnationAhead + 1 }),
    code: "untimely"
  }
])("refuses $what", ({ bytes, code }) => {
  expect(codeOf(bytes)).toBe(code)
})

test("refuses a statement of somebody whose certificate is over", () => {
  expect(codeOf(writing.seal(suspect), now + 48 * 3_600_000)).toBe("untimely")
})
