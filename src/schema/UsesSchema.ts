/**
 * The body of a setting of kind `uses`: who has joined with tokens that only so many may use. Written by
 * the node that let them in, each under names of its own, so that all members count the same and nobody
 * counts for all.
 */
import { Schema } from "effect"
import { NodeName, PeerKey } from "./NamesSchema.ts"
import { InviteId } from "./TrustSchema.ts"

/** In one setting; a node has sixteen or more of them, by the invite's first digit. */
export const maxUses = 128

const Instant = Schema.Number.pipe(Schema.nonNegative())

export const InviteUse = Schema.Struct({
  invite: InviteId,
  /** How many hosts the token lets in. */
  limit: Schema.Int.pipe(Schema.positive()),
  /** When the token ends, wall clock in ms: what is long over is counted no more. */
  until: Instant,
  peer: PeerKey,
  name: NodeName,
  /** Wall clock of the node that let it in, ms. */
  at: Instant
})
export type InviteUse = typeof InviteUse.Type

export const UsesBody = Schema.Struct({
  uses: Schema.Array(InviteUse).pipe(Schema.maxItems(maxUses))
})
export type UsesBody = typeof UsesBody.Type
