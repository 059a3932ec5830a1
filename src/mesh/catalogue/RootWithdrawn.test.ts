import { Either } from "effect"
import { expect, it } from "vitest"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { sealSetting, type Written } from "../../../test/fixtures/Settings.ts"
import { SettingJudge } from "../settings/SettingJudge.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { sealEnvelope } from "../trust/Envelope.ts"
import { enrol } from "../trust/FoundMesh.ts"
import { hearOfRoots, type NodeIdentity } from "../trust/NodeIdentity.ts"
import { finishRotation, rotateRoot } from "../trust/RootRotation.ts"
import { settingMark } from "../trust/RootStatement.ts"
import { signingKeyFromSeed } from "../trust/SigningKey.ts"
import { makeRecordDoor, recordKind } from "./RecordDoor.ts"
import { isBlameworthy } from "./RecordRefused.ts"

const now = 1_800_000_000_000
const [founder, reader, writer] = makeMembers(3, now) as [NodeIdentity, NodeIdentity, NodeIdentity]
const rotated = Either.getOrThrow(
  rotateRoot(founder, signingKeyFromSeed(new Uint8Array(32).fill(99)), now)
)
const judge = new SettingJudge(() => ["policy"])
const recordOf = (identity: NodeIdentity) =>
  sealEnvelope(
    identity,
    recordKind,
    encodeCbor({
      ...{ peer: identity.peer, name: identity.name, addresses: ["/ip4/127.0.0.1/tcp/4001"] },
      ...{ epoch: now, version: 0, signedAt: now, state: "serving", services: [], software: "x" }
    })
  )
const policy = (name: string): Written => ({ body: { retry: "off" }, wall: now, name })
const kept = sealSetting(founder, policy("kept"))

/** A door of a node that has heard these; `told` changes what it has heard. */
const doorOf = (...statements: ReadonlyArray<Uint8Array>) => {
  const cell = { current: reader }
  hearOfRoots(cell, statements)
  return makeRecordDoor(cell, { settings: judge })
}
const codeOf = (door: ReturnType<typeof doorOf>, bytes: Uint8Array) =>
  Either.match(door.admit(bytes, now), {
    onLeft: (refused) => `${refused.code}${isBlameworthy(refused) ? ", to blame" : ""}`,
    onRight: ({ kind }) => kind
  })
const withdrawal = Either.getOrThrow(
  finishRotation(rotated.identity, { stay: [], kept: [settingMark(kept)] }, now)
).statement

it("records under both roots get in while both are in force, also where nothing was heard of it", () => {
  for (const door of [doorOf(), doorOf(rotated.statement)]) {
    expect(codeOf(door, recordOf(writer))).toBe("node")
    expect(codeOf(door, recordOf(rotated.identity))).toBe("node")
    expect(codeOf(door, sealSetting(rotated.identity, policy("new")))).toBe("setting")
  }
})

it("records under a withdrawn root do not, and nobody is to blame for passing them on", () => {
  const door = doorOf(rotated.statement, withdrawal)
  expect(codeOf(door, recordOf(writer))).toBe("revoked")
  expect(Either.isLeft(door.recall(recordOf(writer), now))).toBe(true)
  expect(codeOf(door, recordOf(rotated.identity))).toBe("node")
  const further = { key: `more/${writer.peer}`, epoch: now, version: 0, signedAt: now }
  expect(codeOf(door, sealEnvelope(writer, "record", encodeCbor(further)))).toBe("revoked")
})

it("of settings under it only those hold on that were there, byte by byte", () => {
  const door = doorOf(rotated.statement, withdrawal)
  expect(codeOf(door, kept)).toBe("setting")
  expect(Either.isRight(door.recall(kept, now + 1_000 * 3_600_000))).toBe(true)
  // Whoever has the old root's key now says nothing by it, however it is dated.
  expect(codeOf(door, sealSetting(founder, policy("other")))).toBe("revoked")
  expect(codeOf(door, sealSetting(founder, { ...policy("kept"), body: {} }))).toBe("revoked")
  const forged = Either.getOrThrow(
    enrol(founder, {
      privateKey: signingKeyFromSeed(new Uint8Array(32).fill(77)),
      ...{ name: founder.name, grant: founder.certificate, now }
    })
  )
  expect(codeOf(door, sealSetting(forged, policy("kept")))).toBe("revoked")
  expect(codeOf(door, sealSetting(rotated.identity, policy("kept")))).toBe("setting")
})
