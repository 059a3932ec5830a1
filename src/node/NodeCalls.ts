/**
 * What a program asks of its node across threads: each with the Schemas by which question, answer and
 * failure cross, those of the admin API.
 */
import { Cause, Effect, Exit, Schema } from "effect"
import {
  AccessAnswer,
  AccessFindings,
  AccessQuestion,
  AccessSuggestions,
  SuggestionChoice
} from "../admin/AccessModel.ts"
import { ActorsChoice, ActorsStatus } from "../admin/ActorsModel.ts"
import { AdminConflict, AdminForbidden, AdminInvalid, AdminNotFound } from "../admin/AdminError.ts"
import {
  DrainResult,
  ForgetRequest,
  ForgetResult,
  InviteRequest,
  InviteResult,
  LeaveResult,
  ReloadResult
} from "../admin/ControlModel.ts"
import { LinkStatus, MemberStatus } from "../admin/MemberModel.ts"
import { NodeStatus } from "../admin/NodeModel.ts"
import { PeerStatus } from "../admin/PeerModel.ts"
import { PolicyExplained } from "../admin/PolicyModel.ts"
import { EndpointStatus, ServiceStatus } from "../admin/ServiceModel.ts"
import {
  SettingHistory,
  SettingName,
  SettingStatus,
  SettingsAccepted,
  SettingsChange,
  SettingsChanged,
  SettingsChoice,
  SettingsTrial
} from "../admin/SettingsModel.ts"
import {
  FinishRequest,
  FinishResult,
  RevocationStatus,
  RevokeRequest,
  RevokeResult,
  RootsStatus,
  RotateRequest,
  RotateResult
} from "../admin/TrustModel.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"

export interface NodeCall<Ask, AskText, Answer, AnswerText, Failure, FailureText> {
  readonly ask: Schema.Schema<Ask, AskText>
  readonly exit: Schema.Schema<
    Exit.Exit<Answer, Failure>,
    Schema.ExitEncoded<AnswerText, FailureText, unknown>
  >
}

const call = <Ask, AskText, Answer, AnswerText, Failure, FailureText>(
  ask: Schema.Schema<Ask, AskText>,
  success: Schema.Schema<Answer, AnswerText>,
  failure: Schema.Schema<Failure, FailureText>
): NodeCall<Ask, AskText, Answer, AnswerText, Failure, FailureText> => ({
  ask,
  exit: Schema.Exit({ success, failure, defect: Schema.Defect })
})

const read = <A, I>(success: Schema.Schema<A, I>) => call(Schema.Void, success, Schema.Never)

export const nodeCalls = {
  // Of AdminSource
  status: read(NodeStatus),
  members: read(Schema.Array(MemberStatus)),
  peers: call(Schema.Struct({ all: Schema.Boolean }), Schema.Array(PeerStatus), Schema.Never),
  services: read(Schema.Array(ServiceStatus)),
  endpoints: call(ServiceName, Schema.Array(EndpointStatus), AdminNotFound),
  actors: call(ActorsChoice, ActorsStatus, Schema.Union(AdminInvalid, AdminNotFound)),
  links: read(Schema.Array(LinkStatus)),
  checkAccess: call(AccessQuestion, AccessAnswer, AdminInvalid),
  lintAccess: read(AccessFindings),
  suggestAccess: call(SuggestionChoice, AccessSuggestions, Schema.Never),
  metrics: read(Schema.String),
  beginDrain: call(Schema.Void, DrainResult, AdminConflict),
  sayGoodbye: call(Schema.Void, LeaveResult, AdminConflict),
  reload: call(Schema.Void, ReloadResult, AdminConflict),
  invite: call(InviteRequest, InviteResult, Schema.Union(AdminForbidden, AdminInvalid)),
  policy: call(ServiceName, PolicyExplained, Schema.Never),
  settings: call(SettingsChoice, Schema.Array(SettingStatus), Schema.Never),
  settingHistory: call(SettingName, SettingHistory, AdminNotFound),
  changeSettings: call(
    SettingsChange,
    SettingsChanged,
    Schema.Union(AdminForbidden, AdminInvalid, AdminNotFound, AdminConflict)
  ),
  checkSettings: call(
    SettingsTrial,
    SettingsAccepted,
    Schema.Union(AdminForbidden, AdminInvalid, AdminNotFound, AdminConflict)
  ),
  forget: call(
    ForgetRequest,
    ForgetResult,
    Schema.Union(AdminForbidden, AdminInvalid, AdminNotFound, AdminConflict)
  ),
  revoke: call(
    RevokeRequest,
    RevokeResult,
    Schema.Union(AdminForbidden, AdminInvalid, AdminNotFound)
  ),
  revoked: read(Schema.Array(RevocationStatus)),
  roots: read(RootsStatus),
  rotateRoot: call(RotateRequest, RotateResult, Schema.Union(AdminForbidden, AdminInvalid)),
  finishRoot: call(
    FinishRequest,
    FinishResult,
    Schema.Union(AdminForbidden, AdminInvalid, AdminConflict)
  ),
  // Of AssembledNode
  mayServe: call(ServiceName, Schema.Void, ServeRefused),
  serve: call(Schema.Array(ProgramOffer), Schema.Void, Schema.Never),
  // Of RunningNode
  ready: read(Schema.Void),
  drain: read(Schema.Void),
  leave: read(Schema.Void),
  stopped: read(Schema.Void)
} as const

export type NodeCallName = keyof typeof nodeCalls

/** Where it is answered: what came is decoded, and the exit as it crosses. Never fails. */
export const answerCall =
  <Ask, AskText, A, AI, E, EI>(
    { ask, exit }: NodeCall<Ask, AskText, A, AI, E, EI>,
    answer: (ask: Ask) => Effect.Effect<A, E>
  ) =>
  (payload: unknown): Effect.Effect<unknown> =>
    Schema.decodeUnknown(ask)(payload).pipe(
      Effect.orDie,
      Effect.flatMap(answer),
      Effect.exit,
      Effect.flatMap(Schema.encode(exit)),
      // What it answers is not what its Schema says: a defect of the node.
      Effect.catchAll((error) => Effect.succeed(encodedDefect(error)))
    )

/** The exit of a call that came to nothing. */
export const encodedDefect = (error: unknown): unknown =>
  Schema.encodeSync(nodeCalls.ready.exit)(Exit.failCause(Cause.die(error)))
