/**
 * What the admin API needs of a node. The composition root implements it; tests hand in a fake.
 * Views are cheap: they read snapshots and counters, and wait for nothing, but for
 * `peers`, `actors` and what others have counted of `access`.
 */
import { Context, type Effect } from "effect"
import type { ServiceName } from "../model/Names.ts"
import type {
  AccessAnswer,
  AccessFindings,
  AccessQuestion,
  AccessSuggestions
} from "./AccessModel.ts"
import type { ActorsChoice, ActorsStatus } from "./ActorsModel.ts"
import type { AdminConflict, AdminForbidden, AdminInvalid, AdminNotFound } from "./AdminError.ts"
import type {
  DrainResult,
  ForgetRequest,
  ForgetResult,
  InviteRequest,
  InviteResult,
  LeaveResult,
  ReloadResult
} from "./ControlModel.ts"
import type { LinkStatus, MemberStatus } from "./MemberModel.ts"
import type { NodeStatus } from "./NodeModel.ts"
import type { PeerStatus } from "./PeerModel.ts"
import type { PolicyExplained } from "./PolicyModel.ts"
import type { EndpointStatus, ServiceStatus } from "./ServiceModel.ts"
import type {
  SettingHistory,
  SettingName,
  SettingStatus,
  SettingsAccepted,
  SettingsChange,
  SettingsChanged,
  SettingsChoice,
  SettingsTrial
} from "./SettingsModel.ts"

/** Of the access rules that the node holds. */
export interface AccessSource {
  /** What they say of a call that is not made. */
  readonly check: (question: AccessQuestion) => Effect.Effect<AccessAnswer, AdminInvalid>
  /** What is wrong with rules that are each in order. Asks the nodes that offer what they are about; 5 s at most. */
  readonly lint: Effect.Effect<AccessFindings>
  /** Rules that allow what was called of services in audit. Asks the nodes that offer them; 5 s at most. */
  readonly suggest: (service: ServiceName | undefined) => Effect.Effect<AccessSuggestions>
}

import type {
  FinishRequest,
  FinishResult,
  RevocationStatus,
  RevokeRequest,
  RevokeResult,
  RootsStatus,
  RotateRequest,
  RotateResult
} from "./TrustModel.ts"

export class AdminSource extends Context.Tag("skein/admin/AdminSource")<
  AdminSource,
  {
    readonly status: Effect.Effect<NodeStatus>
    /** This node first. */
    readonly members: Effect.Effect<ReadonlyArray<MemberStatus>>
    /**
     * How the others stand to this node, itself first. Asks those that are connected, or `all`, for which
     * connections are made, but to the dead; takes 3 s at most.
     */
    readonly peers: (choice: { readonly all: boolean }) => Effect.Effect<ReadonlyArray<PeerStatus>>
    readonly services: Effect.Effect<ReadonlyArray<ServiceStatus>>
    readonly endpoints: (
      service: ServiceName
    ) => Effect.Effect<ReadonlyArray<EndpointStatus>, AdminNotFound>
    readonly links: Effect.Effect<ReadonlyArray<LinkStatus>>
    readonly access: AccessSource
    /** How actors fare: of all types, of one, or one actor. Asks the nodes whose programs run them; 5 s at most. */
    readonly actors: (
      choice: ActorsChoice
    ) => Effect.Effect<ActorsStatus, AdminInvalid | AdminNotFound>
    /** For calls from this node; all defaults when nobody says anything of the service. */
    readonly policy: (service: ServiceName) => Effect.Effect<PolicyExplained>
    /** Prometheus text format 0.0.4. */
    readonly metrics: Effect.Effect<string>
    /** Announces the drain and returns; what is in flight goes on. Harmless when repeated. */
    readonly drain: Effect.Effect<DrainResult, AdminConflict>
    /** Drains, tells the mesh good-bye and ends the node soon after it has returned. */
    readonly leave: Effect.Effect<LeaveResult, AdminConflict>
    /** Reads the config again; on a wrong one fails with all its problems and changes nothing. */
    readonly reload: Effect.Effect<ReloadResult, AdminConflict>
    readonly invite: (
      request: InviteRequest
    ) => Effect.Effect<InviteResult, AdminForbidden | AdminInvalid>
    /** What holds in the whole mesh: all, of a kind, or one. What was deleted only while that is contradicted. */
    readonly settings: (choice: SettingsChoice) => Effect.Effect<ReadonlyArray<SettingStatus>>
    readonly settingHistory: (setting: SettingName) => Effect.Effect<SettingHistory, AdminNotFound>
    /** Sets and deletes, all of it or nothing, and waits until the others have it, if asked to. */
    readonly changeSettings: (
      change: SettingsChange
    ) => Effect.Effect<
      SettingsChanged,
      AdminForbidden | AdminInvalid | AdminNotFound | AdminConflict
    >
    /** Fails as `changeSettings` would now, and changes nothing. */
    readonly checkSettings: (
      trial: SettingsTrial
    ) => Effect.Effect<
      SettingsAccepted,
      AdminForbidden | AdminInvalid | AdminNotFound | AdminConflict
    >
    /** Takes a dead node off the lists of the whole mesh; done when it is off this one's. */
    readonly forget: (
      request: ForgetRequest
    ) => Effect.Effect<ForgetResult, AdminForbidden | AdminInvalid | AdminNotFound | AdminConflict>
    /** Says in the mesh that something is thrown out; done when it holds here. */
    readonly revoke: (
      request: RevokeRequest
    ) => Effect.Effect<RevokeResult, AdminForbidden | AdminInvalid | AdminNotFound>
    /** What is thrown out, as far as this node has heard. */
    readonly revoked: Effect.Effect<ReadonlyArray<RevocationStatus>>
    /** The roots of the mesh, and who stands under which. */
    readonly roots: Effect.Effect<RootsStatus>
    /** Adds a root by which the newest is to be replaced; done when this node stands under it. */
    readonly rotateRoot: (
      request: RotateRequest
    ) => Effect.Effect<RotateResult, AdminForbidden | AdminInvalid>
    /** Withdraws all roots but the newest. */
    readonly finishRoot: (
      request: FinishRequest
    ) => Effect.Effect<FinishResult, AdminForbidden | AdminInvalid | AdminConflict>
  }
>() {}
