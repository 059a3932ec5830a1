/** Mesh-wide settings as Schemas: what `skein get`, `history` and `apply` show and ask for. */
import { Schema } from "effect"
import { settingLimits } from "../model/Setting.ts"
import { NodeName, PeerKey } from "../schema/NamesSchema.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())
const Text = Schema.NullOr(Schema.String)
const Body = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const versionFields = {
  /** Names this version among all of its setting. */
  id: Schema.String,
  /** When by the clock that orders versions, and the count within one ms. */
  epoch: Count,
  version: Count,
  /** Whose certificate stands for it. */
  signer: PeerKey,
  signedAt: Schema.Number,
  /** As the command told it. */
  author: Schema.String,
  node: NodeName,
  why: Text,
  /** Null: it was deleted. */
  body: Schema.NullOr(Body)
}

export const SettingVersionStatus = Schema.Struct(versionFields)
export type SettingVersionStatus = typeof SettingVersionStatus.Type

export const SettingStatus = Schema.Struct({
  kind: Schema.String,
  name: Schema.String,
  ...versionFields,
  /** Versions that were written apart from this one, which holds all the same; newest first. */
  conflict: Schema.Array(SettingVersionStatus)
})
export type SettingStatus = typeof SettingStatus.Type

/** Of one setting, newest first. */
export const SettingHistory = Schema.Array(
  Schema.Struct({
    ...versionFields,
    /** `apart`: it does not hold, and who wrote the one that does had not seen it. */
    state: Schema.Literal("in_force", "apart", "past")
  })
)
export type SettingHistory = typeof SettingHistory.Type

export const SettingsChoice = Schema.Struct({
  kind: Schema.optional(Schema.String),
  name: Schema.optional(Schema.String)
})
export type SettingsChoice = typeof SettingsChoice.Type

export const SettingName = Schema.Struct({ kind: Schema.String, name: Schema.String })
export type SettingName = typeof SettingName.Type

const changeFields = {
  /** All or none is taken: nothing is set while one of them cannot be. */
  changes: Schema.Array(
    Schema.Struct({
      kind: Schema.String,
      name: Schema.String,
      /** Null deletes it. */
      body: Schema.NullOr(Body),
      why: Schema.optional(Schema.String.pipe(Schema.maxLength(settingLimits.why)))
    })
  ).pipe(Schema.minItems(1), Schema.maxItems(256)),
  author: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(settingLimits.author))
}

/** Changes that are to be judged, and not made. */
export const SettingsTrial = Schema.Struct(changeFields)
export type SettingsTrial = typeof SettingsTrial.Type

/** What nothing stands against. */
export const SettingsAccepted = Schema.Struct({ accepted: Count })
export type SettingsAccepted = typeof SettingsAccepted.Type

export const SettingsChange = Schema.Struct({
  ...changeFields,
  /** For how long to wait until all reachable members have it; 0: not at all. */
  waitMs: Schema.Int.pipe(Schema.between(0, 300_000))
})
export type SettingsChange = typeof SettingsChange.Type

export const SettingsChanged = Schema.Struct({
  results: Schema.Array(
    Schema.Struct({
      kind: Schema.String,
      name: Schema.String,
      id: Schema.String,
      outcome: Schema.Literal("created", "changed", "deleted", "unchanged"),
      /** Versions of others that contradicted, and do so no more. */
      settles: Count
    })
  ),
  /** Who has it: of all members that are there, this node included. Null: it was not waited for. */
  seen: Schema.NullOr(
    Schema.Struct({
      nodes: Count,
      of: Count,
      /** Those that did not have it when the time was over. */
      missing: Schema.Array(Schema.String),
      /** Those that are not there, or did not answer: they get it when they are back. */
      away: Schema.Array(Schema.String)
    })
  )
})
export type SettingsChanged = typeof SettingsChanged.Type
