import { Either } from "effect"
import { expect, test } from "vitest"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { sealSetting, type Written } from "../../../test/fixtures/Settings.ts"
import { type Setting, settingKey } from "../../model/Setting.ts"
import { SettingJudge } from "../settings/SettingJudge.ts"
import { encodeSetting } from "../settings/SettingRecord.ts"
import { settingLifetimes } from "../settings/SettledName.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { sealEnvelope } from "../trust/Envelope.ts"
import type { NodeIdentity } from "../trust/NodeIdentity.ts"
import { Catalogue } from "./Catalogue.ts"
import { furtherKind } from "./FurtherRecord.ts"
import { makeRecordDoor, type UntimelyRecord } from "./RecordDoor.ts"
import { lifetimes } from "./RecordEntry.ts"
import { isBlameworthy } from "./RecordRefused.ts"
import { maxAhead } from "./RecordTime.ts"

const now = 1_800_000_000_000
const hour = 3_600_000
// The first holds every capability, the others none.
const [ruler, reader, other] = makeMembers(3, now)
const [stranger] = makeMembers(1, now, undefined, 1)
const judge = new SettingJudge((kind) => (kind === "trust" ? ["revoke"] : ["policy"]))
const untimely: Array<UntimelyRecord> = []
const door = makeRecordDoor(
  { current: reader! },
  { settings: judge, onUntimely: (record) => untimely.push(record) }
)
const policy: Written = { body: { retry: "off" }, wall: now }

/** Signed by a member, with what it would not write itself. */
const sealAs = (identity: NodeIdentity, change: Partial<Setting>) => {
  const setting: Setting = {
    ...{ kind: "policy", name: "payments", signer: identity.peer, node: identity.name },
    ...{ epoch: now, version: 0, signedAt: now, author: "ann", why: undefined },
    ...{ body: { retry: "off" }, replaces: [], past: [] },
    ...change
  }
  return sealEnvelope(identity, furtherKind, encodeSetting(setting))
}
const settingIn = (bytes: Uint8Array, at = now) => {
  const entry = Either.getOrThrow(door.admit(bytes, at))
  if (entry.kind !== "setting") throw new Error(`${entry.key} is no setting`)
  return entry
}
const refusal = (bytes: Uint8Array, at = now) =>
  Either.getOrThrow(Either.flip(door.admit(bytes, at)))

test("what a holder of the capability set is taken in, with its bytes as they came", () => {
  const bytes = sealSetting(ruler!, policy)
  expect(settingIn(bytes)).toMatchObject({
    ...{ signer: ruler!.peer, key: `setting/${ruler!.peer}/policy.payments`, bytes },
    ...{ epoch: now, version: 0, setting: { body: { retry: "off" }, author: "ann" } }
  })
})

test("it holds when its certificate has long ended, and by that of the time only", () => {
  const bytes = sealSetting(ruler!, policy)
  const later = now + 1_000 * hour
  expect(settingIn(bytes, later).setting.body).toEqual({ retry: "off" })
  expect(Either.isRight(door.recall(bytes, later))).toBe(true)
  // A node's record of that time is over.
  expect(lifetimes.tombstone).toBeLessThan(1_000 * hour)
  const { notAfter, notBefore } = ruler!.certificate
  const ended = notAfter + maxAhead + 1
  expect(refusal(sealSetting(ruler!, { ...policy, wall: ended }), ended).code).toBe("forged")
  const before = sealSetting(ruler!, { ...policy, wall: notBefore - maxAhead - 1 })
  expect(refusal(before)).toMatchObject({ code: "not_granted" })
})

test("an old key says nothing new: the time that orders it is the time at which it was signed", () => {
  expect(refusal(sealAs(ruler!, { signedAt: now - maxAhead - 1 })).code).toBe("not_granted")
  expect(refusal(sealAs(ruler!, { signedAt: now + 1 })).code).toBe("not_granted")
  expect(settingIn(sealAs(ruler!, { signedAt: now - maxAhead })).epoch).toBe(now)
})

test("who lacks the capability sets nothing, and nobody is blamed who passed it on", () => {
  const refused = refusal(sealSetting(other!, policy))
  expect(refused).toMatchObject({
    code: "not_granted",
    message: expect.stringContaining("does not grant the capability policy")
  })
  expect(isBlameworthy(refused)).toBe(false)
})

test.each([
  { what: "of another mesh", bytes: sealSetting(stranger!, policy), code: "forged" },
  {
    what: "under somebody else's key",
    bytes: sealAs(ruler!, { signer: other!.peer }),
    code: "wrong_owner"
  },
  {
    what: "from the far future",
    bytes: sealSetting(ruler!, { ...policy, wall: now + maxAhead + 1 }),
    code: "from_the_future"
  }
])("a setting $what is refused", ({ bytes, code }) => {
  expect(refusal(bytes).code).toBe(code)
})

test("no altered byte is taken in", () => {
  const bytes = sealSetting(ruler!, policy)
  for (let at = 0; at < bytes.length; at += 5) {
    const altered = Uint8Array.from(bytes)
    altered[at]! ^= 1
    expect(Either.isLeft(door.admit(altered, now)), `byte ${at}`).toBe(true)
  }
})

test("who has a wrong clock is told so, and one's own word is no matter of clocks", () => {
  untimely.length = 0
  const ahead = now - maxAhead - 1
  expect(refusal(sealSetting(ruler!, policy), ahead).code).toBe("from_the_future")
  expect(untimely).toMatchObject([{ peer: ruler!.peer }])
  const own = makeRecordDoor({ current: ruler! }, { settings: judge })
  expect(Either.isRight(own.admit(sealSetting(ruler!, policy), ahead))).toBe(true)
})

test("one of a form that only a later version reads is kept for it", () => {
  const key = settingKey({ signer: other!.peer, kind: "policy", name: "payments" })
  const later = { key, epoch: now, version: 0, signedAt: now, merged: [] }
  const bytes = sealEnvelope(other!, furtherKind, encodeCbor(later))
  expect(Either.getOrThrow(door.admit(bytes, now)).kind).toBe("further")
})

test("without a reader it is a record of a further kind: so the last release has it", () => {
  const older = makeRecordDoor({ current: reader! })
  const bytes = sealSetting(ruler!, policy)
  const [there, here] = [Either.getOrThrow(older.admit(bytes, now)), settingIn(bytes)]
  expect(there.kind).toBe("further")
  const head = ({ key, epoch, version, hash }: typeof there) => ({ key, epoch, version, hash })
  expect(head(there)).toEqual(head(here))
})

test("settings have room of their own", () => {
  const room = { records: 2, bytes: 100_000 }
  const empty = Catalogue.withLimits(
    { records: 0, bytes: 0 },
    { records: 0, bytes: 0, perSigner: { records: 0, bytes: 0 } },
    { ...room, perSigner: room }
  )
  const named = (name: string, wall = now) =>
    settingIn(sealSetting(ruler!, { ...policy, name, wall }), now)
  const [x, y, z] = ["x", "y", "z"].map((name) => named(name))
  const two = empty.merge(x!)[0].merge(y!)[0]
  expect(two.settingsHeld).toEqual({ records: 2, bytes: x!.bytes.length + y!.bytes.length })
  expect(two.isOpenTo(z!.key)).toBe(false)
  expect(two.merge(z!)[1]).toBe("full")
  expect(two.merge(named("x", now + 1))[1]).toBe("replaced")
  const one = two.without(y!.key)
  expect(one.merge(z!)[1]).toBe("added")
  expect(Array.from(one.settings())).toEqual([x])
  expect(one.size).toBe(0)
  expect(one.filter(({ kind }) => kind === "node").settingsHeld.records).toBe(0)
})

test("of what is over the judge says all, name by name", () => {
  const first = settingIn(sealSetting(ruler!, policy))
  const gone = settingIn(sealSetting(ruler!, { ...policy, name: "orders", body: undefined }))
  const held = [first, gone]
  expect(judge.over(held, now + settingLifetimes.deleted - 1)).toEqual(new Set())
  expect(judge.over(held, now + settingLifetimes.deleted)).toEqual(new Set([gone.setting]))
})
