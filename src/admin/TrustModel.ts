/** What is thrown out of the mesh, as Schemas of the admin API: what `skein revoke` asks and shows. */
import { Schema } from "effect"
import { settingLimits } from "../model/Setting.ts"
import { PeerKey } from "../schema/NamesSchema.ts"
import { SettingsChanged } from "./SettingsModel.ts"

export const RevokeRequest = Schema.Struct({
  /** A node by name or peer id, NODE/SERVICE, an invite token, or the id of an invite. */
  target: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(64 * 1024)),
  why: Schema.optional(Schema.String.pipe(Schema.maxLength(settingLimits.why))),
  /** Who asks, as the command tells it. */
  author: Schema.String.pipe(Schema.maxLength(settingLimits.author)),
  /** Those whom the node has let in are thrown out with it. */
  withAdmitted: Schema.Boolean,
  /** How long to wait until all that are there have it; 0: not at all. */
  waitMs: Schema.optionalWith(Schema.Int.pipe(Schema.between(0, 300_000)), { default: () => 0 })
})
export type RevokeRequest = typeof RevokeRequest.Type

export const RevokeResult = Schema.Struct({
  /** What holds now, one line each. */
  revoked: Schema.Array(Schema.String),
  /** Names of those that the node has signed for and that stay. */
  stay: Schema.Array(Schema.String),
  seen: SettingsChanged.fields.seen
})
export type RevokeResult = typeof RevokeResult.Type

export const RevocationStatus = Schema.Struct({
  /** `node`: out. `grant`: without a service. `invite`: a token that admits nobody. */
  kind: Schema.Literal("node", "grant", "invite"),
  /** As it is known here: name, NODE/SERVICE, or the invite's id. */
  target: Schema.String,
  peer: Schema.NullOr(PeerKey),
  why: Schema.NullOr(Schema.String),
  by: Schema.String,
  at: Schema.Number,
  /** The setting, for `skein delete trust NAME`, which gives the right back. */
  setting: Schema.String
})
export type RevocationStatus = typeof RevocationStatus.Type
