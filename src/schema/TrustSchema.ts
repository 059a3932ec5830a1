/**
 * The body of a setting of kind `trust`: a right that is taken away, or what a root of the mesh has signed
 * about roots. Why, when, by whom and on which node is said by the setting around it, as of every setting; to
 * give a right back the setting is deleted. A root's word stands whoever brings it, and cannot be taken back.
 */
import { createHash } from "node:crypto"
import { Schema } from "effect"
import { NodeName, PeerKey } from "./NamesSchema.ts"
import { ServicePattern } from "./ServicePattern.ts"

/** Members that one revocation names as staying: what fits into a setting. */
export const maxStaying = 512

/** Names an invite without giving its secret away: 32 hex digits. */
export const InviteId = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{32}$/, { message: () => "an invite's id is 32 hex digits" }),
  Schema.brand("InviteId")
)
export type InviteId = typeof InviteId.Type

/** Names a root of the mesh: 32 hex digits of its key's hash, as the mesh's id is of its first root's. */
export const RootId = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{32}$/, { message: () => "a root's id is 32 hex digits" }),
  Schema.brand("RootId")
)
export type RootId = typeof RootId.Type

const RevokedNode = Schema.Struct({
  revoke: Schema.Literal("node"),
  peer: PeerKey,
  /** For people: the node's name then. */
  called: Schema.optional(NodeName),
  /** Those it has signed for that stay members all the same. */
  stay: Schema.Array(PeerKey).pipe(Schema.maxItems(maxStaying))
})

const RevokedGrant = Schema.Struct({
  revoke: Schema.Literal("grant"),
  peer: PeerKey,
  called: Schema.optional(NodeName),
  /** Every service that it matches. */
  service: ServicePattern
})

const RevokedInvite = Schema.Struct({ revoke: Schema.Literal("invite"), invite: InviteId })

export const TrustBody = Schema.Union(RevokedNode, RevokedGrant, RevokedInvite)
export type TrustBody = typeof TrustBody.Type

/** In base64, of what the handshake carries as bytes (mesh/trust/RootStatement.ts). */
const StatementText = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9+/]+={0,2}$/),
  Schema.maxLength(32 * 1024)
)

export const RootBody = Schema.Struct({
  root: Schema.Literal("added", "withdrawn"),
  /** Signed by a root: the one that adds another, or that withdraws all others. */
  statement: StatementText
})
export type RootBody = typeof RootBody.Type

export const TrustSetting = Schema.Union(TrustBody, RootBody)

/** Names of settings are short and in lower case; peers' keys are neither. */
const digest = (text: string): string =>
  createHash("sha256").update(text).digest("hex").slice(0, 32)

/** A setting whose name is another than that of its body counts for nothing (Revocations.ts). */
export const isTrustName = (name: string): boolean =>
  /^(node|grant|invite|root)\.[0-9a-f]{32}$/.test(name)
export const trustNameRule =
  "settings of trust are named after what they say; `skein revoke` and `skein root` do"

/** What the setting is called, so that two who revoke the same speak of one thing. */
export const trustName = (body: TrustBody): string => {
  switch (body.revoke) {
    case "node":
      return `node.${digest(body.peer)}`
    case "grant":
      return `grant.${digest(`${body.peer}\n${body.service}`)}`
    case "invite":
      return `invite.${body.invite}`
  }
}

/** So for what a root has signed, whoever brings it. */
export const rootSettingName = ({ statement }: RootBody): string => `root.${digest(statement)}`
