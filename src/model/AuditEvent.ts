/**
 * What the audit log tells: who was let in or refused, who was denied what, and who changed what. Said
 * by whoever decides, with names and never with a secret; written by the node (telemetry/AuditLog.ts).
 */

/** Part one says what it is about, part two what happened. Names are stable: programs search for them. */
export type AuditEventName =
  /** A node came in with its certificate, was refused, or got its first one with a token. */
  | "door.admitted"
  | "door.refused"
  | "door.joined"
  /** A call that the rules do not allow. */
  | "access.denied"
  /** A process of another user came to a listener that is for one's. */
  | "caller.refused"
  /** A mesh-wide setting was changed or deleted, by this node or by what another one says. */
  | "setting.changed"
  /** A certificate, grant or token does not count any more. */
  | "trust.revoked"
  | "trust.root"
  /** Keys were used: an invite made, a certificate signed for another, the own one renewed. */
  | "key.invite"
  | "key.signed"
  | "key.renewed"
  /** A dead node was taken off the lists; a token was used more often than it may be. */
  | "member.forgotten"
  | "invite.overused"
  /** The admin API was told to change something, asked whether it would (nothing was changed), or refused to be. */
  | "control.done"
  | "control.tried"
  | "control.refused"
  /** This node's own life, and lines that could not be written. */
  | "node.started"
  | "node.stopped"
  | "audit.lost"

export type AuditValue = string | number | boolean | null | ReadonlyArray<string>

export interface AuditEvent {
  readonly event: AuditEventName
  /** Who did it: a node's name, `service/orders`, `host/ops-1`; absent: not known. */
  readonly by?: string | undefined
  /** Where it came from: an address, `admin.sock`, a peer id. */
  readonly from?: string | undefined
  /** Whom or what it is about: a node, a service, a setting, a path of the admin API. */
  readonly about?: string | undefined
  /** A stable code: of a refusal, the rule that denied. */
  readonly code?: string | undefined
  /** For people, one line. */
  readonly message?: string | undefined
  /** How often since the last line of this kind; default 1. For who has counted already. */
  readonly count?: number | undefined
  /** Whatever else belongs to it, by names of its own. */
  readonly more?: Readonly<Record<string, AuditValue>> | undefined
}

/** Never fails and waits for nothing. */
export type RecordAudit = (event: AuditEvent) => void

/** Where nobody keeps an audit log. */
export const noAudit: RecordAudit = () => undefined
