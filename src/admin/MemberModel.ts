/** The members of the mesh and the links to them, as Schemas of the admin API: what `skein members` and `links` show. */
import { Schema } from "effect"
import { NodeName, PeerKey } from "../schema/NamesSchema.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())
const Rate = Schema.NullOr(Schema.Number)
const Instant = Schema.Number
const Text = Schema.NullOr(Schema.String)

/** `draining`: what runs on it goes on, nothing new is begun. */
const LinkState = Schema.Literal("open", "draining", "connecting", "closed")

export const MemberStatus = Schema.Struct({
  node: NodeName,
  peer: PeerKey,
  self: Schema.Boolean,
  /**
   * `refused`: connected, but its record is not taken here because of time. `revoked`: thrown out of the
   * mesh, see `skein revoke`.
   */
  state: Schema.Literal("alive", "suspect", "dead", "left", "refused", "revoked"),
  /** It takes no new work, as it says itself (`skein drain`), until it is started again. */
  draining: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  incarnation: Count,
  zone: Text,
  addresses: Schema.Array(Schema.String),
  /** In this state since. */
  sinceAt: Instant,
  /** Null: this very node. */
  link: Schema.NullOr(LinkState),
  rttMs: Rate,
  /** How far its clock is ahead of this node's, negative when behind; null: not known. */
  clockAheadMs: Schema.optionalWith(Rate, { default: () => null }),
  software: Text,
  /** Its record as held here. */
  record: Schema.NullOr(
    Schema.Struct({
      epoch: Count,
      version: Count,
      signedAt: Instant,
      /** `stale`: it said it has a newer one. `unreachable`: cannot be asked. */
      sync: Schema.Literal("synced", "stale", "unreachable"),
      /** Since the last time both sides were seen to be equal. */
      checkedMs: Rate
    })
  )
})
export type MemberStatus = typeof MemberStatus.Type

export const LinkStatus = Schema.Struct({
  node: Schema.NullOr(NodeName),
  peer: PeerKey,
  direction: Schema.Literal("inbound", "outbound"),
  state: LinkState,
  address: Text,
  rttMs: Rate,
  /** In flight. */
  exchanges: Count,
  bytesIn: Count,
  bytesOut: Count,
  sinceAt: Instant,
  lastError: Text
})
export type LinkStatus = typeof LinkStatus.Type
