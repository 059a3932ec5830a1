/**
 * The admin API over HTTP, on a loopback port or a unix socket that only this user may open. Meant
 * for an operator and a scraper, so it is small in every respect: 64 connections, 64 KiB of body,
 * five seconds for a request to arrive.
 */
import { hostname } from "node:os"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServer from "@effect/platform/HttpServer"
import { RequestError, RouteNotFound } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import {
  Cause,
  Context,
  Effect,
  Either,
  Exit,
  Layer,
  Option,
  type ParseResult,
  Schema
} from "effect"
import type { AdminAddress } from "../config/HostPort.ts"
import { type AuditEvent, noAudit, type RecordAudit } from "../model/AuditEvent.ts"
import { explainInLine } from "../schema/ExplainIssue.ts"
import { AdminApi } from "./AdminApi.ts"
import {
  AdminBroken,
  AdminConflict,
  AdminForbidden,
  AdminInvalid,
  AdminNotFound,
  NotReady
} from "./AdminError.ts"
import { type GuardOptions, guard, isReading, type RequestFacts } from "./AdminGuard.ts"
import { adminHandlers } from "./AdminHandlers.ts"
import { type AdminListenError, type AdminPortOptions, listenOn } from "./AdminPort.ts"
import type { AdminSource } from "./AdminSource.ts"
import { InviteRequest } from "./ControlModel.ts"

export interface AdminServerOptions extends AdminPortOptions {
  /** Whether an `authorization` field has this node's token. Default: a port takes no changes at all. */
  readonly holdsToken?: ((authorization: string) => boolean) | undefined
  /** Hears of every request that may change something, once it is answered. */
  readonly audit?: RecordAudit | undefined
}

const maxBody = 64 * 1024

/** Where the server really listens: with the port it got when 0 was asked for. */
export class AdminListening extends Context.Tag("skein/admin/AdminListening")<
  AdminListening,
  AdminAddress
>() {}

const isAdminError = (error: unknown): boolean =>
  [AdminInvalid, AdminForbidden, AdminNotFound, AdminConflict, AdminBroken, NotReady].some(
    (kind) => error instanceof kind
  )

const see = "The paths are /live, /ready, /metrics and /api/v1/…; docs/metrics.md names them all."

/** Bodies of requests, by method and path. */
const bodies: ReadonlyMap<
  string,
  (body: unknown) => Either.Either<unknown, ParseResult.ParseError>
> = new Map([["POST /api/v1/invite", Schema.decodeUnknownEither(InviteRequest)]])

/** What is wrong with a request: of its body in the words a config gets, which the API has lost. */
const invalid = (
  request: HttpServerRequest.HttpServerRequest,
  { issues }: HttpApiDecodeError
): Effect.Effect<AdminInvalid> =>
  Effect.gen(function* () {
    const kind = request.headers["content-type"] ?? "none"
    if (request.method === "POST" && !/^application\/(.+\+)?json\b/i.test(kind)) {
      const message = `the request's content type is ${kind.slice(0, 100)}, which is not JSON`
      return new AdminInvalid({ code: "invalid_request", message, hint: "Send application/json." })
    }
    const decode = bodies.get(`${request.method} ${request.url.replace(/\?.*$/s, "")}`)
    const body = decode === undefined ? Option.none() : yield* Effect.option(request.json)
    const read = Option.isSome(body) ? decode?.(body.value) : undefined
    const message =
      read !== undefined && Either.isLeft(read)
        ? explainInLine(read.left.issue)
        : issues
            .map(({ path, message }) => [path.join("."), message].filter(Boolean).join(": "))
            .join("; ")
    const hint = "Compare the request with the API's fields."
    return new AdminInvalid({ code: "invalid_request", message, hint })
  })

/** Whatever went wrong becomes one of the API's own errors, as JSON. */
const asAdminError = (
  request: HttpServerRequest.HttpServerRequest,
  cause: Cause.Cause<AdminForbidden | AdminInvalid>
): Effect.Effect<never, AdminInvalid | AdminForbidden | AdminNotFound | AdminBroken> => {
  const error = Cause.squash(cause)
  // The handlers' declared errors reach us untyped; the API encodes them behind us.
  if (isAdminError(error)) return Effect.failCause(cause)
  if (error instanceof RouteNotFound) {
    const { method, url } = error.request
    const message = `there is no ${method} ${url.slice(0, 200)}`
    return Effect.fail(new AdminNotFound({ code: "not_found", message, hint: see }))
  }
  if (error instanceof HttpApiDecodeError)
    return Effect.flatMap(invalid(request, error), Effect.fail)
  if (error instanceof RequestError) {
    const message = "the request's body is not JSON"
    const hint = "Send application/json."
    return Effect.fail(new AdminInvalid({ code: "invalid_request", message, hint }))
  }
  return Effect.zipRight(
    Effect.logError("an admin request failed", cause),
    Effect.fail(
      new AdminBroken({
        code: "broken",
        message: "the node failed to answer",
        hint: "Its log says why; please report it."
      })
    )
  )
}

const tooLarge = new AdminInvalid({
  code: "invalid_request",
  message: `the request's body is longer than ${maxBody} bytes`,
  hint: "No request of this API needs that much."
})

const refusalOf = (
  { method, url, headers }: HttpServerRequest.HttpServerRequest,
  options: GuardOptions
): AdminForbidden | AdminInvalid | undefined => {
  const path = url.replace(/\?.*$/s, "")
  const facts: RequestFacts = {
    method,
    path,
    host: headers["host"],
    origin: headers["origin"],
    authorization: headers["authorization"]
  }
  const refusal = guard(facts, options)
  if (refusal !== undefined) return refusal
  // A body that grows beyond the limit without having said so is cut off while it is read.
  return Number(headers["content-length"] ?? 0) > maxBody ? tooLarge : undefined
}

/** Guard before, error bodies after; between them nothing but the handlers. */
const rules = (options: GuardOptions, record: RecordAudit) =>
  HttpApiBuilder.middleware(AdminApi, (app) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const refusal = refusalOf(request, options)
      const told = refusal === undefined ? app : Effect.fail(refusal)
      return isReading(request.method)
        ? told
        : Effect.onExit(told, (exit) =>
            Effect.sync(() => record(controlEvent(request, options, exit)))
          )
    }).pipe(
      HttpIncomingMessage.withMaxBodySize(Option.some(maxBody)),
      Effect.catchAllCause((cause) =>
        // The asker went away: nobody is there to be answered.
        Cause.isInterruptedOnly(cause)
          ? Effect.interrupt
          : Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
              asAdminError(request, cause)
            )
      )
    )
  )

/** What is sent to see whether it would be done. */
const dryRun = "POST /api/v1/settings/check"

const controlEvent = (
  request: HttpServerRequest.HttpServerRequest,
  { unix }: GuardOptions,
  exit: Exit.Exit<unknown, unknown>
): AuditEvent => {
  const from = unix ? "socket" : Option.getOrElse(request.remoteAddress, () => "unknown")
  const about = `${request.method} ${request.url.replace(/\?.*$/s, "")}`
  if (Exit.isSuccess(exit)) {
    return { event: about === dryRun ? "control.tried" : "control.done", from, about }
  }
  const error = Cause.squash(exit.cause)
  const code =
    typeof error === "object" && error !== null && "code" in error ? String(error.code) : "failed"
  const message = error instanceof Error ? error.message : undefined
  return { event: "control.refused", from, about, code, message }
}

const guardOptions = ({ listen, allowRemote, holdsToken }: AdminServerOptions): GuardOptions => ({
  unix: "path" in listen,
  holdsToken: holdsToken ?? (() => false),
  remoteNames: allowRemote
    ? [hostname().toLowerCase(), ...("host" in listen ? [listen.host.toLowerCase()] : [])]
    : undefined
})

/** Listens from when the layer is built until its scope closes. */
export const adminServer = (
  options: AdminServerOptions
): Layer.Layer<AdminListening, AdminListenError, AdminSource> => {
  const listening = Layer.scoped(HttpServer.HttpServer, listenOn(options))
  const address = Layer.effect(
    AdminListening,
    Effect.map(HttpServer.HttpServer, ({ address }) =>
      address._tag === "UnixAddress"
        ? { path: address.path }
        : {
            host: "host" in options.listen ? options.listen.host : address.hostname,
            port: address.port
          }
    )
  )
  return HttpApiBuilder.serve().pipe(
    // An operator's looking is not part of the traffic that is traced.
    HttpMiddleware.withTracerDisabledWhen(() => true),
    Layer.provide(rules(guardOptions(options), options.audit ?? noAudit)),
    Layer.provide(adminHandlers),
    Layer.merge(address),
    Layer.provide(listening),
    Layer.provide(NodeHttpServer.layerContext)
  )
}
