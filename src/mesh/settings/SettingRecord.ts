/**
 * A setting as it travels: the payload of a record of the kind `setting`, which the catalogue keeps and
 * gossips. Its key is `setting/<signer>/<kind>.<name>`; nodes from before there were settings keep it as
 * one of a further kind, and pass it on. What later versions say beside this is left alone.
 */
import { Either, Schema } from "effect"
import { isJson } from "../../model/Json.ts"
import {
  compareStamps,
  isSettingKind,
  isSettingName,
  type Setting,
  type SettingBody,
  type SettingStamp,
  type SettingVersion,
  settingKey,
  settingLimits
} from "../../model/Setting.ts"
import { explainInLine } from "../../schema/ExplainIssue.ts"
import { NodeName, PeerKey } from "../../schema/NamesSchema.ts"
import { decodeCbor, encodeCbor } from "../trust/Cbor.ts"
import { maxCount } from "./HybridClock.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())
const time = { epoch: Count, version: Count.pipe(Schema.lessThanOrEqualTo(maxCount)) }
const Stamp = Schema.Struct({ signer: PeerKey, ...time })
const Body = Schema.Record({ key: Schema.String, value: Schema.Unknown }).pipe(
  Schema.filter((body) => isJson(body))
)

/** Beside when and by whom; without a body it was deleted. */
const said = {
  signedAt: Count,
  author: Schema.String.pipe(Schema.maxLength(settingLimits.author)),
  node: NodeName,
  why: Schema.optional(Schema.String.pipe(Schema.maxLength(settingLimits.why))),
  body: Schema.optional(Body)
}

const Payload = Schema.Struct({
  key: Schema.String,
  ...time,
  ...said,
  replaces: Schema.Array(Stamp).pipe(Schema.maxItems(settingLimits.replaces)),
  past: Schema.Array(Schema.Struct({ ...Stamp.fields, ...said })).pipe(
    Schema.maxItems(settingLimits.past)
  )
})

/** Neither kinds nor peers have a dot or a slash in them. */
const keyPattern = /^setting\/([^/.]+)\/([^/.]+)\.([^/]+)$/

/** What a key is of. */
const partsOf = (key: string) => {
  const [, signer = "", kind = "", name = ""] = keyPattern.exec(key) ?? []
  return isSettingKind(kind) && isSettingName(name) ? { signer, kind, name } : undefined
}

const saidOf = ({ signedAt, author, node, why, body }: SettingVersion) => ({
  ...{ signedAt, author, node, why, body }
})

export const encodeSetting = (setting: Setting): Uint8Array => {
  const { epoch, version, replaces, past } = setting
  return encodeCbor({
    ...{ key: settingKey(setting), epoch, version },
    ...saidOf(setting),
    replaces: replaces.map(stampOf),
    past: past.map((earlier) => ({ ...stampOf(earlier), ...saidOf(earlier) }))
  })
}

export const stampOf = ({ signer, epoch, version }: SettingStamp): SettingStamp => ({
  ...{ signer, epoch, version }
})

export const bodyBytes = (body: SettingBody): number => encodeCbor(body).length

/** Of what its envelope holds; fails with what is wrong, for people. */
export const readSetting = (payload: Uint8Array): Either.Either<Setting, string> =>
  Either.gen(function* () {
    const value = yield* Either.mapLeft(
      decodeCbor(Schema.Unknown, payload, "the setting"),
      ({ message }) => message
    )
    const read = yield* Either.mapLeft(
      Schema.decodeUnknownEither(Payload)(value),
      ({ issue }) => `the setting cannot be read: ${explainInLine(issue)}`
    )
    const { key, body, why, replaces, past } = read
    const parts = partsOf(key)
    if (parts === undefined) return yield* Either.left(`${key} is not the key of a setting`)
    const signer = yield* Either.mapLeft(
      Schema.decodeUnknownEither(PeerKey)(parts.signer),
      () => `${key} names no signer`
    )
    if (body !== undefined && bodyBytes(body) > settingLimits.body) {
      return yield* Either.left(`the body of ${key} is over ${settingLimits.body} bytes`)
    }
    // Whoever had seen a version wrote a greater one: without that there would be no order.
    if ([...replaces, ...past].some((earlier) => compareStamps(earlier, read) >= 0)) {
      return yield* Either.left(`${key} names a version that is not before it`)
    }
    const { epoch, version, signedAt, author, node } = read
    return {
      ...{ kind: parts.kind, name: parts.name, signer, epoch, version },
      ...{ signedAt, author, node, why, body, replaces },
      past: past.map((earlier) => ({
        ...stampOf(earlier),
        ...saidOf({ ...earlier, why: earlier.why, body: earlier.body })
      }))
    }
  })
