/** What is thrown out of the mesh, and its roots, as Schemas of the admin API: what `skein revoke` and `root` ask and show. */
import { Schema } from "effect"
import { settingLimits } from "../model/Setting.ts"
import { NodeName, PeerKey } from "../schema/NamesSchema.ts"
import { RootId } from "../schema/TrustSchema.ts"
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
  seen: SettingsChanged.fields.seen,
  /**
   * Of a service that was taken from a node: what it was granted and offers, as known here before, and what of that
   * is concerned. Null: nothing is known of the node. Absent: it is no service, or the node is an older one.
   */
  match: Schema.optional(
    Schema.NullOr(
      Schema.Struct({
        of: Schema.String,
        service: Schema.String,
        granted: Schema.Array(Schema.String),
        taken: Schema.Array(Schema.String),
        offered: Schema.Array(Schema.String),
        withdrawn: Schema.Array(Schema.String)
      })
    )
  ),
  /** The setting, for `skein delete trust NAME`, which takes it back. */
  setting: Schema.optional(Schema.String)
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

const rootChange = {
  why: Schema.optional(Schema.String.pipe(Schema.maxLength(settingLimits.why))),
  author: RevokeRequest.fields.author,
  waitMs: RevokeRequest.fields.waitMs
}

export const RotateRequest = Schema.Struct(rootChange)
export type RotateRequest = typeof RotateRequest.Type

export const RotateResult = Schema.Struct({
  /** The new root, in force beside the one that it replaces. */
  root: RootId,
  replaces: RootId,
  /** Other successors that are in force, of which it is none's: only one of them is to stay. */
  rivals: Schema.Array(RootId),
  /** Names of those that stand under an older root as yet. */
  left: Schema.Array(NodeName),
  seen: SettingsChanged.fields.seen
})
export type RotateResult = typeof RotateResult.Type

export const FinishRequest = Schema.Struct({
  ...rootChange,
  /** Also when nodes that are there would be cut off by it for a moment. */
  force: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  /** The root that is to stay, whose key is on this node; has to be said where it has rivals. */
  keep: Schema.optional(RootId)
})
export type FinishRequest = typeof FinishRequest.Type

export const FinishResult = Schema.Struct({
  /** The one root that is left. */
  root: RootId,
  withdrawn: Schema.Array(RootId),
  /** Names of those under the withdrawn roots that are signed for anew when they come. */
  stay: Schema.Array(NodeName),
  /** Settings signed under the withdrawn roots that hold on. */
  kept: Schema.Int,
  /** KIND/NAME of those that were signed under a rival and hold no more: to be looked at, and applied again. */
  dropped: Schema.Array(Schema.String),
  seen: SettingsChanged.fields.seen
})
export type FinishResult = typeof FinishResult.Type

export const RootsStatus = Schema.Struct({
  /** All that the mesh had, oldest first. */
  roots: Schema.Array(
    Schema.Struct({
      id: RootId,
      /** The root that added it; null: the mesh was founded with it. */
      by: Schema.NullOr(RootId),
      addedAt: Schema.NullOr(Schema.Number),
      /** Null: in force. */
      withdrawnAt: Schema.NullOr(Schema.Number),
      isNewest: Schema.Boolean,
      /** Is its key on this node? */
      hasKey: Schema.Boolean,
      /** Others in force that neither have added it nor were added by it. */
      rivals: Schema.Array(RootId),
      /** Nodes whose newest certificate stands under it, as far as this node knows. */
      members: Schema.Int
    })
  ),
  /** Does this node hold the key of the newest one? */
  hasKey: Schema.Boolean,
  /** Those that do not stand under the newest one. */
  left: Schema.Array(
    Schema.Struct({
      node: NodeName,
      peer: PeerKey,
      root: Schema.NullOr(RootId),
      isThere: Schema.Boolean,
      /** Why it has not moved yet, and what moves it. */
      why: Schema.String
    })
  ),
  /** Why the older ones are not to be withdrawn here and now; null: nobody would notice. */
  notYet: Schema.NullOr(Schema.String)
})
export type RootsStatus = typeof RootsStatus.Type
