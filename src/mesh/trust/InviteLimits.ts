/** What bounds the use of an invite beside its time. */
import { Schema } from "effect"
import { NodeName } from "../../schema/NamesSchema.ts"

/** The most hosts that a token with a limit may let in. */
export const maxInviteUses = 1_000
/** Names in one invite. */
export const maxInviteNames = 32

/** Absent: nothing does. */
export const inviteLimits = {
  /** How many hosts it lets in. */
  uses: Schema.optional(Schema.Int.pipe(Schema.between(1, maxInviteUses))),
  /** What a host that comes with it must be called: one of these. */
  names: Schema.optional(
    Schema.Array(NodeName).pipe(Schema.minItems(1), Schema.maxItems(maxInviteNames))
  )
}

const InviteLimits = Schema.Struct(inviteLimits)
export type InviteLimits = typeof InviteLimits.Type
