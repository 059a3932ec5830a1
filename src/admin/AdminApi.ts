/**
 * The admin HTTP API as a value: the server implements it, the client is derived from it, and the commands
 * and the dashboard use nothing else. What it carries is in the files named …Model: fields named …At are wall
 * clock in milliseconds since 1970, …Ms are lengths of time in milliseconds; null means not known or not
 * applicable. Fields may be added; those there are keep their meaning.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import { Schema } from "effect"
import { ServiceName } from "../schema/NamesSchema.ts"
import {
  AccessAnswer,
  AccessFindings,
  AccessQuestion,
  AccessSuggestions,
  SuggestionChoice
} from "./AccessModel.ts"
import { ActorsChoice, ActorsStatus } from "./ActorsModel.ts"
import {
  AdminBroken,
  AdminConflict,
  AdminForbidden,
  AdminInvalid,
  AdminNotFound,
  NotReady
} from "./AdminError.ts"
import {
  DrainResult,
  ForgetRequest,
  ForgetResult,
  InviteRequest,
  InviteResult,
  LeaveResult,
  ReloadResult
} from "./ControlModel.ts"
import { LinkStatus, MemberStatus } from "./MemberModel.ts"
import { NodeStatus, Readiness } from "./NodeModel.ts"
import { PeerStatus, PeersChoice } from "./PeerModel.ts"
import { PolicyExplained } from "./PolicyModel.ts"
import { EndpointStatus, ServiceStatus } from "./ServiceModel.ts"
import {
  SettingHistory,
  SettingName,
  SettingStatus,
  SettingsAccepted,
  SettingsChange,
  SettingsChanged,
  SettingsChoice,
  SettingsTrial
} from "./SettingsModel.ts"
import {
  FinishRequest,
  FinishResult,
  RevocationStatus,
  RevokeRequest,
  RevokeResult,
  RootsStatus,
  RotateRequest,
  RotateResult
} from "./TrustModel.ts"

/** For supervisors and scrapers: no prefix, nothing but GET. */
const probes = HttpApiGroup.make("probes")
  .add(
    /** 200 while the process can answer at all. */
    HttpApiEndpoint.get("live", "/live").addSuccess(Schema.Struct({ live: Schema.Literal(true) }))
  )
  .add(
    /** 200 when traffic may come, else 503 with what is missing. */
    HttpApiEndpoint.get("ready", "/ready").addSuccess(Readiness).addError(NotReady)
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics").addSuccess(
      Schema.String.pipe(
        HttpApiSchema.withEncoding({
          kind: "Text",
          contentType: "text/plain; version=0.0.4; charset=utf-8"
        })
      )
    )
  )

const views = HttpApiGroup.make("views")
  .add(HttpApiEndpoint.get("status", "/status").addSuccess(NodeStatus))
  .add(HttpApiEndpoint.get("members", "/members").addSuccess(Schema.Array(MemberStatus)))
  .add(
    HttpApiEndpoint.get("peers", "/peers")
      .setUrlParams(PeersChoice)
      .addSuccess(Schema.Array(PeerStatus))
  )
  .add(HttpApiEndpoint.get("services", "/services").addSuccess(Schema.Array(ServiceStatus)))
  .add(
    HttpApiEndpoint.get("endpoints", "/services/:name/endpoints")
      .setPath(Schema.Struct({ name: ServiceName }))
      .addSuccess(Schema.Array(EndpointStatus))
      .addError(AdminNotFound)
  )
  .add(HttpApiEndpoint.get("revoked", "/revoked").addSuccess(Schema.Array(RevocationStatus)))
  .add(HttpApiEndpoint.get("roots", "/roots").addSuccess(RootsStatus))
  .add(
    HttpApiEndpoint.get("policy", "/policies/:name")
      .setPath(Schema.Struct({ name: ServiceName }))
      .addSuccess(PolicyExplained)
  )
  .add(
    HttpApiEndpoint.get("actors", "/actors")
      .setUrlParams(ActorsChoice)
      .addSuccess(ActorsStatus)
      .addError(AdminInvalid)
      .addError(AdminNotFound)
  )
  .add(HttpApiEndpoint.get("links", "/links").addSuccess(Schema.Array(LinkStatus)))
  .prefix("/api/v1")

/** Of the access rules that this node holds. */
const access = HttpApiGroup.make("access")
  .add(
    HttpApiEndpoint.get("check", "/access/check")
      .setUrlParams(AccessQuestion)
      .addSuccess(AccessAnswer)
      .addError(AdminInvalid)
  )
  .add(HttpApiEndpoint.get("lint", "/access/lint").addSuccess(AccessFindings))
  .add(
    HttpApiEndpoint.get("suggest", "/access/suggest")
      .setUrlParams(SuggestionChoice)
      .addSuccess(AccessSuggestions)
  )
  .prefix("/api/v1")

const actions = HttpApiGroup.make("actions")
  .add(HttpApiEndpoint.post("drain", "/drain").addSuccess(DrainResult).addError(AdminConflict))
  .add(HttpApiEndpoint.post("leave", "/leave").addSuccess(LeaveResult).addError(AdminConflict))
  .add(HttpApiEndpoint.post("reload", "/reload").addSuccess(ReloadResult).addError(AdminConflict))
  .add(
    HttpApiEndpoint.post("invite", "/invite")
      .setPayload(InviteRequest)
      .addSuccess(InviteResult)
      .addError(AdminForbidden)
      .addError(AdminInvalid)
  )
  .add(
    HttpApiEndpoint.post("forget", "/forget")
      .setPayload(ForgetRequest)
      .addSuccess(ForgetResult)
      .addError(AdminForbidden)
      .addError(AdminInvalid)
      .addError(AdminNotFound)
      .addError(AdminConflict)
  )
  .add(
    HttpApiEndpoint.post("revoke", "/revoke")
      .setPayload(RevokeRequest)
      .addSuccess(RevokeResult)
      .addError(AdminForbidden)
      .addError(AdminInvalid)
      .addError(AdminNotFound)
  )
  .add(
    HttpApiEndpoint.post("rotateRoot", "/roots/rotate")
      .setPayload(RotateRequest)
      .addSuccess(RotateResult)
      .addError(AdminForbidden)
      .addError(AdminInvalid)
  )
  .add(
    HttpApiEndpoint.post("finishRoot", "/roots/finish")
      .setPayload(FinishRequest)
      .addSuccess(FinishResult)
      .addError(AdminForbidden)
      .addError(AdminInvalid)
      .addError(AdminConflict)
  )
  .prefix("/api/v1")

/** What holds in the whole mesh. */
const settings = HttpApiGroup.make("settings")
  .add(
    HttpApiEndpoint.get("list", "/settings")
      .setUrlParams(SettingsChoice)
      .addSuccess(Schema.Array(SettingStatus))
  )
  .add(
    HttpApiEndpoint.get("history", "/settings/:kind/:name/history")
      .setPath(SettingName)
      .addSuccess(SettingHistory)
      .addError(AdminNotFound)
  )
  .add(
    HttpApiEndpoint.post("change", "/settings")
      .setPayload(SettingsChange)
      .addSuccess(SettingsChanged)
      .addError(AdminForbidden)
      .addError(AdminInvalid)
      .addError(AdminNotFound)
      .addError(AdminConflict)
  )
  .add(
    /** Fails as `change` would now, and changes nothing. A path of its own: an older node must not change it. */
    HttpApiEndpoint.post("check", "/settings/check")
      .setPayload(SettingsTrial)
      .addSuccess(SettingsAccepted)
      .addError(AdminForbidden)
      .addError(AdminInvalid)
      .addError(AdminNotFound)
      .addError(AdminConflict)
  )
  .prefix("/api/v1")

export class AdminApi extends HttpApi.make("skein-admin")
  .add(probes)
  .add(views)
  .add(access)
  .add(actions)
  .add(settings)
  .addError(AdminInvalid)
  .addError(AdminForbidden)
  .addError(AdminNotFound)
  .addError(AdminBroken) {}
