/**
 * The admin API over HTTP, on a loopback port or a unix socket that only this user may open. Meant
 * for an operator and a scraper, so it is small in every respect: 64 connections, 64 KiB of body,
 * five seconds for a request to arrive.
 */
import { chmod, unlink } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { connect } from "node:net"
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
  Data,
  Effect,
  Either,
  Layer,
  Option,
  type ParseResult,
  Schema,
  type Scope
} from "effect"
import { type AdminAddress, formatAdminAddress, formatHostPort } from "../config/HostPort.ts"
import { isLoopback } from "../model/Loopback.ts"
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
import { type GuardOptions, guard } from "./AdminGuard.ts"
import { adminHandlers } from "./AdminHandlers.ts"
import { InviteRequest } from "./AdminModel.ts"
import type { AdminSource } from "./AdminSource.ts"

export interface AdminServerOptions {
  readonly listen: AdminAddress
  /** Needed for an address that is not loopback. */
  readonly allowRemote: boolean
  /** Default 64, which is also the most. */
  readonly connections?: number | undefined
}

export class AdminListenError extends Data.TaggedError("AdminListenError")<{
  readonly code: "port_in_use" | "address_not_local" | "not_permitted" | "listen_failed"
  readonly message: string
}> {}

/** Where the server really listens: with the port it got when 0 was asked for. */
export class AdminListening extends Context.Tag("skein/admin/AdminListening")<
  AdminListening,
  AdminAddress
>() {}

const limits = { connections: 64, body: 64 * 1024, arrival: 5_000, goodbye: 1_000 } as const

const listenError = (listen: AdminAddress, cause: unknown): AdminListenError => {
  const where = formatAdminAddress(listen)
  const system = cause instanceof Error && "code" in cause ? cause.code : undefined
  switch (system) {
    case "EADDRINUSE":
      return new AdminListenError({
        code: "port_in_use",
        message: `the admin address ${where} is in use: another node or program listens there; stop it, or set admin to another port`
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new AdminListenError({
        code: "address_not_local",
        message: `the admin address ${where} is not an address of this host; use 127.0.0.1`
      })
    case "EACCES":
    case "EPERM":
      return new AdminListenError({
        code: "not_permitted",
        message: `this user may not listen on the admin address ${where}; use a port above 1023, or a socket in a directory of its own`
      })
    default:
      return new AdminListenError({
        code: "listen_failed",
        message: `cannot listen on the admin address ${where}: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  }
}

/** A socket file that nobody answers on was left by a node that was killed. */
const removeStaleSocket = (path: string): Effect.Effect<void> =>
  Effect.async<boolean>((resume) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resume(Effect.succeed(false))
    })
    probe.once("error", (cause) =>
      resume(Effect.succeed("code" in cause && cause.code === "ECONNREFUSED"))
    )
  }).pipe(
    Effect.flatMap((stale) =>
      // Could not be removed: then listening fails, and says so better.
      stale ? Effect.ignore(Effect.tryPromise(() => unlink(path))) : Effect.void
    )
  )

interface Listening {
  readonly server: Server
  /** Ends when the answers now being given are out, or after a second. */
  readonly goodbye: Effect.Effect<void>
}

const makeServer = (connections: number): Listening => {
  const server = createServer({
    requestTimeout: limits.arrival,
    headersTimeout: limits.arrival,
    connectionsCheckingInterval: 1_000
  })
  server.maxConnections = connections
  let busy = 0
  let onIdle: (() => void) | undefined
  server.on("request", (_, response) => {
    busy++
    response.once("close", () => {
      if (--busy === 0) onIdle?.()
    })
  })
  const idle = Effect.async<void>((resume) => {
    if (busy === 0) resume(Effect.void)
    else onIdle = () => resume(Effect.void)
  })
  return {
    server,
    goodbye: idle.pipe(
      Effect.timeoutOption(limits.goodbye),
      Effect.ensuring(Effect.sync(() => server.closeAllConnections()))
    )
  }
}

const listenOn = (
  options: AdminServerOptions
): Effect.Effect<HttpServer.HttpServer, AdminListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { listen } = options
    if ("host" in listen && !options.allowRemote && !isLoopback(listen.host)) {
      return yield* new AdminListenError({
        code: "not_permitted",
        message: `the admin address ${formatHostPort(listen)} can be reached from other hosts; use 127.0.0.1, or allow it with admin: { listen: ${formatHostPort(listen)}, allowRemote: true }`
      })
    }
    if ("path" in listen) yield* removeStaleSocket(listen.path)
    const { server, goodbye } = makeServer(
      Math.min(limits.connections, options.connections ?? limits.connections)
    )
    const http = yield* NodeHttpServer.make(
      () => server,
      "path" in listen ? { path: listen.path } : { host: listen.host, port: listen.port }
    ).pipe(Effect.mapError(({ cause }) => listenError(listen, cause)))
    if ("path" in listen) {
      yield* Effect.tryPromise({
        try: () => chmod(listen.path, 0o600),
        catch: (cause) => listenError(listen, cause)
      })
    }
    yield* Effect.addFinalizer(() => goodbye)
    return http
  })

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
  message: `the request's body is longer than ${limits.body} bytes`,
  hint: "No request of this API needs that much."
})

const refusalOf = (
  { method, url, headers }: HttpServerRequest.HttpServerRequest,
  options: GuardOptions
): AdminForbidden | AdminInvalid | undefined => {
  const path = url.replace(/\?.*$/s, "")
  const facts = { method, path, host: headers["host"], origin: headers["origin"] }
  const refusal = guard(facts, options)
  if (refusal !== undefined) return refusal
  // A body that grows beyond the limit without having said so is cut off while it is read.
  return Number(headers["content-length"] ?? 0) > limits.body ? tooLarge : undefined
}

/** Guard before, error bodies after; between them nothing but the handlers. */
const rules = (options: GuardOptions) =>
  HttpApiBuilder.middleware(AdminApi, (app) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const refusal = refusalOf(request, options)
      return refusal === undefined ? app : Effect.fail(refusal)
    }).pipe(
      HttpIncomingMessage.withMaxBodySize(Option.some(limits.body)),
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

const guardOptions = ({ listen, allowRemote }: AdminServerOptions): GuardOptions => ({
  unix: "path" in listen,
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
    Layer.provide(rules(guardOptions(options))),
    Layer.provide(adminHandlers),
    Layer.merge(address),
    Layer.provide(listening),
    Layer.provide(NodeHttpServer.layerContext)
  )
}
