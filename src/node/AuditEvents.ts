/** What the mesh's door and its keys put into the audit log. */
import { Schema } from "effect"
import type { Refusal } from "../mesh/trust/AdmissionEncrypter.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { type Grant, grantOf } from "../mesh/trust/Grant.ts"
import type { OverusedInvite } from "../mesh/trust/InviteUses.ts"
import type { NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import type { AuditEvent, AuditValue } from "../model/AuditEvent.ts"
import { formatCaller, spiffeIdOf } from "../model/Caller.ts"
import type { MeshId, NodeName, ServiceName } from "../model/Names.ts"
import type { Setting } from "../model/Setting.ts"
import type { Denial } from "../request/inbound/Denials.ts"
import type { OtherUser } from "../request/listener/Refusals.ts"
import { TrustBody } from "../schema/TrustSchema.ts"
import { versionId } from "./SettingControls.ts"

/** Nobody was judged: the network, or too many at once. */
export const isWeather = (code: Refusal["code"]): boolean =>
  code === "busy" || code === "closed" || code === "timeout" || code === "full"

/** `speaks`, where it may speak for more than it may offer. */
const auditedGrant = (grant: Grant): Readonly<Record<string, AuditValue>> => {
  const { capabilities, services, speaks } = grantOf(grant)
  return { services, capabilities, ...(speaks !== undefined && { speaks }) }
}

const rightsOf = (
  certificate: Grant & Pick<VerifiedCertificate, "notAfter">
): Readonly<Record<string, AuditValue>> => ({
  ...auditedGrant(certificate),
  until: new Date(certificate.notAfter).toISOString()
})

/** A token that was made: its id, and never itself. */
export const invitedEvent = (made: {
  readonly by: NodeName
  /** Undefined: of a token that this node cannot read. */
  readonly id: string | undefined
  readonly grant: Grant
  readonly limits: {
    readonly uses: number | undefined
    readonly names: ReadonlyArray<string> | undefined
  }
  /** Wall clock, ms. */
  readonly expiresAt: number
}): AuditEvent => ({
  event: "key.invite",
  by: made.by,
  about: made.id,
  more: {
    ...auditedGrant(made.grant),
    ...{ uses: made.limits.uses ?? "any", names: made.limits.names ?? "any" },
    expires: new Date(made.expiresAt).toISOString()
  }
})

export const admittedEvent = (certificate: VerifiedCertificate): AuditEvent => ({
  event: "door.admitted",
  about: certificate.name,
  from: certificate.peer
})

export const refusedEvent = ({
  address,
  by,
  code,
  direction,
  message,
  peer
}: Refusal): AuditEvent => ({
  event: "door.refused",
  ...(peer !== undefined && { about: peer }),
  ...(address !== undefined && { from: address }),
  code,
  message,
  more: { by, direction }
})

/** `mesh`: our own. */
export const deniedEvent = (
  { caller, count, host, message, rule, service }: Denial,
  mesh: MeshId
): AuditEvent => ({
  event: "access.denied",
  ...(caller !== undefined && {
    by: caller.mesh === undefined ? `${caller.kind}/${caller.name}` : formatCaller(caller),
    more: { id: spiffeIdOf(caller, mesh) }
  }),
  ...(host !== undefined && { from: host }),
  about: service ?? "others",
  code: rule,
  message,
  count
})

/** `as`: whom they wanted to speak for; undefined: for the host. */
export const otherUserEvent = (
  { count, listener, uid }: OtherUser,
  as: ServiceName | undefined
): AuditEvent => ({
  event: "caller.refused",
  ...(uid !== undefined && { by: `user ${uid}` }),
  from: listener,
  about: as === undefined ? listener : `service/${as}`,
  code: "other_user",
  message: `${listener} is for processes of another user`,
  count
})

/** `holds`: it is in force; else another one was written apart from it, and is the later. */
export const settingEvent = (setting: Setting, holds: boolean): AuditEvent => {
  const { author, body, kind, name, node, signer, why } = setting
  return {
    event: "setting.changed",
    by: author,
    from: node,
    about: `${kind} ${name}`,
    ...(why !== undefined && { message: why }),
    more: {
      ...{ version: versionId(setting), signer, holds },
      says: body === undefined ? "deleted" : JSON.stringify(body)
    }
  }
}

const readTrust = Schema.decodeUnknownOption(TrustBody)

/** As `skein revoke` names it. */
const aboutOf = (body: TrustBody): string => {
  if (body.revoke === "invite") return body.invite
  const node = body.called ?? body.peer
  return body.revoke === "grant" ? `${node}/${body.service}` : node
}

/** What the setting takes away; undefined: nothing. */
export const revokedEvent = (setting: Setting, holds: boolean): AuditEvent | undefined => {
  if (!holds || setting.kind !== "trust" || setting.body === undefined) return undefined
  const read = readTrust(setting.body)
  if (read._tag === "None") return undefined
  const { value: body } = read
  return {
    event: "trust.revoked",
    by: setting.author,
    from: setting.node,
    about: aboutOf(body),
    code: body.revoke,
    ...(setting.why !== undefined && { message: setting.why }),
    ...(body.revoke !== "invite" && { more: { peer: body.peer } })
  }
}

export const signedEvent = (
  certificate: Grant & Pick<VerifiedCertificate, "name" | "notAfter" | "peer">,
  /** Id of the invite that it joined with; undefined: it was a member before. */
  invite: string | undefined
): AuditEvent => ({
  event: invite === undefined ? "key.signed" : "door.joined",
  about: certificate.name,
  from: certificate.peer,
  more: { ...rightsOf(certificate), ...(invite !== undefined && { invite }) }
})

/** Members that did not hear each other counted apart. */
export const overusedEvent = ({ invite, limit, nodes }: OverusedInvite): AuditEvent => ({
  event: "invite.overused",
  about: invite,
  count: nodes.length,
  more: { limit, nodes }
})

export const renewedEvent = ({ authority, certificate, name, peer }: NodeIdentity): AuditEvent => ({
  event: "key.renewed",
  about: name,
  from: peer,
  more: { ...rightsOf(certificate), admits: authority !== undefined }
})
