import { Either } from "effect"
import { expect, test } from "vitest"
import { signers, write } from "../../../test/fixtures/Settings.ts"
import { settingLimits } from "../../model/Setting.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { encodeSetting, readSetting } from "./SettingRecord.ts"

const [a, b] = signers
const start = 1_800_000_000_000
const first = write(a!, [], { body: { timeout: { request: "2s" } }, wall: start, why: "slow" })
const second = write(b!, [first], { body: { retry: "off" }, wall: start + 5 })

const payload = {
  ...{ key: `setting/${a!.signer}/policy.payments`, epoch: start, version: 0 },
  ...{ signedAt: start, author: "ann", node: "host-a", replaces: [], past: [] },
  body: { retry: "off" }
}
const read = (change: object) => readSetting(encodeCbor({ ...payload, ...change }))

test.each([first, second])("what is written is read", ({ setting }) => {
  expect(Either.getOrThrow(readSetting(encodeSetting(setting)))).toEqual(setting)
})

test("a later version may say more beside what this one reads", () => {
  const setting = Either.getOrThrow(read({ expires: start, body: { later: [1, null, "x"] } }))
  expect(setting).toMatchObject({
    kind: "policy",
    name: "payments",
    body: { later: [1, null, "x"] }
  })
})

test.each([
  ["no kind", { key: `setting/${a!.signer}/payments` }],
  ["a wrong kind", { key: `setting/${a!.signer}/Policy.payments` }],
  ["a wrong name", { key: `setting/${a!.signer}/policy.Payments` }],
  ["no signer", { key: "setting/nobody/policy.payments" }],
  ["a counter beyond its end", { version: 65_536 }],
  ["a body that is no mapping", { body: ["retry"] }],
  ["a body that JSON has no word for", { body: { key: new Uint8Array(1) } }],
  [
    "a body that is too deep",
    { body: Array.from({ length: 40 }).reduce<object>((inner) => ({ inner }), {}) }
  ],
  ["a body that is too large", { body: { text: "x".repeat(settingLimits.body) } }],
  [
    "a version that is not before it",
    { replaces: [{ signer: b!.signer, epoch: start, version: 0 }] }
  ],
  ["no author", { author: undefined }]
])("with %s it is not read", (_, change) => {
  expect(Either.isLeft(read(change))).toBe(true)
})

test("bytes that are no record are not read", () => {
  expect(Either.isLeft(readSetting(new Uint8Array([1, 2, 3])))).toBe(true)
})
