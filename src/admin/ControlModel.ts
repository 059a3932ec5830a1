/** What the admin API takes and answers when a node, or who is in the mesh, is to change. */
import { Schema } from "effect"
import { requestFields } from "../mesh/trust/Grant.ts"
import { inviteLimits } from "../mesh/trust/InviteLimits.ts"
import { settingLimits } from "../model/Setting.ts"
import { NodeName, PeerKey } from "../schema/NamesSchema.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())

/** A drain that has begun: it was announced, and goes on by itself. */
export const DrainResult = Schema.Struct({
  inFlight: Count,
  /** Members that have confirmed that they send nothing new. */
  acknowledged: Count,
  members: Count,
  deadlineMs: Schema.Number
})
export type DrainResult = typeof DrainResult.Type

export const LeaveResult = Schema.Struct({
  /** Members that were told. */
  told: Count
})
export type LeaveResult = typeof LeaveResult.Type

export const ReloadResult = Schema.Struct({
  /** What took effect, one line each; empty: nothing had changed. */
  changes: Schema.Array(Schema.String),
  /** What did not, and why. */
  warnings: Schema.Array(Schema.String)
})
export type ReloadResult = typeof ReloadResult.Type

export const ForgetRequest = Schema.Struct({
  /** Name or peer id. */
  node: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(256)),
  /** Who asks, as the command tells it. */
  author: Schema.String.pipe(Schema.maxLength(settingLimits.author))
})
export type ForgetRequest = typeof ForgetRequest.Type

export const ForgetResult = Schema.Struct({ node: NodeName, peer: PeerKey })
export type ForgetResult = typeof ForgetResult.Type

export const InviteRequest = Schema.Struct({
  /** Service names and patterns the new node may offer. */
  services: requestFields.services.pipe(Schema.minItems(1)),
  /** Those that it may speak for beside them, and need not offer. */
  speaks: requestFields.speaks,
  capabilities: requestFields.capabilities,
  ttlMs: Schema.Int.pipe(Schema.positive()),
  /** How many hosts may join with it; absent: any number. */
  uses: inviteLimits.uses,
  /** What a host that joins with it must be called; absent: it may choose. */
  names: inviteLimits.names
})
export type InviteRequest = typeof InviteRequest.Type

export const InviteResult = Schema.Struct({
  token: Schema.String,
  /** By what it is named where it must not be shown: in the audit log, to revoke it. */
  id: Schema.optional(Schema.String),
  /** Wall clock, ms since 1970. */
  expiresAt: Schema.Number,
  /** Where the token leads: multiaddrs with peer ids. */
  bootstrap: Schema.Array(Schema.String),
  /** What whoever hands it on should know of these addresses, one line each. */
  warnings: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
})
export type InviteResult = typeof InviteResult.Type
